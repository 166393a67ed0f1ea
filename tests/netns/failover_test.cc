// Two carpds and a client: every way in which a master goes, for IPv4, IPv6 and both, with the virtual MAC
// (by the BPF gate and by macvlan) and the interface's own.
#include <fmt/format.h>

#include "netns_test.h"

namespace carpd::lab {
namespace {

struct Case {
    const char* name;
    std::vector<std::string> addresses;
    const char* mac;
    const char* dataplane = "auto";
};

class Failover : public NetnsTest, public testing::WithParamInterface<Case> {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (IsSkipped()) return;
        three_hosts();
        group_.addresses = GetParam().addresses;
        group_.mac = GetParam().mac;
        dataplane_ = GetParam().dataplane;
    }
    Probes probe() { return Probes(client(), group_.addresses); }

    Group group_;
};

// Beta's master-down time, and what this machine may add to it.
constexpr Span kDownBound = 586ms + 500ms;
// Far below beta's master-down time of 2.9 s, so that only a bow-out explains it.
constexpr int kVeryPoorSkew = 250;
constexpr Span kBowOutBound = 1s;

TEST_P(Failover, PowerOfTheMasterIsCut) {
    start_pair(group_);
    const Probes probes = probe();
    ASSERT_TRUE(probes.wait_answer(&alpha()));
    const Time before = Clock::now() - 200ms;
    alpha().power_off();
    EXPECT_TRUE(beta_carpd().wait_state("lan", "master"));
    EXPECT_THAT(reason_for(beta_carpd(), "master"), testing::HasSubstr("master timed out"));
    ASSERT_TRUE(probes.wait_answer(&beta()));
    probes.expect_hand_over(before, {alpha().number(), beta().number()}, kDownBound);
}

TEST_P(Failover, MasterIsStoppedInOrder) {
    start_pair(group_, kVeryPoorSkew);
    const Probes probes = probe();
    ASSERT_TRUE(probes.wait_answer(&alpha()));
    const Time before = Clock::now() - 200ms;
    EXPECT_EQ(alpha_carpd().stop(), 0);
    EXPECT_TRUE(beta_carpd().wait_state("lan", "master"));
    EXPECT_EQ(reason_for(beta_carpd(), "master"), "master bowed out");
    ASSERT_TRUE(probes.wait_answer(&beta()));
    probes.expect_hand_over(before, {alpha().number(), beta().number()}, kBowOutBound);
}

TEST_P(Failover, LinkOfTheMasterGoesDownAndComesBack) {
    start_pair(group_.with_skew(kAlmostPoorSkew));
    const Probes probes = probe();
    ASSERT_TRUE(probes.wait_answer(&alpha()));
    const Time before = Clock::now() - 200ms;
    alpha().cut();
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "init"));
    EXPECT_EQ(reason_for(alpha_carpd(), "init"), "interface has no link");
    EXPECT_TRUE(beta_carpd().wait_state("lan", "master"));
    ASSERT_TRUE(probes.wait_answer(&beta()));

    // Back again, the better host stays BACKUP, because nobody told it to preempt.
    const Time restored = Clock::now();
    alpha().restore();
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "backup"));
    EXPECT_TRUE(wait_until([&] { return has_heard(alpha_carpd(), "lan", kPoorSkew); }, 5s));
    EXPECT_EQ(beta_carpd().state("lan"), "master");
    probes.expect_hand_over(before, {alpha().number(), beta().number()}, kDownBound);
    probes.expect_hand_over(restored, {beta().number()}, 100ms);
}

TEST_P(Failover, BetterMasterReturnsAndPreempts) {
    start_pair(group_.with_skew(kAlmostPoorSkew).with_preempt());
    const Probes probes = probe();
    ASSERT_TRUE(probes.wait_answer(&alpha()));
    alpha().cut();
    ASSERT_TRUE(beta_carpd().wait_state("lan", "master"));
    ASSERT_TRUE(probes.wait_answer(&beta()));
    const Time before = Clock::now() - 100ms;
    alpha().restore();
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "master"));
    EXPECT_TRUE(beta_carpd().wait_state("lan", "backup"));
    EXPECT_EQ(reason_for(alpha_carpd(), "master"), "preempting a slower master");
    EXPECT_EQ(reason_for(beta_carpd(), "backup"), "more frequent advertisement received");
    ASSERT_TRUE(probes.wait_answer(&alpha()));
    probes.expect_hand_over(before, {beta().number(), alpha().number()}, 500ms);
}

INSTANTIATE_TEST_SUITE_P(
    , Failover,
    testing::Values(Case{"Ipv4", {"192.0.2.100/24"}, "virtual"},
                    Case{"Ipv6", {"2001:db8::100/64"}, "virtual"},
                    Case{"Both", {"192.0.2.100/24", "2001:db8::100/64"}, "virtual"},
                    Case{"BothInterfaceMac", {"192.0.2.100/24", "2001:db8::100/64"}, "interface"},
                    Case{"BothMacvlan", {"192.0.2.100/24", "2001:db8::100/64"}, "virtual", "macvlan"}),
    [](const auto& test) { return std::string(test.param.name); });

// Many addresses of both families move together.
TEST_F(NetnsTest, TenAddressesMoveTogether) {
    three_hosts();
    Group group;
    group.addresses.clear();
    for (int i = 0; i < 5; ++i) {
        group.addresses.push_back(fmt::format("192.0.2.{}/24", 100 + i));
        group.addresses.push_back(fmt::format("2001:db8::{}/64", 100 + i));
    }
    start_pair(group);
    const Probes probes(client(), group.addresses, 10ms);
    ASSERT_TRUE(probes.wait_answer(&alpha()));
    const Time before = Clock::now() - 200ms;
    alpha().power_off();
    ASSERT_TRUE(probes.wait_answer(&beta()));
    probes.expect_hand_over(before, {alpha().number(), beta().number()}, kDownBound);
}

// Two groups crossed: each host is master of one, and takes the other's when it must.
TEST_F(NetnsTest, TwoGroupsSpreadOverTwoHosts) {
    three_hosts();
    Group one{.name = "one", .vhid = 1, .addresses = {"192.0.2.100/24"}};
    Group two{.name = "two", .vhid = 2, .addresses = {"192.0.2.101/24"}};
    start(alpha(), one.text() + two.with_skew(kPoorSkew).text());
    start(beta(), one.with_skew(kPoorSkew).text() + two.with_preempt().text());
    ASSERT_TRUE(alpha_carpd().wait_state("one", "master"));
    ASSERT_TRUE(beta_carpd().wait_state("two", "master"));
    ASSERT_TRUE(alpha_carpd().wait_state("two", "backup"));
    ASSERT_TRUE(beta_carpd().wait_state("one", "backup"));
    const Probe first(client(), "192.0.2.100", 2ms), second(client(), "192.0.2.101", 2ms);
    EXPECT_TRUE(first.wait_answer(&alpha(), 5s));
    EXPECT_TRUE(second.wait_answer(&beta(), 5s));
    beta().power_off();
    EXPECT_TRUE(second.wait_answer(&alpha(), 5s));
    EXPECT_EQ(alpha_carpd().state("one"), "master");
}

}  // namespace
}  // namespace carpd::lab
