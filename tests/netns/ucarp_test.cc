// carpd beside ucarp, the foreign implementation on Linux: in both roles, with both kinds of MAC.
#include "netns_test.h"

namespace carpd::lab {
namespace {

class WithUcarp : public NetnsTest, public testing::WithParamInterface<const char*> {
 protected:
    void SetUp() override {
        if (!Ucarp::installed()) GTEST_SKIP() << "ucarp is not installed";
        NetnsTest::SetUp();
        if (IsSkipped()) return;
        three_hosts();
    }

    // carpd always runs on alpha (.1), ucarp on beta (.2), unless a test says otherwise.
    Group group(int advskew) {
        Group result;
        result.advskew = advskew;
        result.mac = GetParam();
        return result;
    }
    static UcarpOptions options(int advskew) {
        return {
            .source = "192.0.2.2", .address = kVip4, .password = "s3cret", .advbase = 0, .advskew = advskew};
    }
};

// ucarp's timers: its interval as a master is advskew/256 s; as a backup it looks at its clock only once an
// advskew/256 s.
constexpr int kGoodUcarp = 20;   // 78 ms
constexpr int kPoorUcarp = 200;  // 0.8 s
constexpr int kPoor = 120;       // carpd's master-down time is 1.4 s then

TEST_P(WithUcarp, TakesOverFromCarpd) {
    Carpd& carpd = start(alpha(), group(kGoodUcarp));
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    Ucarp ucarp(beta(), options(kPoorUcarp));
    const Probe probe(client(), kVip4, 2ms);
    ASSERT_TRUE(probe.wait_answer(&alpha(), 5s));
    // It hears carpd and keeps quiet for longer than its own patience.
    std::this_thread::sleep_for(1500ms);
    EXPECT_FALSE(ucarp.is_master()) << ucarp.log();
    alpha().power_off();
    EXPECT_TRUE(ucarp.wait_master(true)) << ucarp.log();
    EXPECT_TRUE(probe.wait_answer(&beta(), 5s));
}

TEST_P(WithUcarp, IsTakenOverByCarpd) {
    Ucarp ucarp(beta(), options(kGoodUcarp));
    ASSERT_TRUE(ucarp.wait_master(true)) << ucarp.log();
    Carpd& carpd = start(alpha(), group(kPoor));
    ASSERT_TRUE(wait_until([&] { return has_heard(carpd); }, 5s));
    const Probe probe(client(), kVip4, 2ms);
    ASSERT_TRUE(probe.wait_answer(&beta(), 5s));
    std::this_thread::sleep_for(1500ms);
    EXPECT_EQ(carpd.state("lan"), "backup");
    EXPECT_EQ(carpd.refused("lan", "bad_digest"), 0u);
    EXPECT_GT(carpd.group("lan").at("counters").at("advertisements_received_ipv4"), 5);
    beta().power_off();
    EXPECT_TRUE(carpd.wait_state("lan", "master"));
    EXPECT_EQ(reason_for(carpd, "master"), "master timed out");
    EXPECT_TRUE(probe.wait_answer(&alpha(), 5s));
}

TEST_P(WithUcarp, IsPreemptedByCarpd) {
    Ucarp ucarp(beta(), options(kPoorUcarp));
    ASSERT_TRUE(ucarp.wait_master(true)) << ucarp.log();
    // Its own advertisements come every 0.8 s; a better carpd must not time out on them first.
    Group better = group(kPoor).with_preempt();
    Carpd& carpd = start(alpha(), better);
    EXPECT_TRUE(carpd.wait_state("lan", "master"));
    EXPECT_EQ(reason_for(carpd, "master"), "preempting a slower master");
    EXPECT_TRUE(ucarp.wait_master(false)) << ucarp.log();
    const Probe probe(client(), kVip4, 2ms);
    EXPECT_TRUE(probe.wait_answer(&alpha(), 5s));
}

TEST_P(WithUcarp, PreemptsCarpd) {
    Carpd& carpd = start(alpha(), group(kPoorSkew));
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    UcarpOptions better = options(kGoodUcarp);
    better.preempt = true;
    Ucarp ucarp(beta(), better);
    EXPECT_TRUE(ucarp.wait_master(true)) << ucarp.log();
    EXPECT_TRUE(carpd.wait_state("lan", "backup"));
    EXPECT_EQ(reason_for(carpd, "backup"), "more frequent advertisement received");
    const Probe probe(client(), kVip4, 2ms);
    EXPECT_TRUE(probe.wait_answer(&beta(), 5s));
}

// carpd's bow-out makes ucarp take over at once, although it would wait 3 s otherwise.
TEST_P(WithUcarp, UnderstandsTheBowOut) {
    Carpd& carpd = start(alpha(), group(kGoodUcarp));
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    UcarpOptions slow = options(0);
    slow.advbase = 1;
    Ucarp ucarp(beta(), slow);
    std::this_thread::sleep_for(1s);  // it reads its first advertisements
    ASSERT_FALSE(ucarp.is_master()) << ucarp.log();
    const Time stopped = Clock::now();
    EXPECT_EQ(carpd.stop(), 0);
    EXPECT_TRUE(ucarp.wait_master(true)) << ucarp.log();
    EXPECT_LT(to_ms(Clock::now() - stopped), 2500);
}

// ucarp says nothing when it stops: carpd waits its time out.
TEST_P(WithUcarp, StopsWithoutABowOut) {
    Ucarp ucarp(beta(), options(kGoodUcarp));
    ASSERT_TRUE(ucarp.wait_master(true)) << ucarp.log();
    Carpd& carpd = start(alpha(), group(kPoor));
    ASSERT_TRUE(wait_until([&] { return has_heard(carpd); }, 5s));
    ucarp.stop();
    EXPECT_TRUE(carpd.wait_state("lan", "master"));
    EXPECT_EQ(reason_for(carpd, "master"), "master timed out");
    const Probe probe(client(), kVip4, 2ms);
    EXPECT_TRUE(probe.wait_answer(&alpha(), 5s));
}

INSTANTIATE_TEST_SUITE_P(, WithUcarp, testing::Values("virtual", "interface"), [](const auto& test) {
    return std::string(test.param) == "virtual" ? "VirtualMac" : "InterfaceMac";
});

// Two equal masters, made by a split network that heals: the lower address stays, whoever has it. (ucarp
// compares addresses with the last octet first, so this holds within a /24; docs/protocol/carp.md.)
class Tie : public NetnsTest, public testing::WithParamInterface<bool> {};

TEST_P(Tie, GoesToTheLowerAddress) {
    if (!Ucarp::installed()) GTEST_SKIP() << "ucarp is not installed";
    three_hosts();
    const bool carpd_is_lower = GetParam();
    Host& ours = carpd_is_lower ? alpha() : beta();
    Host& theirs = carpd_is_lower ? beta() : alpha();
    theirs.port().set_forwarding(false);
    Carpd& carpd = start(ours, Group{.advskew = kGoodUcarp});
    Ucarp ucarp(theirs, {.source = carpd_is_lower ? "192.0.2.2" : "192.0.2.1",
                         .address = kVip4,
                         .password = "s3cret",
                         .advbase = 0,
                         .advskew = kGoodUcarp});
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    ASSERT_TRUE(ucarp.wait_master(true)) << ucarp.log();

    theirs.port().set_forwarding(true);
    EXPECT_TRUE(ucarp.wait_master(!carpd_is_lower)) << ucarp.log();
    EXPECT_TRUE(carpd.wait_state("lan", carpd_is_lower ? "master" : "backup"));
    const Probe probe(client(), kVip4, 2ms);
    EXPECT_TRUE(probe.wait_answer(&alpha(), 5s));  // alpha is the lower
    EXPECT_EQ(carpd.state("lan"), carpd_is_lower ? "master" : "backup");
}

INSTANTIATE_TEST_SUITE_P(, Tie, testing::Bool(),
                         [](const auto& test) { return test.param ? "Carpd" : "Ucarp"; });

// The defaults of real installations, once: advbase 1.
TEST_F(NetnsTest, UcarpAtOneSecond) {
    if (!Ucarp::installed()) GTEST_SKIP() << "ucarp is not installed";
    three_hosts();
    Ucarp ucarp(beta(),
                {.source = "192.0.2.2", .address = kVip4, .password = "s3cret", .advbase = 1, .advskew = 0});
    ASSERT_TRUE(ucarp.wait_master(true, 15s)) << ucarp.log();
    Carpd& carpd = start(alpha(), Group{.advbase = 1, .advskew = 100});
    const auto heard_three = [&] {
        return carpd.group("lan").at("counters").at("advertisements_received_ipv4").get<int>() >= 3;
    };
    ASSERT_TRUE(wait_until(heard_three, 10s));
    EXPECT_EQ(carpd.state("lan"), "backup");
    const Probe probe(client(), kVip4, 5ms);
    ASSERT_TRUE(probe.wait_answer(&beta(), 5s));
    const Time before = Clock::now() - 200ms;
    beta().power_off();
    EXPECT_TRUE(carpd.wait_state("lan", "master"));
    ASSERT_TRUE(probe.wait_answer(&alpha(), 5s));
    EXPECT_LE(to_ms(probe.outage(before).duration), 3391 + 500);
}

}  // namespace
}  // namespace carpd::lab
