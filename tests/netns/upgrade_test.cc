// Upgrades under traffic: another carpd takes over from the one that runs, of the MASTER and of the BACKUP,
// and nobody notices; and what becomes of one that can't be done.
#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "netns_test.h"

namespace carpd::lab {
namespace {

// The engine beside `engine` that the supervisor has started; 0: there is none.
pid_t engine_beside(pid_t supervisor, pid_t engine) {
    std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", supervisor));
    for (pid_t child; children >> child;) {
        std::string name;
        std::getline(std::ifstream(fmt::format("/proc/{}/comm", child)), name);
        if (child != engine && name == "carpd: engine") return child;
    }
    return 0;
}

// Lets `engine`, which is about to take over, run until the other one has said "go", and gives it this signal
// then. Returns whether it came to that.
bool strike_after_go(pid_t engine, int signal) {
    if (ptrace(PTRACE_SEIZE, engine, nullptr, PTRACE_O_TRACESYSGOOD) != 0 ||
        ptrace(PTRACE_INTERRUPT, engine, nullptr, nullptr) != 0)
        return false;
    std::uint64_t call = 0;
    for (int status = 0; waitpid(engine, &status, __WALL) == engine && WIFSTOPPED(status);) {
        __ptrace_syscall_info info{};
        if (WSTOPSIG(status) == (SIGTRAP | 0x80)) ptrace(PTRACE_GET_SYSCALL_INFO, engine, sizeof info, &info);
        if (info.op == PTRACE_SYSCALL_INFO_ENTRY) call = info.entry.nr;
        if (info.op == PTRACE_SYSCALL_INFO_EXIT && call == SYS_recvmsg && info.exit.rval == 2) {
            kill(engine, signal);
            if (signal == SIGKILL)
                waitpid(engine, nullptr, __WALL);  // before its parent hears of it
            else
                ptrace(PTRACE_DETACH, engine, nullptr, nullptr);
            return true;
        }
        ptrace(PTRACE_SYSCALL, engine, nullptr, nullptr);
    }
    return false;
}

class UpgradeTest : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (!IsSkipped()) three_hosts();
    }
    void TearDown() override {
        unsetenv("CARPD");
        NetnsTest::TearDown();
    }

    // A program of alpha's own, so that another can be installed in its place.
    std::string installed() { return lab().folder() + "/carpd"; }
    void install_copy() {
        std::filesystem::copy_file(carpd_program(), installed());
        setenv("CARPD", installed().c_str(), 1);
    }
    // As a package manager does: the running one's file stays until nobody runs it.
    void install_script(const std::string& lines) {
        const std::string next = installed() + ".next", real = lab().folder() + "/real";
        if (!std::filesystem::exists(real)) std::filesystem::copy_file(installed(), real);
        std::ofstream(next) << "#!/bin/sh\n" << lines << "\nexec " << real << " \"$@\"\n";
        std::filesystem::permissions(next, std::filesystem::perms::owner_all);
        std::filesystem::rename(next, installed());
    }

    static std::uint64_t sent(const Carpd& carpd) {
        return carpd.group("lan").at("counters").at("advertisements_sent_ipv4");
    }
    static nlohmann::json history(const Carpd& carpd) {
        return ask(carpd.socket(), {{"command", "history"}}).at("changes");
    }

    // Has `carpd` upgraded and expects that neither host says anything of it, and that nothing was lost or
    // forgotten.
    void upgrade(Carpd& carpd) {
        const pid_t engine = carpd.engine_pid(), supervisor = carpd.process().pid();
        const auto transitions = transitions_of_both();
        const auto changes = history(carpd);
        const std::uint64_t before = sent(carpd);
        const Result result = carpd.carpctl({"upgrade"});
        ASSERT_EQ(result.exit_code, 0) << result.errors << carpd.log();
        EXPECT_THAT(result.output, testing::HasSubstr("has taken over"));
        EXPECT_NE(carpd.engine_pid(), engine);
        EXPECT_EQ(carpd.status().at("supervisor_pid"), supervisor);
        EXPECT_EQ(carpd.status().at("restarts"), 0);
        EXPECT_TRUE(carpd.process().running());
        EXPECT_EQ(transitions_of_both(), transitions);
        EXPECT_EQ(history(carpd), changes);
        EXPECT_GE(sent(carpd), before);
    }
    std::vector<std::uint64_t> transitions_of_both() {
        return {alpha_carpd().transitions("lan"), beta_carpd().transitions("lan")};
    }
    // No request since then was lost, and only alpha answered.
    void expect_nothing_lost(const std::deque<Probe>& probes, Time since) {
        std::this_thread::sleep_for(Request::kPatience + 50ms);  // until the last requests can be judged
        for (const Probe& probe : probes) {
            const Outage outage = probe.outage(since);
            fmt::print("{} of {} requests lost\n", outage.lost, outage.sent);
            EXPECT_EQ(outage.lost, 0);
            EXPECT_FALSE(outage.two_answers);
            EXPECT_EQ(outage.answered_by, std::vector<std::uint8_t>{alpha().number()});
        }
    }
    static int lines_of(const Carpd& carpd, const std::string& part) { return count_in(carpd.log(), part); }

    Group group_{.addresses = {"192.0.2.100/24", "2001:db8::100/64"}, .beacons = true};
};

struct Case {
    const char* name;
    const char* mac;
    const char* dataplane;
    int advbase, advskew;
};

class Upgrade : public UpgradeTest, public testing::WithParamInterface<Case> {};

TEST_P(Upgrade, NobodyNotices) {
    group_.mac = GetParam().mac;
    group_.advbase = GetParam().advbase;
    group_.advskew = GetParam().advskew;
    dataplane_ = GetParam().dataplane;
    start_pair(group_, GetParam().advskew + kPoorSkew);
    ASSERT_EQ(alpha_carpd().carpctl({"demote", "lan", "-3", "--name", "test", "--for", "1h"}).exit_code, 0);
    std::deque<Probe> probes;
    for (const std::string& address : without_prefix(group_.addresses))
        probes.emplace_back(client(), address, 1ms);
    for (const Probe& probe : probes) ASSERT_TRUE(probe.wait_answer(&alpha(), 10s));
    const Time since = Clock::now();
    std::this_thread::sleep_for(200ms);
    const std::string routes = alpha().run({"ip", "route", "show", "table", "all"}).output;
    for (Carpd* carpd : {&alpha_carpd(), &beta_carpd(), &alpha_carpd()}) upgrade(*carpd);
    // Long enough for a master that isn't heard to be given up.
    std::this_thread::sleep_for(GetParam().advbase == 0 ? 1s : 4s);
    EXPECT_EQ(alpha_carpd().state("lan"), "master");
    EXPECT_THAT(alpha_carpd().group("lan").at("demotion_remaining_ms").dump(),
                testing::HasSubstr("\"test\""));
    EXPECT_EQ(beta_carpd().state("lan"), "backup");
    EXPECT_EQ(alpha().run({"ip", "route", "show", "table", "all"}).output, routes);
    expect_nothing_lost(probes, since);

    // And it stops in order, leaving nothing.
    EXPECT_EQ(alpha_carpd().stop(), 0);
    EXPECT_TRUE(beta_carpd().wait_state("lan", "master"));
    EXPECT_EQ(alpha().run({"ip", "-o", "address", "show", "to", kVip4}).output, "");
    EXPECT_THAT(programs_at(alpha(), "eth0", Direction::ingress), testing::IsEmpty());
    EXPECT_THAT(alpha().run({"ip", "-o", "link"}).output, testing::Not(testing::HasSubstr("carp")));
    EXPECT_EQ(alpha().run({"cat", "/proc/sys/net/ipv4/conf/eth0/arp_ignore"}).output, "0\n");
}

INSTANTIATE_TEST_SUITE_P(, Upgrade,
                         testing::Values(Case{"Gate", "virtual", "bpf", 0, kGoodSkew},
                                         Case{"GateInterfaceMac", "interface", "bpf", 0, kGoodSkew},
                                         Case{"Macvlan", "virtual", "macvlan", 0, kGoodSkew},
                                         Case{"InterfaceMac", "interface", "macvlan", 0, kGoodSkew},
                                         Case{"ASecond", "virtual", "bpf", 1, 0}),
                         [](const auto& test) { return std::string(test.param.name); });

// The engine of the new program is kept, restarted and cleaned up after as any.
TEST_F(UpgradeTest, TheNewEngineIsSupervised) {
    start_pair(group_);
    upgrade(alpha_carpd());
    kill(alpha_carpd().engine_pid(), SIGKILL);
    EXPECT_TRUE(beta_carpd().wait_state("lan", "master"));
    const auto has_restarted = [&] {
        try {
            return alpha_carpd().status().at("restarts") == 1;
        } catch (const std::exception&) {
            return false;  // nobody listens for a moment
        }
    };
    ASSERT_TRUE(wait_until(has_restarted, 10s));
    EXPECT_THAT(alpha_carpd().log(), testing::HasSubstr("was killed by SIGKILL; its addresses were removed"));
    EXPECT_EQ(alpha().run({"ip", "-o", "address", "show", "to", kVip4}).output, "");
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "backup"));
}

TEST_F(UpgradeTest, AProgramThatCantTakeOverChangesNothing) {
    install_copy();
    start_pair(group_);
    const Probe probe(client(), kVip4, 1ms);
    ASSERT_TRUE(probe.wait_answer(&alpha(), 10s));
    const Time since = Clock::now();
    const pid_t engine = alpha_carpd().engine_pid();
    const auto transitions = transitions_of_both();
    struct {
        const char *script, *complaint;
    } const cases[] = {
        {"exit 2", "doesn't know how to take over"},
        {"exit 6", "doesn't accept"},
        {"kill -9 $$", "was killed by SIGKILL"},
        // The supervisor can do with so few descriptors, but no engine.
        {"case \"$*\" in *--take-over*) ulimit -S -n 30;; esac", "the new engine"},
    };
    for (const auto& [script, complaint] : cases) {
        install_script(script);
        const Result result = alpha_carpd().carpctl({"upgrade"});
        EXPECT_EQ(result.exit_code, 1) << script;
        EXPECT_THAT(result.errors, testing::HasSubstr(complaint));
        EXPECT_THAT(alpha_carpd().log(), testing::HasSubstr(complaint));
        EXPECT_EQ(alpha_carpd().engine_pid(), engine);
    }
    EXPECT_EQ(transitions_of_both(), transitions);
    // Afterwards one that can does.
    run_checked({{"prlimit", "--pid", std::to_string(alpha_carpd().process().pid()), "--nofile=1024"}});
    upgrade(alpha_carpd());
    std::this_thread::sleep_for(Request::kPatience + 50ms);
    EXPECT_EQ(probe.outage(since).lost, 0);
}

TEST_F(UpgradeTest, ANewEngineThatDiesBesideTheOldOneChangesNothing) {
    start_pair(group_);
    const pid_t engine = alpha_carpd().engine_pid(), supervisor = alpha_carpd().process().pid();
    const auto transitions = transitions_of_both();
    Process carpctl = alpha().spawn({carpctl_program(), "-s", alpha_carpd().socket(), "upgrade"});
    // Loading its BPF programs takes much longer than finding it.
    const auto kill_another = [&] {
        const pid_t other = engine_beside(supervisor, engine);
        return other != 0 && kill(other, SIGKILL) == 0;
    };
    ASSERT_TRUE(wait_until(kill_another, 10s, 1ms));
    EXPECT_EQ(carpctl.wait(10s), 1);
    EXPECT_THAT(carpctl.errors(), testing::HasSubstr("was killed by SIGKILL"));
    EXPECT_EQ(alpha_carpd().engine_pid(), engine);
    EXPECT_EQ(transitions_of_both(), transitions);
    upgrade(alpha_carpd());
}

struct Strike {
    const char* name;
    const char* dataplane;
    int signal;
    Span until_again;  // there is an engine
};

class UpgradeStrike : public UpgradeTest, public testing::WithParamInterface<Strike> {};

// Past its last word the old engine is gone, and the new one is as any: its addresses are removed, another
// host takes over, and the next engine starts.
TEST_P(UpgradeStrike, AnotherHostTakesOver) {
    dataplane_ = GetParam().dataplane;
    start_pair(group_);
    const Probe probe(client(), kVip4, 1ms);
    ASSERT_TRUE(probe.wait_answer(&alpha(), 10s));
    const Time since = Clock::now();
    const pid_t engine = alpha_carpd().engine_pid(), supervisor = alpha_carpd().process().pid();
    Process carpctl = alpha().spawn({carpctl_program(), "-s", alpha_carpd().socket(), "upgrade"});
    pid_t other = 0;
    ASSERT_TRUE(wait_until([&] { return (other = engine_beside(supervisor, engine)) != 0; }, 10s, 1ms));
    ASSERT_TRUE(strike_after_go(other, GetParam().signal));
    EXPECT_TRUE(beta_carpd().wait_state("lan", "master"));
    EXPECT_TRUE(probe.wait_answer(&beta(), 5s));
    EXPECT_THAT(carpctl.wait(30s), testing::Optional(testing::Ne(0))) << carpctl.output();
    const auto has_restarted = [&] {
        try {
            return alpha_carpd().status().at("restarts") == 1;
        } catch (const std::exception&) {
            return false;  // nobody listens for a moment
        }
    };
    ASSERT_TRUE(wait_until(has_restarted, GetParam().until_again)) << alpha_carpd().log();
    EXPECT_THAT(alpha_carpd().log(), testing::HasSubstr("was killed by SIGKILL; its addresses were removed"));
    EXPECT_EQ(alpha().run({"ip", "-o", "address", "show", "to", kVip4}).output, "");
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "backup"));
    EXPECT_THAT(alpha_carpd().log(), testing::HasSubstr(fmt::format("engine (pid {}) was killed", other)));
    std::this_thread::sleep_for(Request::kPatience + 50ms);  // until the last requests can be judged
    const Outage outage = probe.outage(since);
    EXPECT_EQ(outage.answered_by, (std::vector<std::uint8_t>{alpha().number(), beta().number()}));
    EXPECT_FALSE(outage.two_answers);
    fmt::print("nobody answered for {} ms; carpctl: {}", outage.duration / 1ms, carpctl.errors());
    EXPECT_EQ(alpha_carpd().carpctl({"upgrade"}).exit_code, 0);
}

// Where the kernel sees to the leases, a hanging engine is only waited for.
INSTANTIATE_TEST_SUITE_P(, UpgradeStrike,
                         testing::Values(Strike{"DiesGate", "bpf", SIGKILL, 10s},
                                         Strike{"DiesMacvlan", "macvlan", SIGKILL, 10s},
                                         Strike{"HangsGate", "bpf", SIGSTOP, 30s},
                                         Strike{"HangsMacvlan", "macvlan", SIGSTOP, 10s}),
                         [](const auto& test) { return std::string(test.param.name); });

// Between the last packet that the old engine reads and the first that the new one does nothing is lost.
TEST_F(UpgradeTest, ABowOutInTheMiddleIsHeard) {
    group_.advbase = 1;
    group_.advskew = 0;
    start_pair(group_);
    const pid_t engine = beta_carpd().engine_pid(), supervisor = beta_carpd().process().pid();
    Process carpctl = beta().spawn({carpctl_program(), "-s", beta_carpd().socket(), "upgrade"});
    pid_t other = 0;
    ASSERT_TRUE(wait_until([&] { return (other = engine_beside(supervisor, engine)) != 0; }, 10s, 1ms));
    ASSERT_TRUE(strike_after_go(other, SIGSTOP));
    EXPECT_EQ(alpha_carpd().stop(), 0);
    kill(other, SIGCONT);
    EXPECT_TRUE(beta_carpd().wait_state("lan", "master"));
    EXPECT_EQ(reason_for(beta_carpd(), "master"), "master bowed out");
    EXPECT_EQ(carpctl.wait(10s), 0) << carpctl.errors();
}

// After the new program has accepted it, and before it reads it for good.
TEST_F(UpgradeTest, AFileThatBecomesInvalidEndsItInOrder) {
    install_copy();
    start_pair(group_);
    const Probe probe(client(), kVip4, 1ms);
    ASSERT_TRUE(probe.wait_answer(&alpha(), 10s));
    const Time since = Clock::now();
    install_script("case \"$*\" in *--take-over*) echo 'nonsense = 1' >> " + alpha_carpd().config_file() +
                   ";; esac");
    const Result result = alpha_carpd().carpctl({"upgrade"});
    EXPECT_NE(result.exit_code, 0);
    EXPECT_EQ(alpha_carpd().process().wait(10s), 6) << "systemd starts it again";
    EXPECT_THAT(alpha_carpd().log(), testing::HasSubstr("nonsense"));
    EXPECT_TRUE(beta_carpd().wait_state("lan", "master"));
    EXPECT_TRUE(probe.wait_answer(&beta(), 5s));
    const auto is_gone = [&] {
        return alpha().run({"ip", "-o", "address", "show", "to", kVip4}).output.empty() &&
               programs_at(alpha(), "eth0", Direction::ingress).empty();
    };
    EXPECT_TRUE(wait_until(is_gone, 5s)) << alpha_carpd().log();
    std::this_thread::sleep_for(Request::kPatience + 50ms);  // until the last requests can be judged
    const Outage outage = probe.outage(since);
    EXPECT_EQ(outage.answered_by, (std::vector<std::uint8_t>{alpha().number(), beta().number()}));
    EXPECT_FALSE(outage.two_answers);
    fmt::print("{} of {} requests lost\n", outage.lost, outage.sent);
}

// What a running carpd doesn't change, its successor can't have otherwise.
TEST_F(UpgradeTest, AnotherDataplaneOrControlSocketIsRefused) {
    dataplane_ = "bpf";
    start_pair(group_);
    const pid_t engine = alpha_carpd().engine_pid();
    const auto transitions = transitions_of_both();
    std::ifstream file(alpha_carpd().config_file());
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    struct {
        std::string part, other;
        const char* complaint;
    } const cases[] = {
        {"dataplane = \"bpf\"", "dataplane = \"macvlan\"", "another dataplane takes effect"},
        {alpha_carpd().socket(), alpha_carpd().socket() + "2", "a new path of the control socket"},
    };
    for (const auto& [part, other, complaint] : cases) {
        std::string changed = text;
        ASSERT_NE(changed.find(part), std::string::npos) << text;
        std::ofstream(alpha_carpd().config_file()) << changed.replace(changed.find(part), part.size(), other);
        const Result result = alpha_carpd().carpctl({"upgrade"});
        EXPECT_EQ(result.exit_code, 1);
        EXPECT_THAT(result.errors, testing::HasSubstr(complaint));
        EXPECT_THAT(alpha_carpd().log(), testing::HasSubstr(complaint));
        EXPECT_EQ(alpha_carpd().engine_pid(), engine);
    }
    EXPECT_EQ(transitions_of_both(), transitions);
    std::ofstream(alpha_carpd().config_file()) << text;
    upgrade(alpha_carpd());
}

// On older kernels, or without the right to see others' programs, the gate stands as filters of a qdisc.
TEST_F(UpgradeTest, NobodyNoticesAtClsact) {
    install_copy();
    install_script("exec setpriv --bounding-set=-sys_admin " + lab().folder() + "/real \"$@\"");
    dataplane_ = "bpf";
    start_pair(group_);
    const auto filters = [&] {
        return alpha().run({"tc", "filter", "show", "dev", "eth0", "ingress"}).output +
               alpha().run({"tc", "filter", "show", "dev", "eth0", "egress"}).output;
    };
    ASSERT_EQ(count_in(filters(), "carpd: clsact=1"), 2) << filters();
    std::deque<Probe> probes;
    for (const char* address : {kVip4, kVip6}) probes.emplace_back(client(), address, 1ms);
    for (const Probe& probe : probes) ASSERT_TRUE(probe.wait_answer(&alpha(), 10s));
    const Time since = Clock::now();
    for (Carpd* carpd : {&alpha_carpd(), &beta_carpd(), &alpha_carpd()}) upgrade(*carpd);
    EXPECT_EQ(count_in(filters(), "carpd: clsact=1"), 2) << filters();
    EXPECT_THAT(programs_at(alpha(), "eth0", Direction::ingress), testing::IsEmpty());
    expect_nothing_lost(probes, since);
    EXPECT_EQ(alpha_carpd().stop(), 0);
    EXPECT_EQ(filters(), "");
    EXPECT_THAT(alpha().run({"tc", "qdisc", "show", "dev", "eth0"}).output,
                testing::Not(testing::HasSubstr("clsact")));
}

TEST_F(UpgradeTest, AnInvalidFileChangesNothing) {
    start_pair(group_);
    const pid_t engine = alpha_carpd().engine_pid();
    alpha_carpd().write_config("nonsense = 1\n");
    const Result result = alpha_carpd().carpctl({"upgrade"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.errors, testing::HasSubstr("nonsense"));
    EXPECT_EQ(alpha_carpd().engine_pid(), engine);
    EXPECT_EQ(alpha_carpd().state("lan"), "master");
}

// The processes beside the engine are replaced, and what they said stays.
TEST_F(UpgradeTest, HelperIsReplacedAndItsVerdictsStay) {
    start_pair(group_);
    const std::string rest = "[[track]]\nname = \"gone\"\nfile = \"/nowhere\"\ndemote = 7\n";
    beta_carpd().apply(group_.with_skew(kPoorSkew).text() + rest);
    ASSERT_TRUE(wait_until([&] { return beta_carpd().group("lan").at("demotion") == 7; }, 5s));
    const auto helper = [&] { return beta_carpd().status().at("helper").at("pid").get<pid_t>(); };
    const pid_t before = helper();
    upgrade(beta_carpd());
    EXPECT_EQ(beta_carpd().group("lan").at("demotion"), 7);
    EXPECT_TRUE(wait_until([&] { return helper() != before && helper() != 0; }, 10s));
    EXPECT_EQ(beta_carpd().group("lan").at("demotion"), 7);
}

// A MASTER's `carpd: sync` is replaced, too, which demotes nobody, and the other host stays BACKUP.
TEST_F(UpgradeTest, SyncIsReplaced) {
    for (Host* host : {&alpha(), &beta()}) {
        host->attach("sync0", 1, {fmt::format("10.9.0.{}/24", host->number() + 1)});
        track_connections(*host);
    }
    const auto section = [](const Host& host) {
        return fmt::format(
            "[sync]\nname = \"{}\"\ninterface = \"sync0\"\npeers = [\"10.9.0.{}\"]\nkey-hex = \"{}\"\n",
            host.name(), 2 - host.number(), kKey);
    };
    start(alpha(), section(alpha()) + group_.text());
    ASSERT_TRUE(alpha_carpd().wait_state("lan", "master"));
    start(beta(), section(beta()) + group_.with_skew(kPoorSkew).text());
    const auto sync = [](const Carpd& carpd) { return carpd.status().at("sync"); };
    ASSERT_TRUE(wait_until([&] { return beta_carpd().group("lan").at("demotion") == 0; }, 15s));
    std::deque<Probe> probes;
    probes.emplace_back(client(), kVip4, 1ms);
    ASSERT_TRUE(probes.front().wait_answer(&alpha(), 10s));
    const Time since = Clock::now();
    for (Carpd* carpd : {&alpha_carpd(), &beta_carpd()}) {
        const auto transitions = transitions_of_both();
        const int before = sync(*carpd).at("pid");
        ASSERT_EQ(carpd->carpctl({"upgrade"}).exit_code, 0) << carpd->log();
        ASSERT_TRUE(wait_until(
            [&] {
                return sync(*carpd).at("pid") != before && sync(*carpd).at("incomplete") == "no" &&
                       sync(beta_carpd()).at("incomplete") == "no";
            },
            15s))
            << sync(*carpd).dump();
        EXPECT_EQ(transitions_of_both(), transitions);
        EXPECT_EQ(alpha_carpd().group("lan").at("demotion"), 0);
    }
    expect_nothing_lost(probes, since);
}

}  // namespace
}  // namespace carpd::lab
