// `carpctl explain` on both hosts of a pair: what it says is how things are.
#include "netns_test.h"

namespace carpd::lab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class Explain : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (!IsSkipped()) three_hosts();
    }
    static std::string explain(const Carpd& carpd) {
        const Result result = carpd.carpctl({"explain", "lan"});
        EXPECT_EQ(result.exit_code, 0) << result.errors;
        return result.output;
    }
};

TEST_F(Explain, WhyAPairIsAsItIs) {
    start_pair(Group{});
    EXPECT_THAT(explain(alpha_carpd()),
                AllOf(StartsWith("lan: MASTER for "), HasSubstr("the cause: master timed out."),
                      HasSubstr("This host: advertisement time 39.1 ms (advbase 0, advskew 10), demotion 0."),
                      HasSubstr("No other MASTER is heard."), HasSubstr("(its lease)")));
    EXPECT_THAT(
        explain(beta_carpd()),
        AllOf(StartsWith("lan: BACKUP for "), HasSubstr("the cause: started."),
              HasSubstr("The master is 192.0.2.1, heard "),
              HasSubstr("This host: advertisement time 195.3 ms (advbase 0, advskew 50), demotion 0."),
              HasSubstr("The master advertises more often, so it is the better one."),
              HasSubstr("It takes over when the master is silent for ")));
}

TEST_F(Explain, ADemotionByAnOperatorAndWhatIsLeftOfIt) {
    start_pair(Group{});
    ASSERT_EQ(alpha_carpd().carpctl({"demote", "lan", "10"}).exit_code, 0);
    ASSERT_TRUE(beta_carpd().wait_state("lan", "master"));
    ASSERT_TRUE(alpha_carpd().wait_state("lan", "backup"));
    EXPECT_THAT(
        explain(alpha_carpd()),
        AllOf(StartsWith("lan: BACKUP for "), HasSubstr("The master is 192.0.2.2, heard "),
              HasSubstr(
                  "It is demoted by 10 (operator): an operator did that; ends with `carpctl demote lan 0`."),
              HasSubstr("The master is demoted by less (0 against 10), so it is the better one. Without this "
                        "host's demotion, it would be the better one, but stay BACKUP as long as the master "
                        "lives: preempt is off.")));
    EXPECT_THAT(explain(beta_carpd()),
                AllOf(StartsWith("lan: MASTER for "), HasSubstr("the cause: master is more demoted.")));
    ASSERT_EQ(alpha_carpd().carpctl({"demote", "lan", "0"}).exit_code, 0);
    EXPECT_THAT(explain(alpha_carpd()), HasSubstr("This host is the better one, but stays BACKUP as long as "
                                                  "the master lives: preempt is off."));
    // The advice is good.
    ASSERT_EQ(alpha_carpd().carpctl({"state", "lan", "master"}).exit_code, 0);
    ASSERT_TRUE(beta_carpd().wait_state("lan", "backup"));
    EXPECT_EQ(alpha_carpd().state("lan"), "master");
    EXPECT_THAT(explain(alpha_carpd()), HasSubstr("An operator asked for this state (`carpctl state`)"));
}

TEST_F(Explain, ACableThatIsPulled) {
    start_pair(Group{});
    alpha().cut();
    ASSERT_TRUE(alpha_carpd().wait_state("lan", "init"));
    ASSERT_TRUE(beta_carpd().wait_state("lan", "master"));
    EXPECT_THAT(explain(alpha_carpd()),
                AllOf(StartsWith("lan: In INIT for "), HasSubstr("the cause: interface has no link."),
                      HasSubstr("eth0 is up, but has no carrier"),
                      HasSubstr("Until then it takes no part in the election")));
    EXPECT_THAT(explain(beta_carpd()), HasSubstr("the cause: master timed out."));
}

TEST_F(Explain, PasswordsThatDiffer) {
    start(alpha(), Group{});
    ASSERT_TRUE(alpha_carpd().wait_state("lan", "master"));
    Group other = Group{}.with_skew(kPoorSkew);
    other.password = "another";
    start(beta(), other);
    ASSERT_TRUE(beta_carpd().wait_state("lan", "master"));
    ASSERT_TRUE(wait_until([&] { return alpha_carpd().refused("lan", "bad_digest") > 0; }, 10s));
    EXPECT_THAT(
        explain(alpha_carpd()),
        AllOf(HasSubstr("Advertisements with vhid 1 are refused as bad_digest, "),
              HasSubstr("since carpd started: password or address list differs from the sender's. The last "
                        "came from 192.0.2.2, ")));
}

TEST_F(Explain, TellsProgramsAndRefusesWhatIsNot) {
    start_pair(Group{});
    const Result result = beta_carpd().carpctl({"-j", "explain"});
    ASSERT_EQ(result.exit_code, 0) << result.errors;
    const nlohmann::json json = nlohmann::json::parse(result.output);
    EXPECT_EQ(json.at("schema"), 1);
    const nlohmann::json& group = json.at("groups").at(0);
    EXPECT_EQ(group.at("obstacle"), "faster");
    std::vector<std::string> codes;
    for (const auto& reason : group.at("reasons")) codes.push_back(reason.at("code"));
    EXPECT_THAT(codes, testing::ElementsAre("backup", "master", "own_numbers", "faster", "would_take_over"));

    const Result unknown = beta_carpd().carpctl({"explain", "nosuch"});
    EXPECT_EQ(unknown.exit_code, 1);
    EXPECT_EQ(unknown.errors, "carpctl: there is no group 'nosuch'; there are: lan\n");
    EXPECT_EQ(beta_carpd().stop(), 0);
    EXPECT_EQ(beta_carpd().carpctl({"explain"}).exit_code, 3);
}

}  // namespace
}  // namespace carpd::lab
