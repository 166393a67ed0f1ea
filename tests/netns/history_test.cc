// What carpctl knows of the time before an engine, or carpd, was started.
#include <fmt/chrono.h>

#include <csignal>
#include <ctime>
#include <fstream>
#include <sstream>

#include "netns_test.h"

namespace carpd::lab {
namespace {

using testing::HasSubstr;

class History : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (!IsSkipped()) three_hosts();
    }
    std::string file() {
        std::string name = alpha_carpd().socket().substr(1);
        std::replace(name.begin(), name.end(), '/', '-');
        return lab().state_folder() + "/" + name + ".history";
    }
    std::vector<nlohmann::json> changes() {
        std::vector<nlohmann::json> found;
        std::istringstream lines(alpha_carpd().carpctl({"-j", "history"}).output);
        for (std::string line; std::getline(lines, line);) found.push_back(nlohmann::json::parse(line));
        return found;
    }
    std::string told() { return alpha_carpd().carpctl({"history"}).output; }
    bool is_kept(const std::string& text) {
        return wait_until(
            [&] {
                std::ifstream kept(file());
                return (std::ostringstream() << kept.rdbuf()).str().find(text) != std::string::npos;
            },
            10s);
    }
    bool answers() { return alpha_carpd().carpctl({"status"}).exit_code == 0; }

    // So slow that a busy machine makes it change nothing by itself.
    const Group slow_ = Group{}.with_skew(120);
};

// "INIT -> BACKUP", and so on.
std::vector<std::string> moves(const std::vector<nlohmann::json>& changes) {
    std::vector<std::string> found;
    for (const auto& change : changes)
        found.push_back(change.at("event") == "transition"
                            ? fmt::format("{} to {}", change.at("from").get<std::string>(),
                                          change.at("to").get<std::string>())
                            : change.at("event").get<std::string>());
    return found;
}

TEST_F(History, OutlivesTheEngineAndTheDaemon) {
    Carpd& carpd = start(alpha(), slow_);
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    ASSERT_EQ(carpd.carpctl({"demote", "lan", "7"}).exit_code, 0);
    ASSERT_TRUE(is_kept("demotion is now 7"));
    const std::time_t then = std::time(nullptr);
    ASSERT_TRUE(wait_until([&] { return std::time(nullptr) > then; }, 2s));

    const pid_t engine = carpd.engine_pid();
    ::kill(engine, SIGKILL);
    ASSERT_TRUE(wait_until([&] { return answers() && carpd.engine_pid() != engine; }, 10s));
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    std::vector<std::string> expected = {"started", "init to backup", "backup to master", "demotion",
                                         "started", "init to backup", "backup to master"};
    std::vector<nlohmann::json> found = changes();
    ASSERT_EQ(moves(found), expected);
    EXPECT_EQ(found[4].at("reason"), "the engine was killed by SIGKILL");
    EXPECT_EQ(found[4].at("restarts"), 1);
    EXPECT_EQ(found[4].at("group"), nullptr);
    EXPECT_TRUE(found[4].at("not_running_ms").is_number());

    EXPECT_EQ(carpd.stop(), 0);
    Process again = alpha().spawn({carpd_program(), "-f", carpd.config_file()});
    ASSERT_TRUE(wait_until([&] { return answers(); }, 10s));
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    for (const char* more : {"master to init", "stopped", "started", "init to backup", "backup to master"})
        expected.push_back(more);
    found = changes();
    ASSERT_EQ(moves(found), expected);
    EXPECT_EQ(found[9].at("restarts"), 0);
    EXPECT_EQ(found[9].at("not_running_ms"), nullptr);

    // Why it was MASTER is known, and what ended that.
    const std::string at = fmt::format("{:%Y-%m-%dT%H:%M:%S}", fmt::localtime(then));
    const Result past = carpd.carpctl({"explain", "lan", "--at", at});
    EXPECT_THAT(past.output, HasSubstr("lan: MASTER at "));
    EXPECT_THAT(past.output, HasSubstr("BACKUP -> MASTER (master timed out"));
    EXPECT_THAT(past.output,
                HasSubstr("carpd's engine was killed by SIGKILL, and another one was started after"));
    const Result before = carpd.carpctl({"explain", "lan", "--at", "2026-01-01T00:00"});
    EXPECT_THAT(before.output, HasSubstr("what carpd remembers begins at "));
}

TEST_F(History, IsForgottenWhereItMakesNoSense) {
    start(alpha(), slow_);
    ASSERT_TRUE(alpha_carpd().wait_state("lan", "master"));
    EXPECT_EQ(alpha_carpd().stop(), 0);
    std::ofstream(file()) << "{\"carpd_history\":1}\nnonsense\n";
    Process again = alpha().spawn({carpd_program(), "-f", alpha_carpd().config_file()});
    ASSERT_TRUE(wait_until([&] { return answers(); }, 10s));
    ASSERT_TRUE(alpha_carpd().wait_state("lan", "master"));
    EXPECT_EQ(moves(changes()), (std::vector<std::string>{"started", "init to backup", "backup to master"}));
    EXPECT_THAT(again.errors() + again.output(),
                HasSubstr(".history makes no sense in line 2; the changes before this start are forgotten"));
    EXPECT_TRUE(is_kept("BACKUP -> MASTER")) << "from now on";
}

TEST_F(History, ServiceGoesOnWithoutADisk) {
    std::ofstream(lab().state_folder()) << "no directory";
    const Carpd& alone = start(alpha(), Group{});
    ASSERT_TRUE(wait_until(
        [&] { return alone.log().find("not known after the next start") != std::string::npos; }, 10s));
    ASSERT_TRUE(alone.wait_state("lan", "master"));
    EXPECT_THAT(told(), HasSubstr("BACKUP -> MASTER"));
    EXPECT_EQ(count_in(alone.log(), "not known after the next start"), 1);
}

}  // namespace
}  // namespace carpd::lab
