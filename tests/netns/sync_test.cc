// The process `carpd: sync`: what becomes of flows and of CARP when it, its link or its key fails. (What
// connections live through: firewall_test.cc.)
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "netns_test.h"

namespace carpd::lab {
namespace {

class Sync : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (IsSkipped()) return;
        three_hosts();
        for (Host* host : {&alpha(), &beta()}) {
            host->attach("sync0", 1, {fmt::format("10.9.0.{}/24", address_of(*host))});
            track_connections(*host);
        }
    }
    static int address_of(const Host& host) { return host.number() + 1; }

    std::string section(const Host& host, const std::string& keys = {}) {
        return fmt::format(
            "[sync]\nname = \"{}\"\ninterface = \"sync0\"\npeers = [\"10.9.0.{}\"]\n{}", host.name(),
            3 - address_of(host),
            keys.find("key-hex") == 0 ? keys : fmt::format("key-hex = \"{}\"\n{}", kKey, keys));
    }
    // alpha MASTER, beta BACKUP with a whole copy.
    void start_both(const std::string& keys = {}, const std::string& beta_keys = {}) {
        start(alpha(), section(alpha(), keys) + group_.text());
        ASSERT_TRUE(alpha_carpd().wait_state("lan", "master"));
        start(beta(), section(beta(), keys + beta_keys) + group_.with_skew(kPoorSkew).text());
        ASSERT_TRUE(beta_carpd().wait_state("lan", "backup"));
    }
    void expect_equal_and_fit() {
        EXPECT_TRUE(wait_until([&] { return incomplete(beta_carpd()) == "no" && is_up(beta_carpd()); }, 10s))
            << sync(beta_carpd()).dump(2);
        EXPECT_TRUE(wait_until([&] { return demotion(beta_carpd()) == 0; }, 10s));
    }

    // Of `carpd: sync`; empty while it doesn't answer.
    static nlohmann::json sync(const Carpd& carpd, const nlohmann::json& request = {{"command", "status"}}) {
        try {
            return ask(carpd.socket() + ".sync", request);
        } catch (const std::exception&) {
            return nlohmann::json::object();
        }
    }
    static std::string incomplete(const Carpd& carpd) { return sync(carpd).value("incomplete", "?"); }
    static bool is_up(const Carpd& carpd) {
        const auto status = sync(carpd);
        return status.contains("peers") && status["peers"][0].at("up");
    }
    static std::string why(const Carpd& carpd) {
        const auto status = sync(carpd);
        return status.contains("peers") && status["peers"][0].at("why").is_string()
                   ? status["peers"][0]["why"].get<std::string>()
                   : "";
    }
    // Until then who has no peer is demoted, for there might be one (B2).
    static bool has_started(const Carpd& carpd) { return sync(carpd).value("running_ms", 0.0) > 3000; }
    static pid_t sync_pid(const Carpd& carpd) { return sync(carpd).value("pid", 0); }
    static int demotion(const Carpd& carpd) { return carpd.group("lan").at("demotion"); }

    // A flow that passes the host: it is in its table as if packets had made it.
    static void begin_flow(Host& host, int port, int seconds = 100) {
        EXPECT_EQ(conntrack(host, {"-I", "-p", "tcp", "-s", "203.0.113.1", "-d", "198.51.100.7", "--sport",
                                   std::to_string(port), "--dport", "443", "--state", "ESTABLISHED", "-u",
                                   "ASSURED,SEEN_REPLY", "-t", std::to_string(seconds)})
                      .exit_code,
                  0);
    }
    static void end_flow(Host& host, int port) {
        EXPECT_EQ(conntrack(host, {"-D", "-s", "203.0.113.1", "-p", "tcp", "--sport", std::to_string(port)})
                      .exit_code,
                  0);
    }
    static Result conntrack(Host& host, std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), "conntrack");
        return host.run(std::move(arguments));
    }
    static int flows(Host& host) { return count_in(conntrack(host, {"-L"}).output, "src=203.0.113.1"); }
    static bool wait_flows(Host& host, int count, Span patience = 10s) {
        return wait_until([&] { return flows(host) == count; }, patience, 5ms);
    }

    Group group_;
    int port_ = 0;  // of the last flow
};

TEST_F(Sync, FlowsOfTheMasterAreOnItsPeer) {
    start_both();
    expect_equal_and_fit();
    for (int port = 1; port <= 20; ++port) begin_flow(alpha(), port);
    EXPECT_TRUE(wait_flows(beta(), 20));
    for (int port = 1; port <= 5; ++port) end_flow(alpha(), port);
    EXPECT_TRUE(wait_flows(beta(), 15));
    const auto status = sync(beta_carpd());
    EXPECT_EQ(status["peers"][0]["held"]["flows"], 15);
    EXPECT_EQ(status["flows"], 0);
    EXPECT_EQ(sync(alpha_carpd())["flows"], 15);
    const Result list = alpha_carpd().carpctl({"sync", "flows"});
    EXPECT_EQ(list.exit_code, 0) << list.errors;
    EXPECT_EQ(count_in(list.output, "203.0.113.1:"), 15) << list.output;
}

TEST_F(Sync, TcpIsToldFromAWantedStateOn) {
    start_both("tcp-states = [\"established\"]\n");
    expect_equal_and_fit();
    const auto half_open = [&](const char* command, const char* state) {
        return conntrack(alpha(), {command, "-p", "tcp", "-s", "203.0.113.1", "-d", "198.51.100.7", "--sport",
                                   "1", "--dport", "443", "--state", state, "-t", "100"})
            .exit_code;
    };
    ASSERT_EQ(half_open("-I", "SYN_RECV"), 0);
    begin_flow(alpha(), 2);
    ASSERT_TRUE(wait_flows(beta(), 1));  // the second one, which began later
    EXPECT_EQ(sync(alpha_carpd())["flows"], 1);
    ASSERT_EQ(half_open("-U", "ESTABLISHED"), 0);
    EXPECT_TRUE(wait_flows(beta(), 2));
}

// beta was there before; flows that are older than carpd, too.
TEST_F(Sync, APeerThatStartsGetsEverything) {
    for (int port = 1; port <= 10; ++port) begin_flow(alpha(), port);
    start_both();
    EXPECT_TRUE(wait_flows(beta(), 10));
    expect_equal_and_fit();
}

TEST_F(Sync, FlowsOfTheHostItselfAreNotTold) {
    start_both();
    expect_equal_and_fit();
    EXPECT_EQ(conntrack(alpha(), {"-I", "-p", "udp", "-s", "192.0.2.1", "-d", "203.0.113.1", "--sport", "1",
                                  "--dport", "2", "-t", "100"})
                  .exit_code,
              0);
    begin_flow(alpha(), 1);
    EXPECT_TRUE(wait_flows(beta(), 1));
    EXPECT_EQ(sync(alpha_carpd())["flows"], 1);
    EXPECT_GT(sync(alpha_carpd())["counters"]["not_told"], 0);
}

TEST_F(Sync, ABackupWhoseProcessDiesIsDemotedUntilAnotherKnowsAll) {
    start_both();
    expect_equal_and_fit();
    begin_flow(alpha(), 1);
    ASSERT_TRUE(wait_flows(beta(), 1));
    const pid_t before = sync_pid(beta_carpd());
    kill(before, SIGKILL);
    EXPECT_TRUE(wait_until([&] { return count_in(beta_carpd().log(), "lan: demotion") > 0; }, 5s))
        << beta_carpd().log();
    begin_flow(alpha(), 2);
    EXPECT_TRUE(wait_flows(beta(), 2));
    expect_equal_and_fit();
    EXPECT_NE(sync_pid(beta_carpd()), before);
    EXPECT_EQ(beta_carpd().transitions("lan"), 1u);  // from INIT
}

TEST_F(Sync, ExplainTellsWhatIsThereAndWhatIsNot) {
    using testing::AllOf, testing::HasSubstr;
    start_both();
    expect_equal_and_fit();
    for (int port = 1; port <= 20; ++port) begin_flow(alpha(), port);
    ASSERT_TRUE(wait_flows(beta(), 20));
    const auto explain = [&] { return beta_carpd().carpctl({"explain"}).output; };
    // What alpha says of itself comes once a second.
    const auto tells_all = [&] {
        return count_in(explain(), "Peer alpha (10.9.0.1) is up") == 1 &&
               count_in(explain(), "owns 20 flows, of which 100 % are here. It has acknowledged all") == 1;
    };
    EXPECT_TRUE(wait_until(tells_all, 10s)) << explain();
    EXPECT_THAT(explain(), AllOf(HasSubstr("sync: This host has all flows of its peers"),
                                 HasSubstr("This host owns 0 flows, and has 20 of its peers.")));

    beta().port("sync0").set_plugged(false);
    ASSERT_TRUE(wait_until([&] { return !is_up(beta_carpd()); }, 10s));
    EXPECT_THAT(explain(), HasSubstr("Peer 10.9.0.1 is down for "));

    kill(sync_pid(beta_carpd()), SIGKILL);
    ASSERT_TRUE(wait_until([&] { return demotion(beta_carpd()) == 240; }, 5s, 1ms));
    EXPECT_THAT(explain(),
                AllOf(HasSubstr("sync: This host lacks flows of its peers: "),
                      HasSubstr("It is demoted by 240 (sync): this host lacks flows of its peers")));
}

TEST_F(Sync, AMasterWhoseProcessDiesStaysMaster) {
    start_both();
    expect_equal_and_fit();
    std::this_thread::sleep_for(3100ms);  // only then is what it has the truth (rule Y5)
    begin_flow(alpha(), 1);
    ASSERT_TRUE(wait_flows(beta(), 1));
    const auto removed = [&] { return sync(beta_carpd())["changes"]["removed"]; };
    const auto removed_before = removed();
    const pid_t before = sync_pid(alpha_carpd());
    kill(before, SIGKILL);
    ASSERT_TRUE(wait_until([&] { return sync_pid(alpha_carpd()) != before && is_up(alpha_carpd()); }, 10s));
    expect_equal_and_fit();
    EXPECT_EQ(removed(), removed_before);  // and nothing was put back
    EXPECT_EQ(demotion(alpha_carpd()), 0);
    begin_flow(alpha(), 2);
    end_flow(alpha(), 1);
    EXPECT_TRUE(wait_flows(beta(), 1));
    EXPECT_EQ(alpha_carpd().transitions("lan"), 2u);  // INIT, BACKUP, MASTER
    expect_equal_and_fit();
}

TEST_F(Sync, AProcessThatHangsDelaysATakeoverByTheBoundAndNoMore) {
    start_both({}, "commit-wait = 0.3\n");
    expect_equal_and_fit();
    const pid_t hanging = sync_pid(beta_carpd());
    kill(hanging, SIGSTOP);
    alpha().power_off();
    ASSERT_TRUE(beta_carpd().wait_state("lan", "master"));
    const Time master = Clock::now();
    EXPECT_TRUE(wait_until([&] { return pings(client(), kVip4); }, 5s, 1ms));
    fmt::print("the address answers {:.1f} ms after the transition was told\n", to_ms(Clock::now() - master));
    EXPECT_GT(Clock::now() - master, 100ms);
    EXPECT_EQ(count_in(beta_carpd().log(), "addresses answer although"), 1) << beta_carpd().log();
    kill(hanging, SIGCONT);
}

TEST_F(Sync, ATakeoverWaitsForNothingWhereNothingIsMissing) {
    start_both();
    expect_equal_and_fit();
    begin_flow(alpha(), 1);
    ASSERT_TRUE(wait_flows(beta(), 1));
    alpha().power_off();
    ASSERT_TRUE(beta_carpd().wait_state("lan", "master"));
    EXPECT_TRUE(wait_until([&] { return pings(client(), kVip4); }, 5s, 1ms));
    const auto takeovers = sync(beta_carpd())["takeovers"];
    EXPECT_EQ(takeovers["count"], 1);
    EXPECT_EQ(takeovers["bound_exceeded"], 0);
    fmt::print("committed in {} ms\n", takeovers["last_commit_ms"].dump());
    EXPECT_TRUE(wait_until([&] { return sync(beta_carpd())["flows"] == 1; }, 5s));
}

TEST_F(Sync, AnotherKeyIsRefusedByName) {
    start(alpha(), section(alpha()) + group_.text());
    ASSERT_TRUE(alpha_carpd().wait_state("lan", "master"));
    start(beta(),
          section(beta(), fmt::format("key-hex = \"{}\"\n", kOtherKey)) + group_.with_skew(kPoorSkew).text());
    EXPECT_TRUE(wait_until([&] { return why(beta_carpd()).find("key") != std::string::npos; }, 5s))
        << why(beta_carpd());
    begin_flow(alpha(), 1);
    EXPECT_GT(sync(beta_carpd())["peers"][0]["counters"]["dropped"]["bad_seal"], 0);
    EXPECT_EQ(flows(beta()), 0);
    // Nobody is heard: it is alone, and fit.
    EXPECT_TRUE(wait_until([&] { return demotion(beta_carpd()) == 0; }, 10s));
}

TEST_F(Sync, AKeyIsChangedInThreeStepsWithoutAGap) {
    start_both();
    expect_equal_and_fit();
    const auto configure = [&](const std::string& keys) {
        for (auto [carpd, host, skew] :
             {std::tuple(&alpha_carpd(), &alpha(), kGoodSkew), {&beta_carpd(), &beta(), kPoorSkew}}) {
            carpd->apply(section(*host, keys) + group_.with_skew(skew).text());
            begin_flow(alpha(), ++port_);
            EXPECT_TRUE(wait_flows(beta(), port_));
            EXPECT_TRUE(is_up(beta_carpd()));
        }
    };
    configure(fmt::format("key-hex = \"{}\"\naccept-key-hex = \"{}\"\n", kKey, kOtherKey));
    configure(fmt::format("key-hex = \"{}\"\naccept-key-hex = \"{}\"\n", kOtherKey, kKey));
    configure(fmt::format("key-hex = \"{}\"\n", kOtherKey));
    EXPECT_EQ(sync(beta_carpd())["peers"][0]["counters"]["downs"], 0);
    EXPECT_EQ(sync(alpha_carpd())["peers"][0]["counters"]["downs"], 0);
}

TEST_F(Sync, ALinkThatIsCutAndRestoredLeavesTheTablesEqual) {
    start_both();
    expect_equal_and_fit();
    for (int port = 1; port <= 10; ++port) begin_flow(alpha(), port);
    ASSERT_TRUE(wait_flows(beta(), 10));
    alpha().port("sync0").set_forwarding(false);
    ASSERT_TRUE(wait_until([&] { return !is_up(beta_carpd()); }, 5s));
    EXPECT_THAT(why(beta_carpd()), testing::HasSubstr("silent"));
    for (int port = 11; port <= 15; ++port) begin_flow(alpha(), port);
    for (int port = 1; port <= 3; ++port) end_flow(alpha(), port);
    alpha().port("sync0").set_forwarding(true);
    EXPECT_TRUE(wait_flows(beta(), 12));
    expect_equal_and_fit();
}

TEST_F(Sync, AnInterfaceThatVanishesAndComesBack) {
    start_both();
    expect_equal_and_fit();
    for (const Carpd* carpd : {&alpha_carpd(), &beta_carpd()})
        ASSERT_TRUE(wait_until([&] { return has_started(*carpd); }, 10s));
    beta().detach("sync0");
    ASSERT_TRUE(wait_until([&] { return why(beta_carpd()).find("sync0") != std::string::npos; }, 5s));
    begin_flow(alpha(), 1);
    beta().attach("sync0", 1, {"10.9.0.2/24"});
    EXPECT_TRUE(wait_flows(beta(), 1));
    expect_equal_and_fit();
}

TEST_F(Sync, CanBeConfiguredAndTakenAwayWhileGroupsRun) {
    start(alpha(), group_.text());
    ASSERT_TRUE(alpha_carpd().wait_state("lan", "master"));
    start(beta(), group_.with_skew(kPoorSkew).text());
    ASSERT_TRUE(beta_carpd().wait_state("lan", "backup"));
    EXPECT_EQ(sync(beta_carpd()), nlohmann::json::object());
    alpha_carpd().apply(section(alpha()) + group_.text());
    beta_carpd().apply(section(beta()) + group_.with_skew(kPoorSkew).text());
    ASSERT_TRUE(wait_until([&] { return is_up(beta_carpd()); }, 5s));
    expect_equal_and_fit();
    begin_flow(alpha(), 1);
    EXPECT_TRUE(wait_flows(beta(), 1));
    const pid_t before = sync_pid(beta_carpd());
    beta_carpd().apply(group_.with_skew(kPoorSkew).text());
    EXPECT_TRUE(wait_until([&] { return kill(before, 0) != 0; }, 5s));
    EXPECT_EQ(demotion(beta_carpd()), 0);
    EXPECT_EQ(flows(beta()), 1);
    EXPECT_EQ(alpha_carpd().transitions("lan"), 2u);
}

TEST_F(Sync, AHostThatStopsInOrderTellsTheRestBefore) {
    start_both();
    expect_equal_and_fit();
    for (int port = 1; port <= 50; ++port) begin_flow(alpha(), port);
    EXPECT_EQ(alpha_carpd().stop(), 0);
    EXPECT_TRUE(beta_carpd().wait_state("lan", "master"));
    EXPECT_EQ(flows(beta()), 50);
}

TEST_F(Sync, FlushAndResync) {
    start_both();
    expect_equal_and_fit();
    for (int port = 1; port <= 10; ++port) begin_flow(alpha(), port);
    ASSERT_TRUE(wait_flows(beta(), 10));
    const Result refused = alpha_carpd().carpctl({"sync", "flush"});
    EXPECT_NE(refused.exit_code, 0);
    EXPECT_THAT(refused.errors, testing::HasSubstr("MASTER"));
    EXPECT_EQ(beta_carpd().carpctl({"sync", "flush"}).exit_code, 0);
    EXPECT_TRUE(wait_flows(beta(), 10));
    // Somebody removed what we put there.
    ASSERT_EQ(conntrack(beta(), {"-F"}).exit_code, 0);
    EXPECT_EQ(beta_carpd().carpctl({"sync", "resync"}).exit_code, 0);
    EXPECT_TRUE(wait_flows(beta(), 10));
    expect_equal_and_fit();
    const Result status = beta_carpd().carpctl({"sync", "status"});
    EXPECT_EQ(status.exit_code, 0);
    fmt::print("{}", status.output);
}

// As /proc/PID/status has it.
std::string status_of(pid_t pid, const std::string& field) {
    std::ifstream file(fmt::format("/proc/{}/status", pid));
    for (std::string line; std::getline(file, line);)
        if (line.starts_with(field + ":\t")) return line.substr(field.size() + 2);
    return "";
}

TEST_F(Sync, HasAUserOfItsOwnAndLittleElse) {
    start_both();
    expect_equal_and_fit();
    const pid_t pid = sync_pid(beta_carpd());
    for (const char* ids : {"Uid", "Gid"}) {  // real, effective, saved and of the file system
        const std::string all = status_of(pid, ids), real = all.substr(0, all.find('\t'));
        EXPECT_GT(std::stoi(real), 0);
        EXPECT_EQ(all, fmt::format("{0}\t{0}\t{0}\t{0}", real)) << ids;
    }
    EXPECT_THAT(status_of(pid, "Groups"), testing::AnyOf("", " "));
    for (const char* rights : {"CapPrm", "CapEff"})
        EXPECT_EQ(status_of(pid, rights), "0000000000001000") << "CAP_NET_ADMIN";
    for (const char* rights : {"CapInh", "CapAmb"}) EXPECT_EQ(status_of(pid, rights), "0000000000000000");
    EXPECT_EQ(status_of(pid, "NoNewPrivs"), "1");
    EXPECT_EQ(status_of(pid, "Seccomp"), "2");
    EXPECT_EQ(status_of(beta_carpd().engine_pid(), "Seccomp"), "0");
}

// It can't read the file: what it says now was told to it. What can't change in a session needs another one,
// which the supervisor starts.
TEST_F(Sync, ReloadsWhatItCanAndBeginsAnewWithTheRest) {
    start_both();
    expect_equal_and_fit();
    std::this_thread::sleep_for(3100ms);  // a MASTER for so long isn't demoted for it (rule Y5)
    const pid_t before = sync_pid(alpha_carpd());
    alpha_carpd().apply(section(alpha(), "protocols = [\"udp\"]\n") + group_.text());
    ASSERT_TRUE(wait_until(
        [&] {
            begin_flow(alpha(), ++port_);
            return sync(alpha_carpd())["counters"]["not_told"] > 0;
        },
        5s));
    EXPECT_EQ(sync_pid(alpha_carpd()), before);
    alpha_carpd().apply(section(alpha(), "dead-after = 2\n") + group_.text());
    ASSERT_TRUE(
        wait_until([&] { return sync_pid(alpha_carpd()) != before && sync_pid(alpha_carpd()) != 0; }, 5s));
    EXPECT_TRUE(wait_flows(beta(), port_)) << "what the one before didn't tell";
    expect_equal_and_fit();
    EXPECT_EQ(count_in(alpha_carpd().log(), "starting it again"), 0) << alpha_carpd().log();
    EXPECT_EQ(alpha_carpd().stop(), 0);
    EXPECT_FALSE(std::filesystem::exists(alpha_carpd().socket() + ".sync"));
}

}  // namespace
}  // namespace carpd::lab
