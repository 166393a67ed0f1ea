#include "linux/gate.h"

#include <gmock/gmock.h>

#include <thread>

#include "linux/clock.h"
#include "linux/test_network.h"

namespace carpd {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr GroupId kGroup = 3;

// With shared addresses on lo, as the data plane puts them there.
class GateTest : public TwoHosts {
 protected:
    void SetUp() override {
        TwoHosts::SetUp();
        if (IsSkipped()) return;
        run("sysctl -qw net.ipv4.conf.eth0.arp_ignore=1 && ip address add 192.0.2.100/32 dev lo && ip "
            "address "
            "add 2001:db8::100/128 dev lo nodad");
        netlink.emplace(std::move(*Netlink::open()));
        auto opened = Gate::open(*netlink);
        ASSERT_TRUE(opened) << opened.error().to_string();
        gate = std::move(*opened);
        guarded.ifindex = static_cast<int>(if_nametoindex("eth0"));
        guarded.heard_at = virtual_mac(Vhid{7});
        guarded.mac = virtual_mac(Vhid{7});
        guarded.addresses = {ip("192.0.2.100"), ip("2001:db8::100")};
    }
    bool answers_them(const char* address, int timeout_ms = 2000) {
        them->enter();
        const bool result = answers(ip(address), timeout_ms);
        us->enter();
        return result;
    }
    // What somebody who asks anew, and somebody who knows the MAC, gets from the address.
    bool is_silent(const char* address) {
        them->enter();
        run(std::string("ip neigh flush dev eth0"));
        bool silent = !answers(ip(address), 150);
        run(std::string("ip neigh replace ") + address + " lladdr " + guarded.mac.to_string() + " dev eth0");
        silent = silent && !answers(ip(address), 150);
        run(std::string("ip neigh del ") + address + " dev eth0");
        us->enter();
        return silent;
    }

    std::optional<Netlink> netlink;
    std::unique_ptr<Gate> gate;
    Gate::Guarded guarded;
};

TEST_F(GateTest, OpensAndClosesWithTheLease) {
    ASSERT_FALSE(gate->guard(kGroup, guarded, ""));
    EXPECT_TRUE(is_silent("192.0.2.100"));
    EXPECT_TRUE(is_silent("2001:db8::100"));
    const Instant end = host_now() + 1500ms;
    gate->open_until(kGroup, end);
    EXPECT_TRUE(answers_them("192.0.2.100"));
    EXPECT_TRUE(answers_them("2001:db8::100"));
    // Nobody closes it.
    std::this_thread::sleep_for(end - host_now());
    EXPECT_TRUE(is_silent("192.0.2.100"));
    EXPECT_TRUE(is_silent("2001:db8::100"));
    EXPECT_TRUE(answers_them("192.0.2.1"));
    gate->open_until(kGroup, host_now() + 1h);
    EXPECT_TRUE(answers_them("192.0.2.100"));
    EXPECT_TRUE(answers_them("2001:db8::100"));
    gate->close(kGroup);
    EXPECT_TRUE(is_silent("192.0.2.100"));
}

// The next group of the same number begins without a lease.
TEST_F(GateTest, AReleasedGroupsLeaseIsOver) {
    ASSERT_FALSE(gate->guard(kGroup, guarded, ""));
    gate->open_until(kGroup, host_now() + 1h);
    gate->release(kGroup);
    ASSERT_FALSE(gate->guard(kGroup, guarded, ""));
    EXPECT_TRUE(is_silent("192.0.2.100"));
}

// A reload may give an address, or the vhid, to another group before the first is released.
TEST_F(GateTest, AnAddressMovesToAnotherGroup) {
    ASSERT_FALSE(gate->guard(kGroup, guarded, ""));
    ASSERT_FALSE(gate->guard(kGroup + 1, guarded, ""));
    gate->open_until(kGroup + 1, host_now() + 1h);
    gate->release(kGroup);
    EXPECT_TRUE(answers_them("192.0.2.100"));
    gate->close(kGroup + 1);
    EXPECT_TRUE(is_silent("192.0.2.100")) << "it is still guarded";
}

TEST_F(GateTest, FollowsItsAddresses) {
    ASSERT_FALSE(gate->guard(kGroup, guarded, ""));
    guarded.addresses = {ip("2001:db8::100")};
    ASSERT_FALSE(gate->guard(kGroup, guarded, ""));
    EXPECT_TRUE(is_silent("2001:db8::100"));
    them->enter();
    run("ip neigh replace 192.0.2.100 lladdr 02:00:00:00:00:09 dev eth0");
    us->enter();
    run("ip link set eth0 address 02:00:00:00:00:09");
    EXPECT_TRUE(answers_them("192.0.2.100")) << "no longer guarded";
}

// One of them is found at once, the other by the hash (GATE_PLACE).
TEST_F(GateTest, AddressesThatEndAlike) {
    run("ip address add 203.0.2.100/32 dev lo");
    them->enter();
    run("ip route add 203.0.2.100/32 dev eth0");
    us->enter();
    const auto all_silent = [&] { return is_silent("192.0.2.100") && is_silent("203.0.2.100"); };
    guarded.addresses = {ip("192.0.2.100"), ip("203.0.2.100")};
    ASSERT_FALSE(gate->guard(kGroup, guarded, ""));
    EXPECT_TRUE(all_silent());
    gate->open_until(kGroup, host_now() + 1h);
    EXPECT_TRUE(answers_them("192.0.2.100"));
    EXPECT_TRUE(answers_them("203.0.2.100"));
    // Whoever leaves or comes back, the other is guarded.
    for (const Few<IpAddress>& addresses :
         {Few<IpAddress>{ip("203.0.2.100")}, {ip("203.0.2.100"), ip("192.0.2.100")}}) {
        guarded.addresses = addresses;
        gate->open_until(kGroup, host_now() + 1h);
        ASSERT_FALSE(gate->guard(kGroup, guarded, ""));
        for (const IpAddress& address : addresses) EXPECT_TRUE(answers_them(address.to_string().c_str()));
        gate->close(kGroup);
        for (const IpAddress& address : addresses) EXPECT_TRUE(is_silent(address.to_string().c_str()));
    }
}

TEST_F(GateTest, SaysThatItIsFull) {
    const auto error = gate->guard(16384, guarded, "");
    ASSERT_TRUE(error);
    EXPECT_EQ(error->to_string(), "cannot guard more than 16384 groups by the BPF gate");
    guarded.addresses.clear();
    for (unsigned i = 0; i <= 65536; ++i) {
        const std::uint8_t bytes[] = {10, static_cast<std::uint8_t>(i >> 16),
                                      static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
        guarded.addresses.push_back(IpAddress::from_bytes(bytes));
    }
    const Few<IpAddress> too_many = guarded.addresses;
    // Looking for each of them among the others would take minutes.
    for (GroupId group = 0; group < 256; ++group) {
        guarded.addresses = {too_many.begin() + group * 256, too_many.begin() + (group + 1) * 256};
        ASSERT_FALSE(gate->guard(group, guarded, ""));
    }
    guarded.addresses = {*(too_many.end() - 1)};
    const auto full = gate->guard(256, guarded, "");
    ASSERT_TRUE(full);
    EXPECT_THAT(full->to_string(), HasSubstr("cannot guard more than 65536 addresses by the BPF gate"));
    gate->release(0);
    EXPECT_FALSE(gate->guard(256, guarded, ""));
}

}  // namespace
}  // namespace carpd
