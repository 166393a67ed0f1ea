#include "linux/data_plane.h"

#include <gmock/gmock.h>

#include "linux/clock.h"
#include "linux/leftovers.h"
#include "linux/sysctl.h"
#include "linux/test_network.h"
#include "wire/ip_packet.h"
#include "wire/neighbor.h"

namespace carpd {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const MacAddress kVirtualMac = virtual_mac(Vhid{7});

GroupConfig group_config(Few<InterfaceAddress> addresses, MacMode mac = MacMode::virtual_mac) {
    GroupConfig config;
    config.name = "lan";
    config.interface = "eth0";
    config.vhid = Vhid{7};
    config.addresses = std::move(addresses);
    config.mac = mac;
    return config;
}

const GroupConfig kBoth = group_config({{ip("192.0.2.100"), 24}, {ip("2001:db8::100"), 64}});

enum class Way { tcx, clsact, macvlan };

class DataPlaneTest : public TwoHosts, public testing::WithParamInterface<Way> {
 protected:
    void SetUp() override {
        TwoHosts::SetUp();
        if (IsSkipped()) return;
        netlink.emplace(std::move(*Netlink::open()));
        monitor.emplace(std::move(*LinkMonitor::open(*netlink)));
        make_plane();
        socket.emplace(std::move(*CarpSocket::open()));
    }

    bool has_gate() const { return GetParam() != Way::macvlan; }
    // One that remembers nothing, as after SIGKILL.
    void make_plane() {
        std::unique_ptr<Gate> gate;
        if (has_gate()) {
            auto opened =
                Gate::open(*netlink, GetParam() == Way::tcx ? GateHooks::Way::tcx : GateHooks::Way::clsact);
            ASSERT_TRUE(opened) << opened.error().to_string();
            gate = std::move(*opened);
        }
        plane.emplace(*netlink, std::move(gate));
    }
    const Interface& eth0() {
        EXPECT_FALSE(monitor->resync());
        return *monitor->find("eth0");
    }
    void prepare(const GroupConfig& config) {
        const auto error = plane->prepare(kGroup, config, eth0());
        ASSERT_FALSE(error) << error->to_string();
    }
    void become_master(const GroupConfig& config) {
        prepare(config);
        ASSERT_TRUE(install(config));
        settle();
    }
    void settle() {
        while (!plane->is_settled()) plane->settle();
    }
    bool install(const GroupConfig& config, GroupId group = kGroup) {
        DataPlane::Installation wanted{group, &config, host_now() + std::chrono::hours(1)};
        plane->install(std::span(&wanted, 1));
        return wanted.installed;
    }
    bool answers_them(const char* address, int timeout_ms = 2000) {
        them->enter();
        const bool result = answers(ip(address), timeout_ms);
        us->enter();
        return result;
    }
    // All that the kernel knows, without what changes by itself. Without indexes: devices come and go.
    static std::string snapshot() {
        return output_of(
                   "ip -br address | sed 's/@[^ ]*//' | awk '{ $2 = \"\"; print }' && ip -d rule && ip -d -6 "
                   "rule "
                   "&& "
                   "ip route show table all && "
                   "sysctl net.ipv4.conf.eth0.arp_ignore net.ipv4.conf.eth0.arp_announce && tc qdisc show "
                   "dev eth0 "
                   "&& "
                   "tc filter show dev eth0 ingress | sed 's/ id .*//' && tc filter show dev eth0 egress | "
                   "sed 's/ "
                   "id .*//'") +
               at_tcx("eth0", Direction::ingress) + at_tcx("eth0", Direction::egress);
    }
    // A shell command; or the name of a program of the gate, which is taken from tcx.
    static void harm(const std::string& how) {
        const int eth0 = static_cast<int>(if_nametoindex("eth0"));
        for (const Direction direction : {Direction::ingress, Direction::egress}) {
            if (how != GateProgram::name(direction)) continue;
            EXPECT_EQ(remove_tcx(eth0, direction, how).size(), 1u);
            return;
        }
        run(how);
    }
    std::string what_harms_the_gate() const {
        return GetParam() == Way::tcx ? "carpd_gate_in" : "tc qdisc del dev eth0 clsact";
    }

    static constexpr GroupId kGroup = 3;
    std::optional<Netlink> netlink;
    std::optional<LinkMonitor> monitor;
    std::optional<DataPlane> plane;
    std::optional<CarpSocket> socket;
};

TEST_P(DataPlaneTest, AnswersOnlyWhileInstalled) {
    prepare(kBoth);
    EXPECT_FALSE(answers_them("192.0.2.100", 200));
    EXPECT_FALSE(answers_them("2001:db8::100", 200));
    ASSERT_TRUE(install(kBoth));
    EXPECT_TRUE(answers_them("192.0.2.100"));
    EXPECT_TRUE(answers_them("2001:db8::100"));
    settle();
    EXPECT_TRUE(answers_them("192.0.2.100"));
    EXPECT_TRUE(answers_them("2001:db8::100"));
    const LinkAddress held{
        has_gate() ? 1 : static_cast<int>(if_nametoindex(std::string(plane->device(kGroup)).c_str())),
        {ip("192.0.2.100"), 32}};
    EXPECT_EQ(plane->owner_of(held), kGroup);
    plane->withdraw(kGroup);
    EXPECT_FALSE(answers_them("192.0.2.100", 200));
    EXPECT_FALSE(answers_them("2001:db8::100", 200));
    EXPECT_EQ(plane->owner_of(held), std::nullopt);
    EXPECT_TRUE(answers_them("192.0.2.1")) << "the host's own address is still there";
}

TEST_P(DataPlaneTest, OnlyAnnouncesWhatSomebodyElseInstalls) {
    plane.emplace(*netlink, nullptr, false);
    const GroupConfig config = group_config({{ip("192.0.2.100"), 32}}, MacMode::interface_mac);
    run("ip address add 192.0.2.100/24 dev eth0");
    const std::string before = snapshot();
    become_master(config);
    EXPECT_FALSE(plane->renew(kGroup, config));
    std::vector<OutgoingFrame> frames;
    plane->announce(kGroup, config, frames);
    EXPECT_EQ(frames.size(), 2u);
    EXPECT_EQ(plane->mac_of(kGroup), eth0().mac());
    EXPECT_EQ(snapshot(), before);
    plane->withdraw(kGroup);
    plane->release(kGroup);
    EXPECT_EQ(snapshot(), before);
}

TEST_P(DataPlaneTest, LeavesNothingBehind) {
    for (const MacMode mode : {MacMode::virtual_mac, MacMode::interface_mac}) {
        GroupConfig config = kBoth;
        config.mac = mode;
        const std::string before = snapshot();
        prepare(config);
        const std::string prepared = snapshot();
        ASSERT_TRUE(install(config));
        settle();
        const std::string installed = snapshot();
        EXPECT_NE(installed, prepared);
        EXPECT_TRUE(install(config));
        EXPECT_EQ(snapshot(), installed);
        plane->withdraw(kGroup);
        plane->withdraw(kGroup);
        settle();
        EXPECT_EQ(snapshot(), prepared);
        ASSERT_TRUE(install(config));
        settle();
        EXPECT_EQ(snapshot(), installed);
        plane->release(kGroup);
        EXPECT_EQ(snapshot(), before);
    }
}

TEST_P(DataPlaneTest, EverythingLeavesWithTheVirtualMac) {
    them->enter();
    Sniffer sniffer("eth0");
    us->enter();
    become_master(kBoth);
    std::vector<OutgoingFrame> announcements;
    plane->announce(kGroup, kBoth, announcements);
    socket->send_frames(announcements);
    ASSERT_TRUE(answers_them("192.0.2.100"));
    ASSERT_TRUE(answers_them("2001:db8::100"));
    int from_address = 0;
    for (const TestFrame& frame : sniffer.received(300)) {
        const auto source = ip_source(frame);
        const bool arp_from_address =
            ether_type(frame) == ETH_P_ARP &&
            std::equal(frame.begin() + 28, frame.begin() + 32, kBoth.addresses[0].address.bytes().begin());
        if (!arp_from_address && source != kBoth.addresses[0].address && source != kBoth.addresses[1].address)
            continue;
        ++from_address;
        EXPECT_EQ(source_mac(frame), kVirtualMac);
    }
    EXPECT_GE(from_address, 6) << "announcements (3), ARP and both answers";
}

TEST_P(DataPlaneTest, WorksWithStrictReversePathFilter) {
    run("sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.default.rp_filter=1 "
        "net.ipv4.conf.eth0.rp_filter=1");
    become_master(kBoth);
    EXPECT_TRUE(answers_them("192.0.2.100"));
    EXPECT_TRUE(answers_them("192.0.2.1"));
}

// Clients use the address as their gateway: what they send arrives at the macvlan, though their subnet is the
// parent's.
TEST_P(DataPlaneTest, ForwardsForClientsInSpiteOfStrictReversePathFilter) {
    run("sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.eth0.rp_filter=1");
    TestHost server;
    run("ip link add wan type veth peer name eth1 netns " + us->path() +
        " && ip link set wan up && ip address add 198.51.100.9/24 dev wan && ip route add default via "
        "198.51.100.1");
    us->enter();
    run("ip link set eth1 up && ip address add 198.51.100.1/24 dev eth1");
    become_master(kBoth);
    them->enter();
    run("ip route add default via 192.0.2.100");
    us->enter();
    EXPECT_TRUE(answers_them("198.51.100.9"));
}

TEST_P(DataPlaneTest, WorksOnAnInterfaceWithoutAddress) {
    // Without a link-local one the kernel asks for no neighbours, unless the macvlan has an address.
    run(has_gate() ? "ip address flush dev eth0 scope global" : "ip address flush dev eth0");
    become_master(kBoth);
    EXPECT_TRUE(answers_them("192.0.2.100"));
    EXPECT_TRUE(answers_them("2001:db8::100"));
    // The host itself has a way to the subnet now.
    EXPECT_TRUE(answers(ip("192.0.2.2")));
    EXPECT_TRUE(answers(ip("2001:db8::2")));
}

// A master has a way to the subnet also when somebody takes its own address there.
TEST_P(DataPlaneTest, KeepsAWayToTheSubnetWhenTheOwnAddressGoes) {
    become_master(kBoth);
    run("ip address del 192.0.2.1/24 dev eth0 && ip address del 2001:db8::1/64 dev eth0");
    prepare(kBoth);
    EXPECT_TRUE(answers_them("192.0.2.100"));
    EXPECT_TRUE(answers_them("2001:db8::100"));
    run("ip address add 192.0.2.1/24 dev eth0 && ip address add 2001:db8::1/64 dev eth0 nodad");
    prepare(kBoth);
    EXPECT_TRUE(answers_them("192.0.2.1"));
    EXPECT_TRUE(answers_them("192.0.2.100"));
    EXPECT_TRUE(answers_them("2001:db8::100"));
}

TEST_P(DataPlaneTest, InterfaceMacMode) {
    GroupConfig config = kBoth;
    config.mac = MacMode::interface_mac;
    become_master(config);
    EXPECT_EQ(plane->mac_of(kGroup), eth0().mac());
    EXPECT_EQ(plane->device(kGroup), "eth0");
    EXPECT_TRUE(answers_them("192.0.2.100"));
    EXPECT_TRUE(answers_them("2001:db8::100"));
    plane->withdraw(kGroup);
    EXPECT_FALSE(answers_them("192.0.2.100", 200));
    EXPECT_TRUE(answers_them("192.0.2.1"));
}

// The kernel speaks by itself on a device that is up: multicast listener reports, router solicitations.
TEST_P(DataPlaneTest, BackupNeverSpeaksWithTheVirtualMac) {
    run("sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.forwarding=1");
    them->enter();
    Sniffer sniffer("eth0");
    us->enter();
    // Frames from the virtual MAC since now: a frame of our own marks the place in the stream.
    const auto heard_from_now = [&](int quiet_ms) {
        const MacAddress mark{{0x02, 0, 0, 0, 0, 0x01}};
        EXPECT_TRUE(send_frame(*socket, eth0().ifindex(), send_probe(mark)));
        auto frames = sniffer.received(quiet_ms);
        const auto now =
            std::find_if(frames.begin(), frames.end(), [&](auto& f) { return source_mac(f) == mark; });
        EXPECT_NE(now, frames.end());
        return std::count_if(now, frames.end(), [](auto& f) { return source_mac(f) == kVirtualMac; });
    };
    prepare(kBoth);
    EXPECT_EQ(heard_from_now(300), 0) << "when prepared";
    for (int i = 0; i < 20; ++i) {
        // Step down at once, with reports still to come, or when all is said.
        ASSERT_TRUE(install(kBoth));
        if (i % 2 == 0) {
            // With the gate there is nothing to report.
            EXPECT_EQ(heard_from_now(100) > 0, !has_gate());
        }
        plane->withdraw(kGroup);
        EXPECT_EQ(heard_from_now(100), 0) << "after stepping down";
    }
}

// Whatever a rival sends has the source MAC that our device has.
TEST_P(DataPlaneTest, HearsARivalThatHasTheSameVirtualMac) {
    prepare(kBoth);
    for (const bool installed : {false, true}) {
        if (installed) {
            ASSERT_TRUE(install(kBoth));
        }
        them->enter();
        CarpSocket rival = std::move(*CarpSocket::open());
        const AdvertisementPacket sent(ip("192.0.2.2"), ip("224.0.0.18"), AdvertisementBytes{});
        ASSERT_TRUE(send_frame(rival, static_cast<int>(if_nametoindex("eth0")),
                               multicast_frame(kVirtualMac, sent.bytes())));
        us->enter();
        ASSERT_TRUE(readable(socket->fd()));
        const auto heard = socket->receive();
        ASSERT_EQ(heard.size(), 1u);
        EXPECT_EQ(heard[0].ifindex, eth0().ifindex());
    }
}

// A switch that doesn't know where the virtual MAC is sends its frames to everybody.
TEST_P(DataPlaneTest, BackupForwardsNothing) {
    run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    TestHost server;
    run("ip link add wan type veth peer name eth1 netns " + us->path() +
        " && ip link set wan up && ip address add 198.51.100.9/24 dev wan && ip address add 2001:db8:9::9/64 "
        "dev wan "
        "nodad && ip route add default via 198.51.100.1 && ip route add default via 2001:db8:9::1");
    us->enter();
    run("ip link set eth1 up && ip address add 198.51.100.1/24 dev eth1 && ip address add 2001:db8:9::1/64 "
        "dev eth1 "
        "nodad");
    prepare(kBoth);
    them->enter();
    const std::string via = " lladdr " + kVirtualMac.to_string() + " dev eth0 && ";
    run("ip neigh add 192.0.2.100" + via + "ip neigh add 2001:db8::100" + via +
        "ip route add default via 192.0.2.100 && ip route add default via 2001:db8::100");
    us->enter();
    EXPECT_FALSE(answers_them("198.51.100.9", 200));
    EXPECT_FALSE(answers_them("2001:db8:9::9", 200));
    ASSERT_TRUE(install(kBoth));
    EXPECT_TRUE(answers_them("198.51.100.9"));
    EXPECT_TRUE(answers_them("2001:db8:9::9"));
    plane->withdraw(kGroup);
    EXPECT_FALSE(answers_them("198.51.100.9", 200));
    EXPECT_FALSE(answers_them("2001:db8:9::9", 200));
}

TEST_P(DataPlaneTest, TheDeviceAnswersForNothingElse) {
    prepare(kBoth);
    them->enter();
    Sniffer sniffer("eth0");
    us->enter();
    ASSERT_TRUE(answers_them("192.0.2.1"));
    const MacAddress own = eth0().mac();
    for (const TestFrame& frame : sniffer.received(100)) {
        EXPECT_TRUE(ether_type(frame) != ETH_P_ARP || source_mac(frame) == own);
    }
}

TEST_P(DataPlaneTest, FollowsAChangedAddressListWhileInstalled) {
    become_master(kBoth);
    const GroupConfig changed = group_config({{ip("2001:db8::100"), 48}, {ip("192.0.2.101"), 24}});
    prepare(changed);
    ASSERT_TRUE(install(changed));
    EXPECT_FALSE(answers_them("192.0.2.100", 200));
    EXPECT_TRUE(answers_them("192.0.2.101"));
    EXPECT_TRUE(answers_them("2001:db8::100"));
    plane->release(kGroup);
    become_master(changed);
    const std::string fresh = snapshot();
    plane->release(kGroup);
    become_master(kBoth);
    prepare(changed);
    ASSERT_TRUE(install(changed));
    EXPECT_EQ(snapshot(), fresh);
}

TEST_P(DataPlaneTest, RenewPutsBackWhatIsMissing) {
    become_master(kBoth);
    EXPECT_FALSE(plane->renew(kGroup, kBoth));
    const std::string installed = snapshot();
    const std::string device(plane->device(kGroup));
    std::vector<std::string> damages = {
        "ip address del 192.0.2.100/32 dev " + device,
        "ip address del 192.0.2.100/32 dev " + device + " && ip address del 2001:db8::100/128 dev " + device};
    if (GetParam() == Way::tcx)
        damages.insert(damages.end(), {"carpd_gate_in", "carpd_gate_out"});
    else if (has_gate())
        damages.insert(damages.end(), {"tc qdisc del dev eth0 clsact", "tc filter del dev eth0 ingress",
                                       "tc filter del dev eth0 egress pref 112"});
    else
        damages.insert(
            damages.end(),
            {"ip address flush dev " + device, "ip link set " + device + " address 02:00:00:00:00:01",
             "ip link set " + device + " down", "ip rule del from 192.0.2.100", "ip link del " + device});
    for (const std::string& damage : damages) {
        harm(damage);
        EXPECT_TRUE(plane->renew(kGroup, kBoth)) << damage;
        EXPECT_FALSE(plane->renew(kGroup, kBoth)) << damage;
        EXPECT_EQ(snapshot(), installed) << damage;
        EXPECT_TRUE(answers_them("192.0.2.100")) << damage;
        EXPECT_TRUE(answers_them("2001:db8::100")) << damage;
    }
}

TEST_P(DataPlaneTest, RenewKeepsABackupReady) {
    prepare(kBoth);
    const std::string prepared = snapshot();
    EXPECT_FALSE(plane->is_robbed(eth0().ifindex()));
    harm(has_gate() ? what_harms_the_gate() : "ip link del " + std::string(plane->device(kGroup)));
    EXPECT_EQ(plane->is_robbed(eth0().ifindex()), GetParam() == Way::tcx) << "of all else the kernel tells";
    EXPECT_TRUE(plane->renew(kGroup, kBoth));
    EXPECT_FALSE(plane->is_robbed(eth0().ifindex()));
    EXPECT_EQ(snapshot(), prepared);
    EXPECT_FALSE(plane->renew(kGroup, kBoth));
}

TEST_P(DataPlaneTest, SurvivesAnInterfaceThatVanishesAndReturns) {
    become_master(kBoth);
    run("ip link del eth0");
    EXPECT_FALSE(plane->renew(kGroup, kBoth));
    plane->withdraw(kGroup);
    plug_in();
    them->enter();
    run("ip address add 192.0.2.2/24 dev eth0 && ip address add 2001:db8::2/64 dev eth0 nodad");
    us->enter();
    become_master(kBoth);
    EXPECT_TRUE(answers_them("192.0.2.100"));
    EXPECT_TRUE(answers_them("2001:db8::100"));
}

TEST_P(DataPlaneTest, FollowsTheInterfacesMtuAndName) {
    prepare(kBoth);
    run("ip link set eth0 mtu 1400");
    run("ip link set eth0 mtu 1500");
    prepare(kBoth);
    if (!has_gate()) {
        EXPECT_THAT(output_of("ip link show " + std::string(plane->device(kGroup))), HasSubstr("mtu 1500"));
    }
    run("ip link set eth0 down && ip link set eth0 name lan0 && ip link set lan0 up");
    ASSERT_FALSE(monitor->resync());
    ASSERT_FALSE(plane->prepare(kGroup, kBoth, *monitor->find("lan0")));
    plane->release(kGroup);
    EXPECT_EQ(read_sysctl("ipv4/conf/lan0/arp_ignore"), 0);
}

TEST_P(DataPlaneTest, TwoGroupsOnOneInterface) {
    GroupConfig other = group_config({{ip("192.0.2.101"), 24}});
    other.vhid = Vhid{8};
    const std::string before = snapshot();
    become_master(kBoth);
    ASSERT_FALSE(plane->prepare(kGroup + 1, other, eth0()));
    ASSERT_TRUE(install(other, kGroup + 1));
    EXPECT_TRUE(answers_them("192.0.2.100"));
    EXPECT_TRUE(answers_them("192.0.2.101"));
    plane->release(kGroup);
    EXPECT_EQ(read_sysctl("ipv4/conf/eth0/arp_ignore"), 1) << "the other group still needs it";
    EXPECT_TRUE(answers_them("192.0.2.101"));
    plane->release(kGroup + 1);
    EXPECT_EQ(snapshot(), before);
}

TEST_P(DataPlaneTest, RemovesWhatAnEarlierRunLeft) {
    for (const MacMode mode : {MacMode::virtual_mac, MacMode::interface_mac}) {
        GroupConfig config = kBoth;
        config.mac = mode;
        const std::string before = snapshot();
        become_master(config);
        make_plane();
        const auto lines = remove_leftovers(*netlink, {config});
        EXPECT_EQ(snapshot(), before);
        if (has_gate()) {
            EXPECT_THAT(lines, Contains("removed the BPF gate from eth0, left by an earlier run"));
        }
        const std::string address =
            mode == MacMode::interface_mac ? "192.0.2.100/32 from eth0"
            : has_gate()                   ? "2001:db8::100/128 from lo"
                         : "carp" + std::to_string(eth0().ifindex()) + ".7 with 192.0.2.100, 2001:db8::100";
        EXPECT_THAT(lines, Contains("removed " + address + ", left by an earlier run"));
        EXPECT_THAT(remove_leftovers(*netlink, {config}), IsEmpty());
    }
}

TEST_P(DataPlaneTest, AnotherProcessTakesOverWhatStands) {
    for (const MacMode mode : {MacMode::virtual_mac, MacMode::interface_mac}) {
        GroupConfig config = kBoth;
        config.mac = mode;
        const std::string before = snapshot();
        become_master(config);
        const std::string standing = snapshot();
        const DataPlane serving = std::move(*plane);
        make_plane();
        plane->stand_beside();
        prepare(config);
        EXPECT_EQ(snapshot(), standing);
        ASSERT_TRUE(install(config));
        ASSERT_FALSE(plane->take_over());
        EXPECT_THAT(remove_what_is_not_held(*netlink, {config}, *plane), IsEmpty());
        EXPECT_EQ(snapshot(), standing);
        them->enter();
        run("ip neigh flush dev eth0");  // of the other mode's MAC
        us->enter();
        EXPECT_TRUE(answers_them("192.0.2.100"));
        EXPECT_TRUE(answers_them("2001:db8::100"));
        plane->release(kGroup);
        settle();
        EXPECT_EQ(snapshot(), before);
    }
}

TEST_P(DataPlaneTest, WhatNobodyTakesOverIsRemoved) {
    const std::string before = snapshot();
    become_master(kBoth);
    const DataPlane serving = std::move(*plane);
    make_plane();
    plane->stand_beside();
    ASSERT_FALSE(plane->take_over());
    EXPECT_THAT(remove_what_is_not_held(*netlink, {kBoth}, *plane), Not(IsEmpty()));
    EXPECT_EQ(snapshot(), before);
}

TEST_P(DataPlaneTest, RemovesASharedAddressThatSomebodyConfigured) {
    run("ip address add 192.0.2.100/24 dev eth0 && ip address add 192.0.2.50/24 dev eth0");
    EXPECT_THAT(remove_leftovers(*netlink, {kBoth}),
                testing::ElementsAre("removed 192.0.2.100/24 from eth0, left by an earlier run"));
    EXPECT_THAT(output_of("ip address show dev eth0"), HasSubstr("192.0.2.50/24"));
}

// By a device of the name, and by a qdisc in the place of the gate's.
TEST_P(DataPlaneTest, SaysWhyItCannotPrepare) {
    run(has_gate() ? "tc qdisc add dev eth0 ingress"
                   : "ip link add carp" + std::to_string(eth0().ifindex()) + ".7 type veth");
    const auto error = plane->prepare(kGroup, kBoth, eth0());
    EXPECT_EQ(error.has_value(), GetParam() != Way::tcx) << "which needs no qdisc";
    if (!error) return;
    EXPECT_THAT(error->to_string(),
                HasSubstr(has_gate() ? "because there is the qdisc ingress" : "cannot add the device carp"));
    EXPECT_FALSE(install(kBoth));
    EXPECT_EQ(read_sysctl("ipv4/conf/eth0/arp_ignore"), 0);
}

INSTANTIATE_TEST_SUITE_P(
    , DataPlaneTest, testing::Values(Way::tcx, Way::clsact, Way::macvlan), [](const auto& test) {
        return std::string(test.param == Way::tcx ? "Tcx" : test.param == Way::clsact ? "Clsact" : "Macvlan");
    });

}  // namespace
}  // namespace carpd
