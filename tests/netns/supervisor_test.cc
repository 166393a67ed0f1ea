// carpd's two processes: what is left of a master when one of them dies or hangs, and who comes back.
#include <fmt/format.h>

#include <fstream>

#include "netns_test.h"

namespace carpd::lab {
namespace {

// A slow master with a rival that is as fast as a rightful backup can be, so that there is a time in which
// nobody may answer: 1.4 s until beta takes over, and as long until alpha's next engine would.
constexpr int kSlowSkew = 120, kRivalSkew = 100;
constexpr Span kQuick = 500ms;  // what takes milliseconds, on a machine that is busy

bool runs(pid_t pid) {
    std::ifstream file(fmt::format("/proc/{}/stat", pid));
    std::string state;
    while (file >> state && state.back() != ')') {
    }
    return file >> state && state != "Z";
}

bool has_address(Host& host, const std::string& address) {
    return !host.run({"ip", "-o", "address", "show", "to", address}).output.empty();
}

bool wait_restarts(const Carpd& carpd, int count) {
    const auto restarted = [&] {
        try {
            return carpd.status().at("restarts") == count;
        } catch (const std::exception&) {
            return false;  // nobody listens for a moment
        }
    };
    return wait_until(restarted, 10s);
}

class Supervisor : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (!IsSkipped()) three_hosts();
    }
    void start_slow_pair() {
        group_.advskew = kSlowSkew;
        start_pair(group_, kRivalSkew);
    }
    bool alpha_owns() {
        for (const std::string& address : without_prefix(group_.addresses))
            if (has_address(alpha(), address)) return true;
        return false;
    }

    Group group_{.addresses = {"192.0.2.100/24", "2001:db8::100/64"}};
};

class DeadEngine : public Supervisor, public testing::WithParamInterface<const char*> {};

TEST_P(DeadEngine, LeavesNoAddressAndIsReplaced) {
    group_.mac = GetParam();
    start_slow_pair();
    const Probes probes(client(), group_.addresses);
    ASSERT_TRUE(probes.wait_answer(&alpha()));
    ASSERT_TRUE(wait_until([&] { return alpha_owns(); }, kQuick, 1ms));
    const pid_t before = alpha_carpd().engine_pid();

    const Time killed = Clock::now();
    kill(before, SIGKILL);
    EXPECT_TRUE(wait_until([&] { return !alpha_owns(); }, kQuick, 1ms));
    fmt::print("no address after {:.1f} ms\n", to_ms(Clock::now() - killed));
    ASSERT_TRUE(wait_restarts(alpha_carpd(), 1));
    fmt::print("a new engine answers after {:.1f} ms\n", to_ms(Clock::now() - killed));
    EXPECT_TRUE(beta_carpd().wait_state("lan", "master"));
    EXPECT_THAT(reason_for(beta_carpd(), "master"), testing::HasSubstr("master timed out"));
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "backup"));
    probes.expect_hand_over(killed - 200ms, {alpha().number(), beta().number()}, 1406ms + kQuick);

    EXPECT_NE(alpha_carpd().engine_pid(), before);
    EXPECT_EQ(alpha_carpd().status().at("supervisor_pid"), alpha_carpd().process().pid());
    EXPECT_TRUE(alpha_carpd().process().running());
    EXPECT_THAT(alpha_carpd().log(),
                testing::HasSubstr(fmt::format("engine (pid {}) was killed by SIGKILL; its addresses were "
                                               "removed, starting it again\n",
                                               before)));
    EXPECT_THAT(alpha_carpd().carpctl({"status"}).output, testing::HasSubstr("started again, 1 time"));
    EXPECT_EQ(alpha_carpd().stop(), 0);
}

INSTANTIATE_TEST_SUITE_P(, DeadEngine, testing::Values("virtual", "interface"),
                         [](const auto& test) { return std::string(test.param); });

TEST_F(Supervisor, RestartsADyingEngineMoreAndMoreSlowly) {
    Carpd& carpd = start(alpha(), Group{});
    for (int restarts = 1; restarts <= 3; ++restarts) {
        kill(carpd.engine_pid(), SIGABRT);
        ASSERT_TRUE(wait_restarts(carpd, restarts)) << carpd.log();
    }
    EXPECT_EQ(count_in(carpd.log(), "was killed by SIGABRT"), 3);
    EXPECT_THAT(carpd.log(), testing::HasSubstr("starting it again\n"));
    EXPECT_THAT(carpd.log(), testing::HasSubstr("starting it again in 100 ms\n"));
    EXPECT_THAT(carpd.log(), testing::HasSubstr("starting it again in 200 ms\n"));
    EXPECT_TRUE(carpd.wait_state("lan", "master"));
}

TEST_F(Supervisor, StartsTheEngineWithWhatWasLoadedLast) {
    Carpd& carpd = start(alpha(), Group{});
    const Group second{.name = "second", .vhid = 2, .addresses = {"192.0.2.101/24"}};
    const auto groups = [&] { return carpd.status().at("groups").size(); };
    carpd.reload(Group{}.text() + second.text());
    ASSERT_TRUE(wait_until([&] { return groups() == 2; }, 5s));
    ASSERT_TRUE(wait_until([&] { return is_idle(carpd.process().pid()); }, 5s));  // it has read it, too
    std::ofstream(carpd.config_file(), std::ios::app) << "nonsense = 1\n";
    kill(carpd.engine_pid(), SIGKILL);
    ASSERT_TRUE(wait_restarts(carpd, 1));
    EXPECT_EQ(groups(), 2u);
    EXPECT_THAT(carpd.log(), testing::HasSubstr("is not valid now"));

    // And with a file that changed meanwhile, if it is valid.
    std::ofstream(carpd.config_file()) << fmt::format("control = \"{}\"\n", carpd.socket()) << second.text();
    kill(carpd.engine_pid(), SIGKILL);
    ASSERT_TRUE(wait_restarts(carpd, 2));
    EXPECT_EQ(groups(), 1u);
    EXPECT_TRUE(carpd.wait_state("second", "master"));
}

// A frozen engine can't withdraw. Its supervisor does, before the fastest rightful backup takes over.
// With the gate the kernel does that, and the supervisor has time (ReplacesABackupThatHangs).
TEST_F(Supervisor, FencesAnEngineThatHangs) {
    dataplane_ = "macvlan";
    start_slow_pair();
    const Probes probes(client(), group_.addresses);
    ASSERT_TRUE(probes.wait_answer(&alpha()));
    const Time before = Clock::now() - 200ms;
    kill(alpha_carpd().engine_pid(), SIGSTOP);
    ASSERT_TRUE(wait_restarts(alpha_carpd(), 1));
    EXPECT_TRUE(beta_carpd().wait_state("lan", "master"));
    ASSERT_TRUE(probes.wait_answer(&beta()));
    probes.expect_hand_over(before, {alpha().number(), beta().number()}, kQuick);
    EXPECT_THAT(alpha_carpd().log(), testing::HasSubstr("let a lease pass"));
    EXPECT_THAT(alpha_carpd().log(), testing::HasSubstr("hangs; killing it"));
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "backup"));
}

// One that wakes up in time to see that it is too late gives way by itself, and goes on.
TEST_F(Supervisor, FencesALateEngineAndLetsItLive) {
    dataplane_ = "macvlan";
    start_slow_pair();
    const Probes probes(client(), group_.addresses);
    ASSERT_TRUE(probes.wait_answer(&alpha()));
    const Time before = Clock::now() - 200ms;
    const pid_t engine = alpha_carpd().engine_pid();
    kill(engine, SIGSTOP);
    EXPECT_TRUE(beta_carpd().wait_state("lan", "master"));
    EXPECT_FALSE(alpha_owns());
    kill(engine, SIGCONT);
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "backup"));
    ASSERT_TRUE(probes.wait_answer(&beta()));
    probes.expect_hand_over(before, {alpha().number(), beta().number()}, kQuick);
    EXPECT_EQ(alpha_carpd().engine_pid(), engine);
    EXPECT_THAT(reason_for(alpha_carpd(), "backup"), testing::HasSubstr("lease lapsed"));
    EXPECT_EQ(count_in(alpha_carpd().log(), "let a lease pass"), 1);
    EXPECT_EQ(count_in(alpha_carpd().log(), "put back"), 0);
    // It can own again.
    EXPECT_EQ(beta_carpd().stop(), 0);
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "master"));
    EXPECT_TRUE(probes.wait_answer(&alpha()));
}

// One that owns nothing is not in the way of anybody, but nor is it of use.
TEST_F(Supervisor, ReplacesABackupThatHangs) {
    start_pair(group_);
    kill(beta_carpd().engine_pid(), SIGSTOP);
    const Time frozen = Clock::now();
    ASSERT_TRUE(
        wait_until([&] { return count_in(beta_carpd().log(), "was silent for 10 s") == 1; }, 20s, 50ms));
    EXPECT_GE(Clock::now() - frozen, 8s);
    EXPECT_TRUE(wait_restarts(beta_carpd(), 1));
    EXPECT_EQ(alpha_carpd().state("lan"), "master");
}

TEST_F(Supervisor, ItsDeathStopsTheEngineInOrder) {
    start_pair(group_, kSlowSkew);
    const pid_t engine = alpha_carpd().engine_pid();
    alpha_carpd().process().signal(SIGKILL);
    EXPECT_TRUE(beta_carpd().wait_state("lan", "master"));
    EXPECT_EQ(reason_for(beta_carpd(), "master"), "master bowed out");
    EXPECT_TRUE(wait_until([&] { return !runs(engine); }, 5s));
    EXPECT_FALSE(alpha_owns());
    EXPECT_THAT(alpha_carpd().log(), testing::HasSubstr("the supervisor"));
    EXPECT_EQ(alpha_carpd().process().wait(5s), 128 + SIGKILL);
    start(alpha(), group_);  // the lock and the control socket are free; it would throw
}

TEST_F(Supervisor, FailsAtOnceWhereTheEngineCannotStart) {
    const std::string path = lab().folder() + "/carpd.toml";
    std::ofstream(path) << "control = \"/dev/null/carpd.sock\"\n" << Group{}.text();
    chmod(path.c_str(), 0600);
    const Result result = alpha().run({carpd_program(), "-f", path});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(count_in(result.errors, "\n"), 1) << result.errors;
}

TEST_F(Supervisor, CtrlCReachesBothProcessesAndStopsThemOnce) {
    Carpd& carpd = start(alpha(), group_);
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    const pid_t engine = carpd.engine_pid();
    carpd.process().signal_group(SIGINT);
    EXPECT_EQ(carpd.process().wait(5s), 0);
    EXPECT_FALSE(runs(engine));
    EXPECT_FALSE(alpha_owns());
    EXPECT_EQ(count_in(carpd.log(), "stopping on SIGINT"), 1) << carpd.log();
}

// Told to stop while there is no engine to pass it on to.
TEST_F(Supervisor, StopsWhileItWaitsToStartAnother) {
    Carpd& carpd = start(alpha(), group_);
    for (int deaths = 1; deaths <= 5; ++deaths) {
        ASSERT_TRUE(wait_restarts(carpd, deaths - 1));
        kill(carpd.engine_pid(), SIGKILL);
    }
    ASSERT_TRUE(wait_until([&] { return count_in(carpd.log(), "SIGKILL") == 5; }, 5s, 1ms));
    EXPECT_EQ(carpd.stop(), 0);  // 800 ms before the next
    EXPECT_EQ(count_in(carpd.log(), "SIGKILL"), 5);
}

}  // namespace
}  // namespace carpd::lab
