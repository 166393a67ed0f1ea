// Upgrades under traffic: another carpd takes over from the one that runs, of the MASTER and of the BACKUP,
// and nobody notices; and what becomes of one that can't be done.
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "netns_test.h"

namespace carpd::lab {
namespace {

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
        std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", supervisor));
        for (pid_t child; children >> child;) {
            std::string name;
            std::getline(std::ifstream(fmt::format("/proc/{}/comm", child)), name);
            if (child != engine && name == "carpd: engine") return kill(child, SIGKILL) == 0;
        }
        return false;
    };
    ASSERT_TRUE(wait_until(kill_another, 10s, 1ms));
    EXPECT_EQ(carpctl.wait(10s), 1);
    EXPECT_THAT(carpctl.errors(), testing::HasSubstr("was killed by SIGKILL"));
    EXPECT_EQ(alpha_carpd().engine_pid(), engine);
    EXPECT_EQ(transitions_of_both(), transitions);
    upgrade(alpha_carpd());
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
