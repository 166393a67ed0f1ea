// Hooks on real hosts: they are told what happens, in order, and whatever they do the election doesn't
// notice.
#include <fmt/format.h>

#include <fstream>

#include "netns_test.h"

namespace carpd::lab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string hook(const std::string& script, const std::string& more = "") {
    return fmt::format("[[hook]]\n{}command = [\"/bin/sh\", \"-c\", '''{}''']\n", more, script);
}

bool runs(pid_t pid) {
    std::ifstream file(fmt::format("/proc/{}/stat", pid));
    std::string state;
    while (file >> state && state.back() != ')') {
    }
    return file >> state && state != "Z";
}

class Hooks : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (!IsSkipped()) three_hosts();
    }
    std::string file(const std::string& name) { return lab().folder() + "/" + name; }
    static std::vector<std::string> lines(const std::string& path) {
        std::ifstream stream(path);
        std::vector<std::string> result;
        for (std::string line; std::getline(stream, line);) result.push_back(line);
        return result;
    }
    // Appends what happened to `name`.
    std::string telling(const std::string& name) {
        return hook(fmt::format("echo $CARPD_GROUP $CARPD_PREVIOUS_STATE $CARPD_STATE $CARPD_CAUSE >> {}",
                                file(name)));
    }
    static pid_t helper_pid(const Carpd& carpd) {
        const nlohmann::json helper = carpd.status().at("helper");
        return helper.is_null() ? 0 : helper.at("pid").get<pid_t>();
    }
    static bool wait_helper(const Carpd& carpd, pid_t other_than = 0) {
        return wait_until(
            [&] {
                const pid_t pid = helper_pid(carpd);
                return pid != 0 && pid != other_than;
            },
            10s);
    }
    bool wait_lines(const std::string& name, std::size_t count) {
        return wait_until([&] { return lines(file(name)).size() >= count; }, 10s);
    }
    std::vector<Time> advertisements(Capture& capture) {
        std::vector<Time> times;
        for (const CapturedFrame& frame : capture.sent(&CapturedFrame::is_advertisement))
            times.push_back(frame.time);
        return times;
    }
};

TEST_F(Hooks, AreToldOfAFailoverInOrder) {
    Group group;
    Carpd& first = start(alpha(), group.text() + telling("alpha"));
    ASSERT_TRUE(first.wait_state("lan", "master"));
    Carpd& second = start(beta(), group.with_skew(kPoorSkew).text() +
                                      hook("sleep 0.2; echo one $CARPD_STATE >> " + file("beta")) +
                                      hook("echo two $CARPD_STATE $CARPD_RIVAL >> " + file("beta")));
    ASSERT_TRUE(wait_until([&] { return has_heard(second); }, 10s));
    EXPECT_EQ(first.carpctl({"demote", "lan", "10"}).exit_code, 0);
    ASSERT_TRUE(second.wait_state("lan", "master"));
    ASSERT_TRUE(wait_lines("beta", 4));
    EXPECT_THAT(lines(file("beta")),
                ElementsAre("one backup", "two backup", "one master", "two master 192.0.2.1"));
    ASSERT_TRUE(wait_lines("alpha", 3));
    EXPECT_EQ(first.stop(), 0);
    const auto told = lines(file("alpha"));
    ASSERT_EQ(told.size(), 4u) << first.log();
    EXPECT_EQ(told[1], "lan backup master master_timed_out");
    EXPECT_THAT(told[2], HasSubstr("lan master backup "));
    EXPECT_EQ(told[3], "lan backup init stopped");
    EXPECT_EQ(second.status().at("hooks").at("failed"), 0);
    EXPECT_GE(second.status().at("hooks").at("run"), 4);
}

// Each is worse than the one before; the one that does everything at once is on a MASTER.
TEST_F(Hooks, ThatMisbehaveChangeNothing) {
    const std::string bad = hook("trap '' TERM; sleep 1000 & yes & yes >&2; sleep 1000", "timeout = 1\n") +
                            hook("echo no such table; exit 3") + hook("kill -SEGV $$") +
                            "[[hook]]\ncommand = [\"/nonexistent\"]\n" + telling("last");
    Carpd& carpd = start(alpha(), Group{}.text() + bad);
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    start(beta(), Group{}.with_skew(kPoorSkew));
    const std::uint64_t changes = carpd.transitions("lan");
    Capture capture(alpha());
    ASSERT_TRUE(wait_until([&] { return lines(file("last")).size() >= 2; }, 30s, 50ms)) << carpd.log();
    const std::vector<Time> times = advertisements(capture);
    EXPECT_GT(times.size(), 20u);
    Span longest{};
    for (std::size_t i = 1; i < times.size(); ++i) longest = std::max(longest, times[i] - times[i - 1]);
    fmt::print("the longest gap of {} advertisements was {:.1f} ms\n", times.size(), to_ms(longest));
    EXPECT_LT(longest, 586ms) << "beta would have taken over";
    EXPECT_EQ(carpd.transitions("lan"), changes);
    EXPECT_EQ(carpd.state("lan"), "master");
    EXPECT_EQ(beta_carpd().state("lan"), "backup");
    const nlohmann::json hooks = carpd.status().at("hooks");
    EXPECT_GE(hooks.at("failed"), 8);
    EXPECT_GE(hooks.at("timed_out"), 2);
    EXPECT_THAT(carpd.log(), HasSubstr("hook /bin/sh (master) took too long and was ended after 3."));
    EXPECT_THAT(carpd.log(), HasSubstr("hook /bin/sh (master) exited with 3 after "));
    EXPECT_THAT(carpd.log(), HasSubstr("; it said: no such table"));
    EXPECT_THAT(carpd.log(), HasSubstr("hook /bin/sh (master) was killed by SIGSEGV"));
    EXPECT_THAT(carpd.log(), HasSubstr("hook /nonexistent (master) could not be started: No such file"));
}

TEST_F(Hooks, SurviveTheDeathOfTheHelperAndOfTheEngine) {
    Carpd& carpd = start(alpha(), Group{}.text() + telling("told"));
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    ASSERT_TRUE(wait_lines("told", 2));
    ASSERT_TRUE(wait_helper(carpd));
    const std::uint64_t changes = carpd.transitions("lan");
    const pid_t helper = helper_pid(carpd);
    kill(helper, SIGKILL);
    ASSERT_TRUE(wait_helper(carpd, helper)) << carpd.log();
    ASSERT_TRUE(wait_lines("told", 3));
    EXPECT_EQ(lines(file("told"))[2], "lan unknown master master_timed_out");
    EXPECT_EQ(carpd.transitions("lan"), changes);
    EXPECT_EQ(carpd.status().at("restarts"), 0);
    EXPECT_THAT(carpd.log(),
                HasSubstr(fmt::format("helper (pid {}) was killed by SIGKILL; starting it again", helper)));

    kill(carpd.engine_pid(), SIGKILL);
    ASSERT_TRUE(wait_lines("told", 6)) << carpd.log();
    EXPECT_EQ(lines(file("told"))[3], "lan master init engine_ended");
    EXPECT_EQ(lines(file("told"))[4], "lan init backup started");
    EXPECT_THAT(lines(file("told"))[5], HasSubstr("lan backup master"));
    EXPECT_TRUE(wait_helper(carpd, helper));
}

// One that is stopped reads nothing, and learns in the end what became of the group.
TEST_F(Hooks, OfAFrozenHelperLearnTheLastState) {
    Carpd& carpd = start(alpha(), Group{}.text() + telling("told"));
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    ASSERT_TRUE(wait_lines("told", 2));
    ASSERT_TRUE(wait_helper(carpd));
    kill(helper_pid(carpd), SIGSTOP);
    for (const char* state : {"backup", "master", "backup"})
        EXPECT_EQ(carpd.carpctl({"state", "lan", state}).exit_code, 0);
    EXPECT_TRUE(carpd.wait_state("lan", "master"));
    EXPECT_EQ(lines(file("told")).size(), 2u);
    kill(helper_pid(carpd), SIGCONT);
    ASSERT_TRUE(wait_lines("told", 6));
    EXPECT_THAT(lines(file("told"))[5], HasSubstr("lan backup master"));
}

TEST_F(Hooks, ComeAndGoWithAReload) {
    Carpd& carpd = start(alpha(), Group{});
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    EXPECT_TRUE(carpd.status().at("helper").is_null());
    carpd.reload(Group{}.text() + telling("first"));
    ASSERT_TRUE(wait_lines("first", 1));
    EXPECT_EQ(lines(file("first"))[0], "lan unknown master master_timed_out");
    ASSERT_TRUE(wait_helper(carpd));
    const pid_t helper = helper_pid(carpd);
    carpd.reload(Group{}.text() + telling("first") + telling("second"));
    ASSERT_TRUE(wait_lines("second", 1));
    EXPECT_EQ(helper_pid(carpd), helper);
    carpd.reload(Group{}.text());
    EXPECT_TRUE(wait_until([&] { return !runs(helper); }, 10s));
    EXPECT_TRUE(carpd.status().at("helper").is_null());
    EXPECT_EQ(lines(file("first")).size(), 1u);
    EXPECT_EQ(carpd.state("lan"), "master");
    EXPECT_EQ(carpd.stop(), 0);
}

TEST_F(Hooks, RunOnceMoreWhenCarpdStops) {
    for (const bool by_terminal : {false, true}) {
        const std::string name = by_terminal ? "terminal" : "signal";
        Carpd& carpd = start(alpha(), Group{}.text() + hook("sleep 0.3; echo $CARPD_STATE >> " + file(name)));
        ASSERT_TRUE(carpd.wait_state("lan", "master"));
        ASSERT_TRUE(wait_lines(name, 2));
        ASSERT_TRUE(wait_helper(carpd));
        const pid_t helper = helper_pid(carpd);
        if (by_terminal)
            carpd.process().signal_group(SIGINT);
        else
            carpd.process().signal(SIGTERM);
        EXPECT_EQ(carpd.process().wait(10s), 0);
        EXPECT_THAT(lines(file(name)), ElementsAre("backup", "master", "init"));
        EXPECT_FALSE(runs(helper));
    }
}

TEST_F(Hooks, ThatHangAreEndedWhenCarpdStops) {
    Carpd& carpd = start(alpha(), Group{}.text() + hook("echo $$ >> " + file("pids") + "; exec sleep 1000",
                                                        "on = [\"init\"]\ntimeout = 3600\n"));
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    ASSERT_TRUE(wait_helper(carpd));
    const pid_t helper = helper_pid(carpd);
    carpd.process().signal(SIGTERM);
    EXPECT_EQ(carpd.process().wait(15s), 0);
    ASSERT_EQ(lines(file("pids")).size(), 1u);
    EXPECT_FALSE(runs(helper));
    EXPECT_FALSE(runs(std::stoi(lines(file("pids"))[0])));
}

// The engine stops in order, its last hooks run, and nobody stays.
TEST_F(Hooks, RunOnceMoreWhenTheSupervisorIsKilled) {
    Carpd& carpd = start(alpha(), Group{}.text() + telling("told"));
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    ASSERT_TRUE(wait_helper(carpd));
    const pid_t helper = helper_pid(carpd), engine = carpd.engine_pid();
    carpd.process().signal(SIGKILL);
    EXPECT_TRUE(wait_until([&] { return !runs(helper) && !runs(engine); }, 10s));
    EXPECT_EQ(lines(file("told")).back(), "lan master init stopped");
}

}  // namespace
}  // namespace carpd::lab
