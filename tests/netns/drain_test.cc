// `carpctl drain`: a host hands over before maintenance, and its operator knows that somebody took over.
#include "netns_test.h"

namespace carpd::lab {
namespace {

using testing::HasSubstr;

class Drain : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (!IsSkipped()) three_hosts();
    }
};

TEST_F(Drain, SaysWhoTookOver) {
    start_pair(Group{}.with_preempt());
    const Probes probes(client(), {"192.0.2.100/24"});
    ASSERT_TRUE(probes.wait_answer(&alpha()));
    const Time before = Clock::now() - 200ms;

    const Result drained = alpha_carpd().carpctl({"drain"});
    EXPECT_EQ(drained.exit_code, 0) << drained.errors;
    EXPECT_EQ(drained.output, "lan: 192.0.2.2 is MASTER\nDrained, until carpd stops or `carpctl undrain`.\n");
    EXPECT_EQ(alpha_carpd().state("lan"), "backup");
    EXPECT_EQ(beta_carpd().state("lan"), "master");
    ASSERT_TRUE(probes.wait_answer(&beta()));
    probes.expect_hand_over(before, {alpha().number(), beta().number()}, 500ms);

    EXPECT_THAT(alpha_carpd().carpctl({"explain", "lan"}).output, HasSubstr("ends with `carpctl undrain`"));
    EXPECT_EQ(alpha_carpd().carpctl({"undrain"}).exit_code, 0);
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "master")) << "it preempts";
}

TEST_F(Drain, EndsWhenItIsTold) {
    start_pair(Group{}.with_preempt());
    const Result drained = alpha_carpd().carpctl({"drain", "--for", "3s"});
    EXPECT_EQ(drained.exit_code, 0) << drained.errors;
    EXPECT_THAT(drained.output, HasSubstr("Drained for 3.0 s, or until `carpctl undrain`.\n"));
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "master")) << "it preempts";
    EXPECT_EQ(alpha_carpd().group("lan").at("demotion"), 0);
    const Result nonsense = alpha_carpd().carpctl({"drain", "--until", "4 pm"});
    EXPECT_EQ(nonsense.exit_code, 2);
    EXPECT_THAT(nonsense.errors, HasSubstr("'4 pm' is no time"));
    EXPECT_EQ(alpha_carpd().group("lan").at("demotion"), 0);
}

// A new group, too, is one of a host that is drained.
TEST_F(Drain, StaysOverAReload) {
    start_pair(Group{});
    ASSERT_EQ(alpha_carpd().carpctl({"drain"}).exit_code, 0);
    alpha_carpd().apply(Group{}.text() +
                        Group{.name = "more", .vhid = 2, .addresses = {"192.0.2.101/24"}}.text());
    EXPECT_EQ(alpha_carpd().group("more").at("demotion"), 200);
}

TEST_F(Drain, SaysThatNobodyTookOver) {
    const Carpd& alone = start(alpha(), Group{});
    ASSERT_TRUE(alone.wait_state("lan", "master"));
    const Result refused = alone.carpctl({"drain", "lan", "--wait", "0"});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.errors, HasSubstr("still MASTER of lan"));
    EXPECT_THAT(refused.errors, HasSubstr("`carpctl undrain lan`"));
    EXPECT_EQ(alone.state("lan"), "master") << "better than nobody";
    const Result json = alone.carpctl({"-j", "drain", "lan", "--wait", "0"});
    EXPECT_EQ(nlohmann::json::parse(json.output),
              nlohmann::json::parse(R"({"schema": 1, "moved": [], "still_master": ["lan"]})"));
    EXPECT_EQ(alone.carpctl({"undrain", "lan"}).exit_code, 0);
    EXPECT_EQ(alone.group("lan").at("demotion"), 0);
}

TEST_F(Drain, KnowsItsGroups) {
    const Carpd& alone = start(alpha(), Group{});
    const Result refused = alone.carpctl({"drain", "wan"});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.errors, HasSubstr("there is no group 'wan'; there are: lan"));
}

}  // namespace
}  // namespace carpd::lab
