// The scenarios of the BSDs' own tests (FreeBSD tests/sys/netinet/carp.sh and carp.py, NetBSD
// tests/net/carp/t_basic.sh), after docs/protocol/carp.md §9, with faster timers.
#include <fmt/format.h>

#include "netns_test.h"

namespace carpd::lab {
namespace {

class Bsd : public NetnsTest {
 protected:
    // Exactly one of the two carpds is MASTER, and stays it for a while.
    void expect_one_master() {
        const auto masters = [&] {
            return (alpha_carpd().state("lan") == "master") + (beta_carpd().state("lan") == "master");
        };
        ASSERT_TRUE(wait_until([&] { return masters() == 1; }, 10s));
        const Time until = Clock::now() + 1s;
        while (Clock::now() < until) {
            ASSERT_EQ(masters(), 1);
            std::this_thread::sleep_for(20ms);
        }
    }
};

// basic_v4, basic_v6: two equal hosts, no password.
TEST_F(Bsd, BasicIpv4) {
    three_hosts();
    const Group group{.password = "", .advskew = 20};
    start(alpha(), group);
    start(beta(), group);
    expect_one_master();
    EXPECT_EQ(client().run({"ping", "-n", "-c3", "-i0.2", "-W1", kVip4}).exit_code, 0);
}

TEST_F(Bsd, BasicIpv6) {
    three_hosts();
    const Group group{.addresses = {"2001:db8::100/64"}, .password = "", .advskew = 20};
    start(alpha(), group);
    start(beta(), group);
    expect_one_master();
    EXPECT_EQ(client().run({"ping", "-n", "-c3", "-i0.2", "-W1", kVip6}).exit_code, 0);
}

// unicast_v4, unicast_v6: the hosts sit in two networks, and a router between them counts the hop limit down.
class Unicast : public Bsd, public testing::WithParamInterface<bool> {
 protected:
    void SetUp() override {
        Bsd::SetUp();
        if (IsSkipped()) return;
        left_ = &lab().add_host("left", {"192.0.2.1/24", "2001:db8:1::1/64"});
        right_ = &lab().add_host("right");
        router_ = &lab().add_host("router", {"192.0.2.254/24", "2001:db8:1::fe/64"});
        right_->attach("eth0", 1, {"198.51.100.1/24", "2001:db8:2::1/64"});
        router_->attach("eth1", 1, {"198.51.100.254/24", "2001:db8:2::fe/64"});
        router_->set("net/ipv4/ip_forward", "1");
        router_->set("net/ipv6/conf/all/forwarding", "1");
        left_->ip("route add default via 192.0.2.254\nroute add default via 2001:db8:1::fe");
        right_->ip("route add default via 198.51.100.254\nroute add default via 2001:db8:2::fe");
    }

    Group group(bool is_left, bool routed) const {
        Group result{.advskew = is_left ? kGoodSkew : kPoorSkew, .peer_routed = routed};
        if (GetParam()) {
            result.addresses = {"2001:db8:1::100/64"};
            result.peers = {is_left ? "2001:db8:2::1" : "2001:db8:1::1"};
        } else {
            result.addresses = {"192.0.2.100/24"};
            result.peers = {is_left ? "198.51.100.1" : "192.0.2.1"};
        }
        return result;
    }

    Host *left_ = nullptr, *right_ = nullptr, *router_ = nullptr;
};

TEST_P(Unicast, AcrossARouter) {
    start(*left_, group(true, true));
    ASSERT_TRUE(alpha_carpd().wait_state("lan", "master"));
    start(*right_, group(false, true));
    ASSERT_TRUE(wait_until([&] { return has_heard(beta_carpd()); }, 5s)) << beta_carpd().status();
    expect_one_master();
    EXPECT_EQ(alpha_carpd().state("lan"), "master");
    EXPECT_TRUE(pings(*router_, GetParam() ? "2001:db8:1::100" : "192.0.2.100"));
    left_->power_off();
    EXPECT_TRUE(beta_carpd().wait_state("lan", "master"));
}

// Without peer-routed a packet that passed a router is refused, as everywhere else.
TEST_P(Unicast, HopLimitIsCheckedUnlessPeersAreRouted) {
    start(*left_, group(true, true));
    start(*right_, group(false, false));
    EXPECT_TRUE(wait_until([&] { return beta_carpd().refused("lan", "bad_ttl") >= 3; }, 5s));
    EXPECT_TRUE(beta_carpd().wait_state("lan", "master")) << "it hears nobody it may listen to";
}

INSTANTIATE_TEST_SUITE_P(, Unicast, testing::Bool(),
                         [](const auto& test) { return test.param ? "Ipv6" : "Ipv4"; });

// negative_demotion (FreeBSD PR 259528): demoting the better host by -1 must not make two masters.
TEST_F(Bsd, NegativeDemotionNeverMakesTwoMasters) {
    three_hosts();
    start_pair(Group{}.with_skew(0).with_preempt(), 100);
    const Result result = alpha_carpd().carpctl({"demote", "lan", "--", "-1"});
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    expect_one_master();
    EXPECT_EQ(alpha_carpd().state("lan"), "master");
}

// nd6_ns_source_mac: a BACKUP can't use the address as its source; the MASTER can, from the virtual MAC.
TEST_F(Bsd, OnlyTheMasterMayUseTheAddressAsSource) {
    three_hosts();
    start_pair(Group{.addresses = {"192.0.2.100/24", "2001:db8::100/64"}});
    EXPECT_FALSE(pings(beta(), "192.0.2.9", kVip4));
    EXPECT_FALSE(pings(beta(), "2001:db8::9", kVip6));
    client().ip("neigh flush all");
    EXPECT_TRUE(pings(alpha(), "192.0.2.9", kVip4));
    EXPECT_TRUE(pings(alpha(), "2001:db8::9", kVip6));
    const std::string neighbours = client().run({"ip", "neigh", "show"}).output;
    EXPECT_THAT(neighbours, testing::HasSubstr("192.0.2.100 dev eth0 lladdr 00:00:5e:00:01:01"));
    EXPECT_THAT(neighbours, testing::HasSubstr("2001:db8::100 dev eth0 lladdr 00:00:5e:00:01:01"));
}

// switch: BACKUP and MASTER by hand.
TEST_F(Bsd, StateIsSwitchedByHand) {
    three_hosts();
    Carpd& carpd = start(alpha(), Group{}.with_skew(100));
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    EXPECT_EQ(carpd.carpctl({"state", "lan", "backup"}).exit_code, 0);
    EXPECT_EQ(carpd.state("lan"), "backup");
    EXPECT_FALSE(pings(client(), kVip4));
    EXPECT_EQ(carpd.carpctl({"state", "lan", "master"}).exit_code, 0);
    EXPECT_EQ(carpd.state("lan"), "master");
    EXPECT_EQ(reason_for(carpd, "master"), "operator's request");
    EXPECT_TRUE(pings(client(), kVip4));
}

// carp.py test_source_mac, for both families.
TEST_F(Bsd, AdvertisementsComeFromTheVirtualMac) {
    three_hosts();
    Capture capture(alpha());
    Carpd& carpd = start(alpha(), Group{.addresses = {"192.0.2.100/24", "2001:db8::100/64"}});
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    const auto both = [&] {
        bool ipv4 = false, ipv6 = false;
        for (const CapturedFrame& frame : capture.sent(&CapturedFrame::is_advertisement))
            (frame.ethertype() == 0x0800 ? ipv4 : ipv6) = true;
        return ipv4 && ipv6;
    };
    ASSERT_TRUE(wait_until(both, 5s));
    for (const CapturedFrame& frame : capture.sent(&CapturedFrame::is_advertisement)) {
        EXPECT_EQ(frame.source(), kVirtualMac);
        const bool ipv4 = frame.ethertype() == 0x0800;
        EXPECT_EQ(frame.destination().to_string(), ipv4 ? "01:00:5e:00:00:12" : "33:33:00:00:00:12");
    }
}

// NetBSD's matrix: family, how the master goes, and whether the interfaces have addresses of their own.
// Without one, both hosts advertise from the shared address itself.
struct MatrixCase {
    bool ipv6, halted, own_address;
};

class NetBsd : public Bsd, public testing::WithParamInterface<MatrixCase> {};

TEST_P(NetBsd, TheAddressSurvives) {
    const auto [ipv6, halted, own_address] = GetParam();
    const std::string prefix = ipv6 ? "2001:db8::" : "192.0.2.", length = ipv6 ? "/64" : "/24";
    const auto own = [&](int number) {
        return own_address ? std::vector{fmt::format("{}{}{}", prefix, number, length)}
                           : std::vector<std::string>{};
    };
    Host& master = lab().add_host("master", own(1));
    Host& backup = lab().add_host("backup", own(2));
    Host& user = lab().add_host("user", {prefix + "9" + length});
    Capture capture(master);
    const Group group{.vhid = 175, .addresses = {prefix + "100" + length}};
    start(master, group);
    ASSERT_TRUE(alpha_carpd().wait_state("lan", "master"));
    start(backup, group.with_skew(kPoorSkew));
    ASSERT_TRUE(wait_until([&] { return has_heard(beta_carpd()); }, 5s)) << beta_carpd().status();
    EXPECT_EQ(beta_carpd().state("lan"), "backup");
    EXPECT_TRUE(wait_until([&] { return pings(user, prefix + "100"); }, 5s));

    if (!own_address && !ipv6) {
        EXPECT_EQ(capture.sent(&CapturedFrame::is_advertisement).at(0).ip_source().to_string(),
                  prefix + "100");
    }
    if (halted)
        master.power_off();
    else
        master.ip("link set eth0 down");
    if (own_address) {
        EXPECT_FALSE(pings(user, prefix + "1"));
    }
    EXPECT_TRUE(beta_carpd().wait_state("lan", "master"));
    EXPECT_TRUE(wait_until([&] { return pings(user, prefix + "100"); }, 5s));
    if (!halted) {
        EXPECT_EQ(alpha_carpd().state("lan"), "init");
    }
}

INSTANTIATE_TEST_SUITE_P(, NetBsd,
                         testing::Values(MatrixCase{false, true, true}, MatrixCase{false, true, false},
                                         MatrixCase{false, false, true}, MatrixCase{false, false, false},
                                         MatrixCase{true, true, true}, MatrixCase{true, true, false},
                                         MatrixCase{true, false, true}, MatrixCase{true, false, false}),
                         [](const auto& test) {
                             return fmt::format("{}{}{}", test.param.ipv6 ? "Ipv6" : "Ipv4",
                                                test.param.halted ? "MasterHalted" : "InterfaceDown",
                                                test.param.own_address ? "" : "NoOwnAddress");
                         });

}  // namespace
}  // namespace carpd::lab
