// Two hosts between two LANs, as firewalls are, with a group on each and both groups in a set.
#include <fmt/format.h>

#include "netns_test.h"

namespace carpd::lab {
namespace {

constexpr const char* kSet = "[[together]]\nname = \"edge\"\ngroups = [\"lan\", \"wan\"]\n";

class TogetherTest : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (IsSkipped()) return;
        three_hosts();
        alpha().attach("eth1", 1, {"198.51.100.1/24"});
        beta().attach("eth1", 1, {"198.51.100.2/24"});
        outside_ = &lab().add_host("outside");
        outside_->attach("eth1", 1, {"198.51.100.9/24"});
    }

    std::string groups(int skew, bool preempt) const {
        Group lan{.advskew = skew, .preempt = preempt};
        Group wan{.name = "wan", .interface = "eth1", .vhid = 2, .addresses = {"198.51.100.100/24"}};
        wan.advskew = skew;
        return lan.text() + wan.text() + kSet;
    }
    void start_both(bool preempt = false) {
        start(alpha(), groups(kGoodSkew, preempt));
        ASSERT_TRUE(wait_both(alpha_carpd(), "master"));
        start(beta(), groups(kPoorSkew, false));
        ASSERT_TRUE(wait_until(
            [&] { return has_heard(beta_carpd(), "lan") && has_heard(beta_carpd(), "wan"); }, 10s));
        ASSERT_TRUE(wait_both(beta_carpd(), "backup"));
    }
    static bool wait_both(const Carpd& carpd, const std::string& state) {
        return carpd.wait_state("lan", state) && carpd.wait_state("wan", state);
    }
    Probes inside() { return Probes(client(), {"192.0.2.100/24"}); }
    Probes outside() { return Probes(*outside_, {"198.51.100.100/24"}); }

    Host* outside_ = nullptr;
};

TEST_F(TogetherTest, OneCablePulledMovesBothGroups) {
    start_both();
    const Probes in = inside(), out = outside();
    ASSERT_TRUE(in.wait_answer(&alpha()));
    ASSERT_TRUE(out.wait_answer(&alpha()));
    const Time before = Clock::now() - 200ms;
    alpha().cut();
    EXPECT_TRUE(wait_both(beta_carpd(), "master"));
    EXPECT_TRUE(alpha_carpd().wait_state("wan", "backup"));
    EXPECT_EQ(alpha_carpd().group("wan").at("demotion_reasons").at("together:lan"), 255);
    ASSERT_TRUE(in.wait_answer(&beta()));
    ASSERT_TRUE(out.wait_answer(&beta()));
    in.expect_hand_over(before, {alpha().number(), beta().number()}, 1s);
    out.expect_hand_over(before, {alpha().number(), beta().number()}, 1s);
}

TEST_F(TogetherTest, BothGroupsReturnTogether) {
    start_both(true);
    alpha().cut();
    ASSERT_TRUE(wait_both(beta_carpd(), "master"));
    const Probes in = inside(), out = outside();
    ASSERT_TRUE(in.wait_answer(&beta()));
    ASSERT_TRUE(out.wait_answer(&beta()));
    const Time before = Clock::now() - 100ms;
    alpha().restore();
    EXPECT_TRUE(wait_both(alpha_carpd(), "master"));
    ASSERT_TRUE(in.wait_answer(&alpha()));
    ASSERT_TRUE(out.wait_answer(&alpha()));
    in.expect_hand_over(before, {beta().number(), alpha().number()}, 500ms);
    out.expect_hand_over(before, {beta().number(), alpha().number()}, 500ms);
}

// Beta's lan is deaf, and its own port works: without the set it would become a second master there.
TEST_F(TogetherTest, ADeafBackupIsHeld) {
    start_both();
    beta().port("eth0").set_forwarding(false);
    ASSERT_TRUE(wait_until([&] { return beta_carpd().group("lan").at("held_by") == "wan"; }, 10s));
    EXPECT_EQ(beta_carpd().state("lan"), "backup");
    EXPECT_GE(beta_carpd().group("lan").at("counters").at("takeovers_held"), 1);
    EXPECT_EQ(beta_carpd().group("lan").at("together"), "edge");
    alpha().power_off();
    EXPECT_TRUE(wait_both(beta_carpd(), "master"));
}

TEST_F(TogetherTest, CarpctlMovesBothGroups) {
    start_both();
    EXPECT_EQ(alpha_carpd().carpctl({"state", "wan", "backup"}).exit_code, 0);
    EXPECT_TRUE(wait_both(beta_carpd(), "master"));
    EXPECT_TRUE(wait_both(alpha_carpd(), "backup"));
}

}  // namespace
}  // namespace carpd::lab
