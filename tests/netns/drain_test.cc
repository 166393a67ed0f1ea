// `carpctl drain`: a host hands over before maintenance, and its operator knows that somebody took over.
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

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

// A host that is to be repaired stays away however often it starts; alpha would preempt.
TEST_F(Drain, StaysOverARestart) {
    start_pair(Group{}.with_preempt());
    const Result drained = alpha_carpd().carpctl({"drain", "--persist"});
    EXPECT_EQ(drained.exit_code, 0) << drained.errors;
    EXPECT_THAT(drained.output,
                HasSubstr("Drained, also when carpd or this host starts again, until `carpctl undrain`.\n"));
    EXPECT_THAT(alpha_carpd().carpctl({"explain", "lan"}).output,
                HasSubstr("ends not when carpd starts again, but with `carpctl undrain`"));

    // Its engine dies.
    const auto lan = [&]() -> nlohmann::json {
        try {
            return alpha_carpd().group("lan");
        } catch (const std::exception&) {
            return {{"last_heard", nullptr}};  // nobody answers at the moment
        }
    };
    const pid_t engine = alpha_carpd().engine_pid();
    ::kill(engine, SIGKILL);
    const auto is_back = [&] {
        return !lan().at("last_heard").is_null() && alpha_carpd().engine_pid() != engine;
    };
    ASSERT_TRUE(wait_until(is_back, 10s));
    EXPECT_EQ(lan().at("demotion_reasons"), nlohmann::json({{"carp:drain", 200}}));

    // All of it ends, and starts again.
    EXPECT_EQ(alpha_carpd().stop(), 0);
    Process again = alpha().spawn({carpd_program(), "-f", alpha_carpd().config_file()});
    ASSERT_TRUE(wait_until([&] { return !lan().at("last_heard").is_null(); }, 10s));
    EXPECT_EQ(lan().at("demotion_reasons"), nlohmann::json({{"carp:drain", 200}}));
    EXPECT_EQ(lan().at("counters").at("transitions_to_master"), 0);
    EXPECT_EQ(beta_carpd().state("lan"), "master");

    EXPECT_EQ(alpha_carpd().carpctl({"undrain"}).exit_code, 0);
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "master")) << "it preempts";
    for (const auto& file : std::filesystem::directory_iterator(lab().state_folder()))
        EXPECT_NE(file.path().extension(), ".demotions");
}

TEST_F(Drain, ThatCantBeKeptChangesNothing) {
    const std::string folder = lab().state_folder();
    std::ofstream(folder) << "no directory";
    const Carpd& alone = start(alpha(), Group{});
    EXPECT_EQ(alone.group("lan").at("demotion"), 200) << "what should be there can't be read";
    EXPECT_THAT(alone.log(), HasSubstr("Not a directory"));
    for (const char* command : {"drain", "undrain"}) {
        const Result refused = alone.carpctl({command, "lan"});
        EXPECT_EQ(refused.exit_code, 0) << "nothing of it is kept";
    }
    const Result refused = alone.carpctl({"drain", "lan", "--persist"});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.errors, HasSubstr("nothing was changed: cannot"));
    EXPECT_THAT(refused.errors, HasSubstr(folder));
    EXPECT_EQ(alone.group("lan").at("demotion_reasons"), nlohmann::json({{"carp:drain", 200}}));
}

TEST_F(Drain, KnowsItsGroups) {
    const Carpd& alone = start(alpha(), Group{});
    const Result refused = alone.carpctl({"drain", "wan"});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.errors, HasSubstr("there is no group 'wan'; there are: lan"));
}

}  // namespace
}  // namespace carpd::lab
