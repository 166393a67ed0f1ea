#include "linux/script.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <optional>
#include <sstream>

#include "linux/clock.h"
#include "linux/process.h"

namespace carpd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using How = ScriptEnd::How;

constexpr Duration kLong = seconds(60);

Script shell(const std::string& text, Duration timeout = kLong) {
    return {{"/bin/sh", "-c", text}, {"PATH=/usr/bin:/bin", "COLOUR=blue"}, timeout};
}

class Scripts : public testing::Test {
 protected:
    // As a driver does it, until everything has ended or `patience` is over.
    void wait_all(Duration patience = seconds(30)) {
        const Instant until = host_now() + patience;
        while (runner_.running() > 0 && host_now() < until) wait_once();
    }
    void wait_once() {
        const Duration left =
            std::clamp<Duration>(runner_.next_deadline() - host_now(), milliseconds(0), milliseconds(100));
        pollfd event{runner_.fd(), POLLIN, 0};
        poll(&event, 1, static_cast<int>(left / milliseconds(1)) + 1);
        runner_.wake(host_now(), [this](auto id, const ScriptEnd& end) {
            EXPECT_TRUE(ends_.emplace(id, end).second) << "told twice";
        });
    }
    ScriptEnd run(const Script& script) {
        const auto id = runner_.start(script, host_now());
        wait_all();
        return ends_.at(id);
    }
    void wait_said(const std::string& path) {
        const Instant until = host_now() + seconds(10);
        while (content(path).empty() && host_now() < until) wait_once();
    }
    static std::string content(const std::string& path) {
        std::ifstream file(path);
        std::stringstream text;
        text << file.rdbuf();
        return text.str();
    }
    // A file that scripts write to.
    std::string file(const std::string& name) {
        files_.push_back("/tmp/carpd-script-test-" + std::to_string(getpid()) + "-" + name);
        return files_.back();
    }
    static bool lives(pid_t pid) {
        const std::string stat = content("/proc/" + std::to_string(pid) + "/stat");
        const std::size_t end = stat.rfind(')');
        return end != std::string::npos && stat.at(end + 2) != 'Z';
    }
    static bool wait_gone(pid_t pid) {
        const Instant until = host_now() + seconds(10);
        while (lives(pid) && host_now() < until) poll(nullptr, 0, 1);
        return !lives(pid);
    }
    void TearDown() override {
        for (const std::string& path : files_) unlink(path.c_str());
        EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "a child was left";
    }

    ScriptRunner runner_ = std::move(ScriptRunner::open().value());
    std::map<ScriptRunner::RunId, ScriptEnd> ends_;
    std::vector<std::string> files_;
};

TEST_F(Scripts, TellsHowItEnded) {
    const ScriptEnd good = run(shell(""));
    EXPECT_TRUE(good.succeeded());
    EXPECT_EQ(good.output, "");
    const ScriptEnd bad = run(shell("echo; echo no such table >&2; echo more; exit 3"));
    EXPECT_FALSE(bad.succeeded());
    EXPECT_EQ(bad.how, How::exited);
    EXPECT_EQ(bad.code, 3);
    EXPECT_EQ(bad.output, "no such table");
    EXPECT_THAT(bad.to_string(), HasSubstr("exited with 3 after "));
    EXPECT_THAT(bad.to_string(), HasSubstr("; it said: no such table"));
    const ScriptEnd crashed = run(shell("kill -SEGV $$"));
    EXPECT_EQ(crashed.how, How::killed);
    EXPECT_THAT(crashed.to_string(), HasSubstr("was killed by SIGSEGV"));
}

TEST_F(Scripts, LeavesAloneWhatAFreeOneStarted) {
    const std::string path = file("left");
    for (const bool is_free : {false, true}) {
        Script script = shell("sleep 60 & echo $! > " + path);
        script.is_free = is_free;
        EXPECT_TRUE(run(script).succeeded());
        const pid_t left = std::stoi(content(path));
        if (is_free) {
            EXPECT_TRUE(lives(left));
            kill(left, SIGKILL);
        }
        EXPECT_TRUE(wait_gone(left));
    }
}

TEST_F(Scripts, TellsWhyItDidNotStart) {
    const ScriptEnd missing = run({{"/nonexistent"}, {}, kLong});
    EXPECT_EQ(missing.how, How::not_started);
    EXPECT_EQ(missing.to_string(), "could not be started: No such file or directory");
    const ScriptEnd not_executable = run({{"/etc/passwd"}, {}, kLong});
    EXPECT_EQ(not_executable.to_string(), "could not be started: Permission denied");
}

TEST_F(Scripts, TellsOfOneThatCouldNotEvenBeForked) {
    // Without descriptors there is no pipe.
    const int child = fork();
    if (child == 0) {
        ScriptRunner& runner = runner_;  // by name: asking what `this` is, the sanitizer opens a pipe, too
        const Script nothing = shell("");
        const rlimit none{0, 0};
        setrlimit(RLIMIT_NOFILE, &none);
        std::optional<ScriptEnd> end;
        runner.start(nothing, host_now());
        const bool at_once = runner.next_deadline() <= host_now();
        runner.wake(host_now(), [&](auto, const ScriptEnd& e) { end = e; });
        _exit(at_once && end && end->how == How::not_started && end->code == EMFILE ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
}

TEST_F(Scripts, BeginsCleanWhateverWeAre) {
    std::signal(SIGPIPE, SIG_IGN);
    sigset_t set, before;
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, &before);
    const UniqueFd open_to_children(dup(0));
    const std::string said = file("state");
    EXPECT_TRUE(run(shell("{ pwd; echo $COLOUR; grep -E 'Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd; "
                          "readlink /proc/$$/fd/0; cat /proc/self/oom_score_adj; ps -o sid=,pgid= -p $$; "
                          "echo $$; } > " +
                          said))
                    .succeeded());
    sigprocmask(SIG_SETMASK, &before, nullptr);
    std::signal(SIGPIPE, SIG_DFL);
    std::istringstream text(content(said));
    std::string word;
    const auto next = [&] { return text >> word, word; };
    EXPECT_EQ(next(), "/");
    EXPECT_EQ(next(), "blue");
    for (const char* mask : {"SigBlk:", "SigIgn:"}) {
        EXPECT_EQ(next(), mask);
        EXPECT_EQ(next(), "0000000000000000");
    }
    for (const char* fd : {"0", "1", "2", "3"}) EXPECT_EQ(next(), fd);  // the fourth is ls's own
    EXPECT_EQ(next(), "/dev/null");
    EXPECT_EQ(next(), "0");
    const std::string session = next(), group = next(), pid = next();
    EXPECT_EQ(session, pid);
    EXPECT_EQ(group, pid);
}

TEST_F(Scripts, HasNoPriority) {
    const std::string said = file("priority");
    const int child = fork();
    if (child == 0) {
        if (!become_real_time(kEnginePriority).empty()) _exit(77);
        const sched_param parameters{kEnginePriority};
        sched_setscheduler(0, SCHED_FIFO, &parameters);  // one that would be inherited
        _exit(run(shell("{ chrt -p $$; grep VmLck /proc/$$/status; } > " + said)).succeeded() ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "needs the right to real-time priority (root)";
    EXPECT_EQ(status, 0);
    EXPECT_THAT(content(said), HasSubstr("SCHED_OTHER"));
    EXPECT_THAT(content(said), testing::ContainsRegex("VmLck:[[:space:]]*0 kB"));
}

TEST_F(Scripts, EndsOneThatHangs) {
    const ScriptEnd end = run({{"/bin/sleep", "1000"}, {}, milliseconds(50)});
    EXPECT_EQ(end.how, How::timed_out);
    EXPECT_GE(end.duration, milliseconds(50));
    EXPECT_LT(end.duration, seconds(1000));
}

TEST_F(Scripts, KillsOneThatIgnoresSigterm) {
    const std::string said = file("pids");
    const ScriptEnd end =
        run(shell("trap '' TERM; sleep 1000 & echo $! > " + said + "; wait; sleep 1000", milliseconds(300)));
    EXPECT_EQ(end.how, How::timed_out);
    EXPECT_GE(end.duration, milliseconds(300) + ScriptRunner::kGrace);
    EXPECT_TRUE(wait_gone(std::stoi(content(said)))) << "its child was left";
}

TEST_F(Scripts, KillsWhatALeaderLeavesInItsGroup) {
    const std::string said = file("pid");
    // The child holds the pipe open; that doesn't keep the run from ending.
    const ScriptEnd end = run(shell("sleep 1000 & echo $! > " + said));
    EXPECT_TRUE(end.succeeded());
    EXPECT_TRUE(wait_gone(std::stoi(content(said))));
}

TEST_F(Scripts, LetsADaemonLive) {
    const std::string said = file("pid");
    const ScriptEnd end = run(shell("setsid sh -c 'echo $$ > " + said + "; exec sleep 1000' & while ! [ -s " +
                                    said + " ]; do sleep 0.01; done"));
    EXPECT_TRUE(end.succeeded());
    const pid_t daemon = std::stoi(content(said));
    EXPECT_TRUE(lives(daemon));
    kill(daemon, SIGKILL);
}

TEST_F(Scripts, BearsAFlood) {
    const auto flood = runner_.start(shell("echo first; exec cat /dev/zero", milliseconds(300)), host_now());
    const auto other = runner_.start(shell("exit 0"), host_now());
    wait_all();
    EXPECT_EQ(ends_.at(flood).how, How::timed_out);
    EXPECT_EQ(ends_.at(flood).output, "first");
    EXPECT_TRUE(ends_.at(other).succeeded());
}

TEST_F(Scripts, KeepsTheBeginningOfALongLine) {
    const ScriptEnd end = run(shell("head -c 100000 /dev/zero | tr '\\0' x"));
    EXPECT_EQ(end.output, std::string(ScriptRunner::kKept, 'x'));
}

TEST_F(Scripts, StopsAll) {
    const std::string said = file("ready");
    const auto good = runner_.start(shell("sleep 1000"), host_now());
    const auto stubborn =
        runner_.start(shell("trap '' TERM; echo x > " + said + "; while :; do sleep 1; done"), host_now());
    wait_said(said);
    runner_.stop_all(host_now());
    wait_all();
    EXPECT_EQ(ends_.at(good).how, How::stopped);
    EXPECT_EQ(ends_.at(stubborn).how, How::stopped);
    EXPECT_GE(ends_.at(stubborn).duration, ScriptRunner::kGrace);
    EXPECT_LT(ends_.at(good).duration, ends_.at(stubborn).duration);
}

TEST_F(Scripts, KillsAllWhenItGoes) {
    const std::string said = file("pid");
    {
        ScriptRunner runner = std::move(ScriptRunner::open().value());
        runner.start(shell("sleep 1000 & echo $! > " + said + "; wait"), host_now());
        wait_said(said);
        const Instant until = host_now() + seconds(10);
        while (content(said).empty() && host_now() < until) poll(nullptr, 0, 1);
    }
    EXPECT_TRUE(wait_gone(std::stoi(content(said))));
}

TEST_F(Scripts, DiesWithTheOneThatRunsIt) {
    const std::string said = file("pid");
    const int child = fork();
    if (child == 0) {
        runner_.start(shell("echo $$ > " + said + "; exec sleep 1000"), host_now());
        pause();
    }
    const Instant until = host_now() + seconds(10);
    while (content(said).empty() && host_now() < until) poll(nullptr, 0, 1);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    EXPECT_TRUE(wait_gone(std::stoi(content(said))));
}

}  // namespace
}  // namespace carpd
