// carpd and carpctl as programs: exit codes, signals, privileges, the control socket.
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>
#include <fstream>

#include "netns_test.h"

namespace carpd::lab {
namespace {

class Daemon : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (!IsSkipped()) three_hosts();
    }

    std::string file(const std::string& text) {
        const std::string path = lab().folder() + "/carpd.toml";
        std::filesystem::remove(path);
        std::ofstream(path) << "control = \"" << lab().folder() << "/test.sock\"\n" << text;
        std::filesystem::permissions(path, std::filesystem::perms::owner_read);  // it holds a password
        return path;
    }
    Result carpd(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), carpd_program());
        return alpha().run(arguments);
    }
};

// This test is the service manager.
TEST_F(Daemon, TellsTheServiceManager) {
    const std::string path = lab().folder() + "/notify";
    const UniqueFd systemd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(bind(systemd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const timeval patience{10, 0};
    setsockopt(systemd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const auto hears = [&](const std::string& part) {
        for (char text[512];;) {
            const ssize_t size = recv(systemd.get(), text, sizeof text, 0);
            if (size < 0) return false;
            if (std::string(text, static_cast<std::size_t>(size)).find(part) != std::string::npos)
                return true;
        }
    };
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
    Carpd& carpd = start(alpha(), Group{});
    unsetenv("NOTIFY_SOCKET");
    EXPECT_TRUE(hears("READY=1\nWATCHDOG=1\nSTATUS=1 group, MASTER of 0"));
    EXPECT_TRUE(hears("WATCHDOG=1\nSTATUS=1 group, MASTER of 1"));
    EXPECT_EQ(carpd.stop(), 0);
    EXPECT_TRUE(hears("STOPPING=1"));
}

TEST_F(Daemon, ChecksAConfiguration) {
    EXPECT_EQ(carpd({"-n", "-f", file(Group{}.text())}).exit_code, 0);
    const Result missing = carpd({"-n", "-f", file(Group{.interface = "eth7"}.text())});
    EXPECT_EQ(missing.exit_code, 6);
    EXPECT_THAT(missing.errors, testing::HasSubstr("eth7"));
    EXPECT_EQ(carpd({"-n", "-f", "/nonexistent"}).exit_code, 6);
}

// Every mistake in one run, each with its line and column, and nothing is started.
TEST_F(Daemon, ReportsEveryMistake) {
    const std::string text =
        "[[group]]\ninterface = \"eth0\"\nvhid = 256\naddresses = [\"192.0.2.100\"]\npreemt = true\nadvbase "
        "= \"one\"\n"
        "password = \"12345678901234567890\"\n";
    for (const char* check : {"-n", "-v"}) {
        const Result result = carpd({check, "-f", file(text)});
        EXPECT_EQ(result.exit_code, 6);
        for (int line : {4, 5, 6, 7, 8})  // the first line is `control`
            EXPECT_THAT(result.errors, testing::HasSubstr(fmt::format("carpd.toml:{}:", line)));
        EXPECT_THAT(result.errors, testing::HasSubstr("preempt"));
    }
}

TEST_F(Daemon, RefusesAWrongCommandLine) {
    EXPECT_EQ(carpd({"--frobnicate"}).exit_code, 2);
    EXPECT_EQ(run({{carpctl_program(), "frobnicate"}}).exit_code, 2);
    EXPECT_EQ(run({{carpctl_program()}}).exit_code, 2);
}

TEST_F(Daemon, NamesAMissingCapability) {
    for (const std::string name : {"net_admin", "net_raw"}) {
        const Result result = alpha().run(
            {"setpriv", "--bounding-set", "-" + name, carpd_program(), "-f", file(Group{}.text())});
        EXPECT_EQ(result.exit_code, 4);
        EXPECT_THAT(result.errors, testing::HasSubstr(name == "net_admin" ? "CAP_NET_ADMIN" : "CAP_NET_RAW"));
        EXPECT_EQ(std::count(result.errors.begin(), result.errors.end(), '\n'), 1) << result.errors;
    }
}

TEST_F(Daemon, RefusesASecondOneInTheSameNetwork) {
    Carpd& first = start(alpha(), Group{});
    ASSERT_TRUE(first.wait_state("lan", "master"));
    const Result second = carpd({"-f", file(Group{}.text())});
    EXPECT_EQ(second.exit_code, 1);
    EXPECT_THAT(second.errors, testing::HasSubstr("another carpd"));
    EXPECT_EQ(first.state("lan"), "master");
    EXPECT_TRUE(pings(client(), kVip4));
}

TEST_F(Daemon, StopsInOrderOnBothSignalsAndByCarpctl) {
    for (int signal : {SIGTERM, SIGINT}) {
        Carpd& carpd = start(alpha(), Group{});
        ASSERT_TRUE(carpd.wait_state("lan", "master"));
        carpd.process().signal(signal);
        EXPECT_EQ(carpd.process().wait(5s), 0);
        EXPECT_FALSE(pings(client(), kVip4));
    }
    Carpd& carpd = start(alpha(), Group{});
    EXPECT_EQ(carpd.carpctl({"stop"}).exit_code, 0);
    EXPECT_EQ(carpd.process().wait(5s), 0);
    EXPECT_EQ(carpd.carpctl({"status"}).exit_code, 3);
}

TEST_F(Daemon, CarpctlShowsAndChanges) {
    start_pair(Group{});
    Carpd& carpd = alpha_carpd();
    const Result text = carpd.carpctl({"status"});
    EXPECT_EQ(text.exit_code, 0);
    EXPECT_THAT(text.output, testing::HasSubstr("MASTER"));
    EXPECT_THAT(text.output, testing::HasSubstr("192.0.2.100"));
    const Result json = carpd.carpctl({"-j", "status", "lan"});
    const nlohmann::json status = nlohmann::json::parse(json.output);
    EXPECT_EQ(status.at("schema"), 1);
    const nlohmann::json& group = status.at("groups").at(0);
    for (const char* key : {"name", "interface", "vhid", "state", "since_ms", "addresses", "advbase",
                            "advskew", "demotion", "demotion_reasons", "counters"})
        EXPECT_TRUE(group.contains(key)) << key;
    EXPECT_EQ(group.at("state"), "master");

    EXPECT_EQ(carpd.carpctl({"status", "nosuch"}).exit_code, 1);
    // A demoted master gives way even where nobody preempts.
    EXPECT_EQ(carpd.carpctl({"demote", "lan", "10"}).exit_code, 0);
    EXPECT_TRUE(beta_carpd().wait_state("lan", "master"));
    EXPECT_TRUE(carpd.wait_state("lan", "backup"));
    EXPECT_EQ(reason_for(beta_carpd(), "master"), "master is more demoted");
    EXPECT_EQ(carpd.group("lan").at("demotion"), 10);
    EXPECT_EQ(carpd.carpctl({"demote", "lan", "0"}).exit_code, 0);
    EXPECT_EQ(carpd.group("lan").at("demotion"), 0);
}

TEST_F(Daemon, CarpctlDemotesByInterfaceGroupAndName) {
    start_pair(Group{});
    Carpd& carpd = alpha_carpd();
    EXPECT_EQ(carpd.carpctl({"demote", "-g", "carp", "-n", "upgrade", "10"}).exit_code, 0);
    EXPECT_TRUE(beta_carpd().wait_state("lan", "master"));
    EXPECT_EQ(reason_for(beta_carpd(), "master"), "master is more demoted");
    EXPECT_EQ(carpd.carpctl({"demote", "lan", "3"}).exit_code, 0);
    EXPECT_EQ(carpd.group("lan").at("demotion_reasons"),
              nlohmann::json({{"carp:upgrade", 10}, {"operator", 3}}));
    const Result unknown = carpd.carpctl({"demote", "-g", "wan", "10"});
    EXPECT_EQ(unknown.exit_code, 1);
    EXPECT_THAT(unknown.errors, testing::HasSubstr("there is no interface group 'wan'; there are: carp"));
    EXPECT_EQ(carpd.carpctl({"demote", "-g", "carp", "-n", "upgrade", "0"}).exit_code, 0);
    EXPECT_EQ(carpd.group("lan").at("demotion"), 3);
}

// A host that has just booted takes over from nobody.
TEST_F(Daemon, HoldsDownAfterItsStart) {
    Carpd& there = start(beta(), Group{.advskew = kPoorSkew});
    ASSERT_TRUE(there.wait_state("lan", "master"));
    Carpd booted(alpha(), "hold-down = 3\n" + Group{}.with_preempt().text());
    EXPECT_EQ(booted.group("lan").at("demotion_reasons"), nlohmann::json({{"hold_down", 128}}));
    EXPECT_TRUE(booted.wait_state("lan", "master"));
    EXPECT_EQ(booted.group("lan").at("demotion"), 0);
    EXPECT_EQ(reason_for(booted, "master"), "preempting a slower master");
    EXPECT_THAT(booted.log(), testing::HasSubstr("no longer demoted (hold_down)"));
}

TEST_F(Daemon, MonitorTellsChangesAsTheyHappen) {
    Carpd& carpd = start(alpha(), Group{});
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    Process monitor({{carpctl_program(), "-s", carpd.socket(), "-j", "monitor"}});
    // Until it listens, nothing is told: change the state until something is.
    const auto told = [&] {
        carpd.carpctl({"state", "lan", carpd.state("lan") == "master" ? "backup" : "master"});
        return monitor.output().find('\n') != std::string::npos;
    };
    ASSERT_TRUE(wait_until(told, 10s)) << monitor.errors();
    const std::string output = monitor.output();
    const nlohmann::json line = nlohmann::json::parse(output.substr(0, output.find('\n')));
    for (const char* key : {"time", "group", "from", "to", "reason"}) EXPECT_TRUE(line.contains(key)) << key;
}

TEST_F(Daemon, TellsItsHistory) {
    const Carpd& carpd = start(
        alpha(), Group{}.text() + Group{.name = "dmz", .vhid = 2, .addresses = {"192.0.2.101/24"}}.text());
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    ASSERT_TRUE(carpd.wait_state("dmz", "master"));
    EXPECT_EQ(carpd.carpctl({"demote", "lan", "7"}).exit_code, 0);
    const Result all = carpd.carpctl({"history"});
    EXPECT_EQ(count_in(all.output, "BACKUP -> MASTER (master timed out)"), 2) << all.output;
    std::vector<std::string> events;
    std::istringstream lan(carpd.carpctl({"-j", "history", "lan"}).output);
    for (std::string line; std::getline(lan, line);) {
        const auto change = nlohmann::json::parse(line);
        EXPECT_EQ(change.at("group"), "lan");
        events.push_back(change.at("event"));
    }
    EXPECT_EQ(events, (std::vector<std::string>{"transition", "transition", "demotion"}));
    for (int i = 1; i <= 300; ++i)
        ASSERT_EQ(carpd.carpctl({"demote", "lan", std::to_string(i % 100)}).exit_code, 0);
    EXPECT_EQ(count_in(carpd.carpctl({"-j", "history"}).output, "\n"), 200);
}

TEST_F(Daemon, ReloadAppliesADifferenceAndRefusesMistakes) {
    Carpd& carpd = start(alpha(), Group{});
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    const std::uint64_t changes = carpd.transitions("lan");
    Group second{.name = "second", .vhid = 2, .addresses = {"192.0.2.101/24"}};
    std::ofstream(carpd.config_file(), std::ios::app) << second.text();
    EXPECT_EQ(carpd.carpctl({"reload"}).exit_code, 0);
    EXPECT_TRUE(carpd.wait_state("second", "master"));
    std::ofstream(carpd.config_file(), std::ios::app) << "nonsense = 1\n";
    EXPECT_EQ(carpd.carpctl({"reload"}).exit_code, 1);
    EXPECT_EQ(carpd.state("lan"), "master");
    EXPECT_EQ(carpd.state("second"), "master");
    EXPECT_EQ(carpd.transitions("lan"), changes);
    carpd.reload(second.text());  // the first group goes
    EXPECT_TRUE(wait_until([&] { return carpd.status().at("groups").size() == 1; }, 5s));
    EXPECT_FALSE(pings(client(), kVip4));
    EXPECT_TRUE(pings(client(), "192.0.2.101"));
}

TEST_F(Daemon, ControlSocketIsForItsGroupOnly) {
    Carpd& carpd = start(alpha(), Group{});
    struct stat status {};
    ASSERT_EQ(stat(carpd.socket().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0660u);
    EXPECT_EQ(status.st_uid, 0u);
}

// Garbage, half requests, and clients that never read: the daemon answers the others and doesn't grow.
TEST_F(Daemon, ControlSocketBearsBadClients) {
    Carpd& carpd = start(alpha(), Group{});
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    const auto resident_kb = [&] {
        const Result result = run({{"ps", "-o", "rss=", "-p", std::to_string(carpd.engine_pid())}});
        return std::stoi(result.output);
    };
    const int before = resident_kb();
    std::vector<UniqueFd> clients;
    const std::string garbage(100000, 'x');
    const std::string flood = [] {
        std::string text;
        for (int i = 0; i < 2000; ++i) text += "{\"command\":\"status\"}\n";
        return text;
    }();
    for (const std::string& bytes :
         {std::string("{\"command\":\"sta"), std::string("\0\xff\n", 3), std::string("[1]\n{}\nnull\n"),
          std::string("{\"command\":\"state\",\"group\":7}\n"), garbage, flood}) {
        for (int i = 0; i < 20; ++i) {
            clients.push_back(carpd.connect());
            send(clients.back().get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        }
    }
    const Time asked = Clock::now();
    // It bounds how many it keeps, so ours may have to wait until the bad ones are sent away.
    const bool answered = wait_until([&] { return carpd.carpctl({"status"}).exit_code == 0; }, 10s);
    EXPECT_TRUE(answered) << carpd.log();
    fmt::print("answered after {:.0f} ms\n", to_ms(Clock::now() - asked));
    EXPECT_TRUE(pings(client(), kVip4));
    EXPECT_LT(resident_kb(), before + 20000);
    clients.clear();
    EXPECT_EQ(carpd.carpctl({"status"}).exit_code, 0);
    EXPECT_EQ(carpd.state("lan"), "master");
}

TEST_F(Daemon, ACrashOfTheDaemonIsNotAnOrderlyStop) {
    start_pair(Group{});
    alpha_carpd().kill();
    EXPECT_EQ(alpha_carpd().process().wait(1s), 128 + SIGKILL);
    EXPECT_TRUE(beta_carpd().wait_state("lan", "master"));
    EXPECT_THAT(reason_for(beta_carpd(), "master"), testing::HasSubstr("timed out"));
}

}  // namespace
}  // namespace carpd::lab
