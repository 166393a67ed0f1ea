// `carpd ucarp` in the place of ucarp: beside a real one, with scripts that bring the address, and in
// Debian's own set-up of ifupdown.
#include <fmt/format.h>

#include <fstream>

#include "netns_test.h"

namespace carpd::lab {
namespace {

using testing::HasSubstr;

// As in ucarp_test.cc: 78 ms between a master's advertisements, or 0.8 s.
constexpr int kGood = 20, kPoor = 200;

UcarpOptions options(const Host& host, int advskew) {
    return {.source = fmt::format("192.0.2.{}", host.number() + 1),
            .address = kVip4,
            .password = "s3cret",
            .advbase = 0,
            .advskew = advskew};
}

bool has_address(Host& host) {
    const Result result = host.run({"ip", "-4", "-o", "address", "show", "dev", "eth0"});
    return result.output.find(fmt::format(" {}/", kVip4)) != std::string::npos;
}
bool wait_address(Host& host, bool wanted, Span patience = 15s) {
    return wait_until([&] { return has_address(host) == wanted; }, patience, 20ms);
}

// carpd in a mount namespace of its own, for hosts have /run in common.
class UcarpCommand : public NetnsTest {
 protected:
    void SetUp() override {
        if (!Ucarp::installed()) GTEST_SKIP() << "ucarp is not installed";
        NetnsTest::SetUp();
        if (!IsSkipped()) three_hosts();
    }

    // Where `neighbor` is, too.
    Process& begin_beside(const Process& neighbor, Host& host, const UcarpOptions& o) {
        Command command = ucarp_command(host, o);
        const std::vector<std::string> before = {"nsenter", "--mount", "--target",
                                                 std::to_string(neighbor.pid()), carpd_program()};
        command.argv.insert(command.argv.begin(), before.begin(), before.end());
        command.quiet_console = false;  // it isn't there
        return processes_.emplace_back(command);
    }
    Process& begin(Host& host, const UcarpOptions& o, const std::vector<std::string>& more = {}) {
        Command command = ucarp_command(host, o);
        const std::vector<std::string> before = {
            "unshare",
            "--mount",
            "sh",
            "-c",
            "mkdir -p /run/carpd && mount -t tmpfs none /run/carpd && exec \"$@\"",
            "sh",
            carpd_program()};
        command.argv.insert(command.argv.begin(), before.begin(), before.end());
        command.argv.insert(command.argv.end(), more.begin(), more.end());
        return processes_.emplace_back(command);
    }
    static std::string log(const Process& process) { return process.errors() + process.output(); }
    static std::string socket(const Process& process) {
        return fmt::format("/proc/{}/root/run/carpd/ucarp-eth0-1.sock", process.pid());
    }
    static nlohmann::json status(const Process& process) {
        return ask(socket(process), {{"command", "status"}});
    }
    static std::string state(const Process& process) {
        return status(process).at("groups").at(0).at("state").get<std::string>();
    }
    static bool wait_log(const Process& process, const std::string& text) {
        return wait_until([&] { return log(process).find(text) != std::string::npos; }, 15s, 10ms);
    }

 private:
    std::deque<Process> processes_;
};

TEST_F(UcarpCommand, TakesOverFromUcarpAndIsTakenOver) {
    auto ucarp = std::make_unique<Ucarp>(beta(), options(beta(), kGood));
    ASSERT_TRUE(ucarp->wait_master(true)) << ucarp->log();
    Process& ours = begin(alpha(), options(alpha(), kPoor));
    ASSERT_TRUE(wait_log(ours, "INIT -> BACKUP")) << log(ours);
    const Probe probe(client(), kVip4, 5ms);
    ASSERT_TRUE(probe.wait_answer(&beta(), 5s));
    std::this_thread::sleep_for(3s);  // longer than it waits for a master
    EXPECT_EQ(state(ours), "backup") << log(ours);
    EXPECT_EQ(status(ours).at("groups").at(0).at("counters").at("dropped").at("bad_digest"), 0);
    EXPECT_EQ(status(ours).at("groups").at(0).at("dataplane"), "scripts");
    // There is no file of a configuration that could be read.
    const Result doctor = alpha().run({carpctl_program(), "-s", socket(ours), "-j", "doctor"});
    EXPECT_EQ(nlohmann::json::parse(doctor.output).at("untested"), nlohmann::json::array()) << doctor.output;
    EXPECT_THAT(alpha().run({carpctl_program(), "-s", socket(ours), "config", "diff"}).errors,
                HasSubstr("runs by a command line of ucarp, not by a file"));

    ucarp->kill();
    ASSERT_EQ(beta().run({"ip", "address", "del", "192.0.2.100/24", "dev", "eth0"}).exit_code, 0);
    ASSERT_TRUE(wait_address(alpha(), true)) << log(ours);
    EXPECT_TRUE(probe.wait_answer(&alpha(), 5s));

    UcarpOptions better = options(beta(), kGood);
    better.preempt = true;
    Ucarp again(beta(), better);
    EXPECT_TRUE(again.wait_master(true)) << again.log();
    EXPECT_TRUE(wait_address(alpha(), false)) << log(ours);
    EXPECT_TRUE(probe.wait_answer(&beta(), 5s));
}

TEST_F(UcarpCommand, KnowsUcarpsSignals) {
    // With faster ones ucarp begins as MASTER, and hears late what was said before.
    UcarpOptions first = options(alpha(), 0), second = options(beta(), 20);
    first.advbase = second.advbase = 1;
    Process& ours = begin(alpha(), first);
    ASSERT_TRUE(wait_address(alpha(), true)) << log(ours);
    Ucarp ucarp(beta(), second);
    const Probe probe(client(), kVip4, 5ms);
    ASSERT_TRUE(probe.wait_answer(&alpha(), 5s));
    // One that has heard nothing yet doesn't believe that somebody left.
    std::this_thread::sleep_for(2500ms);
    ASSERT_FALSE(ucarp.is_master()) << ucarp.log();
    ours.signal(SIGUSR1);
    EXPECT_TRUE(wait_log(ours, "MASTER on eth0 id 1")) << log(ours);

    ours.signal(SIGUSR2);
    EXPECT_TRUE(ucarp.wait_master(true)) << ucarp.log() << log(ours);
    EXPECT_TRUE(wait_address(alpha(), false)) << log(ours);
    EXPECT_TRUE(probe.wait_answer(&beta(), 5s));
    EXPECT_EQ(state(ours), "backup");
    ours.signal(SIGUSR1);
    EXPECT_TRUE(wait_log(ours, "BACKUP on eth0 id 1")) << log(ours);
    EXPECT_TRUE(ours.running());
}

TEST_F(UcarpCommand, EndsInOrderOnEverySignalThatEndsUcarp) {
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
        Process& ours = begin(alpha(), options(alpha(), kGood));
        ASSERT_TRUE(wait_address(alpha(), true)) << log(ours);
        ours.signal(signal);
        EXPECT_EQ(ours.wait(10s), 0) << log(ours);
        EXPECT_FALSE(has_address(alpha())) << log(ours);  // its down script has run by then
    }
}

// ucarp killed leaves the address to both hosts; here one process may be.
TEST_F(UcarpCommand, TheDownScriptRunsWhenTheEngineDies) {
    Process& ours = begin(alpha(), options(alpha(), kGood));
    ASSERT_TRUE(wait_address(alpha(), true)) << log(ours);
    const Probe probe(client(), kVip4, 5ms);
    ASSERT_TRUE(probe.wait_answer(&alpha(), 5s));
    Process& other = begin(beta(), options(beta(), kGood));
    ASSERT_TRUE(wait_log(other, "INIT -> BACKUP")) << log(other);
    ASSERT_TRUE(wait_until([&] { return !status(other).at("groups").at(0).at("last_heard").is_null(); }, 5s));

    kill(status(ours).at("pid").get<pid_t>(), SIGKILL);
    EXPECT_TRUE(wait_address(beta(), true)) << log(other);
    EXPECT_TRUE(wait_address(alpha(), false)) << log(ours);
    EXPECT_TRUE(probe.wait_answer(&beta(), 5s));
    // The second engine.
    EXPECT_TRUE(wait_until([&] { return count_in(log(ours), "INIT -> BACKUP") == 2; }, 10s, 10ms))
        << log(ours);
    EXPECT_EQ(state(ours), "backup");
}

TEST_F(UcarpCommand, ASlowScriptIsInNobodysWay) {
    const std::string slow = lab().folder() + "/slow-up", ran = lab().folder() + "/ran";
    std::ofstream(slow) << "#!/bin/sh\nsleep 2\nip address add $2/24 dev $1\nsleep 60 &\n"
                        << "echo $FRUIT $# $! > " << ran << ".next; mv " << ran << ".next " << ran << "\n";
    ASSERT_EQ(run({{"chmod", "+x", slow}}).exit_code, 0);
    setenv("FRUIT", "apple", 1);
    Process& ours = begin(alpha(), options(alpha(), kGood), {"--upscript", slow, "-x", "extra"});
    unsetenv("FRUIT");
    ASSERT_TRUE(wait_log(ours, "BACKUP -> MASTER")) << log(ours);
    Process& other = begin(beta(), options(beta(), kGood));
    EXPECT_TRUE(wait_address(alpha(), true)) << log(ours);
    EXPECT_EQ(state(other), "backup") << log(other);
    EXPECT_EQ(log(other).find("MASTER"), std::string::npos) << log(other);
    ASSERT_TRUE(wait_until([&] { return access(ran.c_str(), R_OK) == 0; }, 5s));
    std::ifstream file(ran);
    std::string fruit;
    int arguments = 0;
    pid_t left = 0;
    file >> fruit >> arguments >> left;
    EXPECT_EQ(fruit, "apple");  // the environment of whoever started ucarp
    EXPECT_EQ(arguments, 3);
    ours.signal(SIGUSR2);  // the script has ended by the time that another one runs
    EXPECT_TRUE(wait_address(alpha(), false)) << log(ours);
    EXPECT_EQ(kill(left, 0), 0);  // what it started lives on, as ucarp has it
}

TEST_F(UcarpCommand, BroadcastsWhereUcarpWould) {
    Process& ours = begin(alpha(), options(alpha(), kGood), {"-M"});
    ASSERT_TRUE(wait_address(alpha(), true)) << log(ours);
    Capture capture(alpha());
    ASSERT_TRUE(wait_until([&] { return capture.sent(&CapturedFrame::is_advertisement).size() >= 3; }, 5s));
    for (const CapturedFrame& frame : capture.sent(&CapturedFrame::is_advertisement)) {
        EXPECT_EQ(frame.destination().to_string(), "ff:ff:ff:ff:ff:ff");
        EXPECT_EQ(frame.source(), alpha().mac());
        EXPECT_EQ(frame.ip_destination().to_string(), "224.0.0.18");
        EXPECT_EQ(frame.ip_source().to_string(), "192.0.2.1");
    }
}

TEST_F(UcarpCommand, IgnoresALinkThatIsDownOnlyIfToldTo) {
    Process& ours = begin(alpha(), options(alpha(), kGood));
    Process& stubborn = begin(beta(), options(beta(), kPoor), {"-S"});
    ASSERT_TRUE(wait_address(alpha(), true)) << log(ours);
    ASSERT_TRUE(wait_log(stubborn, "INIT -> BACKUP"));
    alpha().cut();
    EXPECT_TRUE(wait_address(alpha(), false)) << log(ours);
    EXPECT_EQ(state(ours), "init");
    ASSERT_TRUE(wait_address(beta(), true)) << log(stubborn);
    beta().cut();
    ASSERT_TRUE(wait_until(
        [&] {
            return !status(stubborn).at("groups").at(0).at("interface_running").get<bool>() ||
                   beta().run({"ip", "link", "show", "eth0"}).output.find("NO-CARRIER") != std::string::npos;
        },
        5s));
    std::this_thread::sleep_for(1s);
    EXPECT_EQ(state(stubborn), "master") << log(stubborn);
    EXPECT_TRUE(has_address(beta()));
}

TEST_F(UcarpCommand, HostsThatShareRunDoNotMeet) {
    Process& ours = begin(alpha(), options(alpha(), kGood));
    ASSERT_TRUE(wait_address(alpha(), true)) << log(ours);
    Process& other = begin_beside(ours, beta(), options(beta(), kGood));
    ASSERT_TRUE(wait_log(other, "control socket /run/carpd/ucarp-eth0-1.sock.")) << log(other);
    EXPECT_TRUE(ours.running());
    EXPECT_EQ(state(ours), "master");
}

TEST_F(UcarpCommand, TheLastOneStartedTakesThePlace) {
    Process& first = begin(alpha(), options(alpha(), kGood));
    ASSERT_TRUE(wait_address(alpha(), true)) << log(first);
    Process& second = begin_beside(first, alpha(), options(alpha(), kPoor));
    EXPECT_EQ(first.wait(15s), 0) << log(first);
    ASSERT_TRUE(wait_log(second, "INIT -> BACKUP")) << log(second);
    EXPECT_TRUE(wait_address(alpha(), true)) << log(second);
    EXPECT_TRUE(second.running());
}

// ---- Debian's set-up: what `ifup eth0` starts, with the package's own scripts

class UcarpOfDebian : public NetnsTest {
 protected:
    void SetUp() override {
        for (const char* path : {"/sbin/ifup", "/etc/network/if-up.d/ucarp", "/usr/share/ucarp/vip-up"})
            if (access(path, X_OK) != 0) GTEST_SKIP() << path << " is not installed";
        NetnsTest::SetUp();
        if (!IsSkipped()) three_hosts();
    }

    // The host's view of the system, which `view` runs commands in. `program`: bound over /usr/sbin/ucarp.
    Process enter(Host& host, int advskew, const std::string& program) {
        const std::string interfaces = fmt::format("{}/{}-interfaces", lab().folder(), host.name());
        std::ofstream(interfaces) << fmt::format(
            "iface eth0 inet static\n\taddress 192.0.2.{}\n\tnetmask 255.255.255.0\n\tucarp-vid 3\n"
            "\tucarp-vip {}\n\tucarp-password 16charsatmost\n\tucarp-advskew {}\n\tucarp-advbase 1\n"
            "iface eth0:ucarp inet static\n\taddress {}\n\tnetmask 255.255.255.255\n",
            host.number() + 1, kVip4, advskew, kVip4);
        host.ip("address flush dev eth0\n");
        Command command{
            {"unshare", "--mount", "sh", "-c",
             fmt::format("set -e; mount --bind {} /etc/network/interfaces; mount -t tmpfs none /run; "
                         "mkdir /run/network; {} echo ready; exec sleep infinity",
                         interfaces, program.empty() ? "" : "mount --bind " + program + " /usr/sbin/ucarp;")},
            &host.space()};
        command.quiet_console = true;
        Process view(command);
        EXPECT_TRUE(wait_until([&] { return view.output() == "ready\n"; }, 10s)) << view.errors();
        return view;
    }
    static Result in(Process& view, std::vector<std::string> argv) {
        std::vector<std::string> all = {"nsenter", "--mount", "--net", "--target",
                                        std::to_string(view.pid())};
        all.insert(all.end(), argv.begin(), argv.end());
        return run({all});
    }
    // The process that people send signals to.
    static pid_t ucarp_of(Host& host) {
        pid_t found = 0;
        for (const pid_t pid : host.space().processes()) {
            std::string name;
            std::getline(std::ifstream(fmt::format("/proc/{}/comm", pid)), name);
            if (name == "ucarp") found = pid;
        }
        return found;
    }
    static bool ends(pid_t pid) {
        return wait_until([&] { return kill(pid, 0) != 0; }, 15s, 20ms);
    }
};

TEST_F(UcarpOfDebian, WorksUnchanged) {
    Process here = enter(alpha(), 0, carpd_program()), there = enter(beta(), 20, "");
    ASSERT_EQ(in(here, {"/usr/sbin/ucarp", "--help"}).output.substr(0, 13), "usage: ucarp ");
    Result up = in(here, {"ifup", "eth0"});
    ASSERT_EQ(up.exit_code, 0) << up.errors;
    const Probe probe(client(), kVip4, 5ms);
    ASSERT_TRUE(probe.wait_answer(&alpha(), 15s));
    up = in(there, {"ifup", "eth0"});
    ASSERT_EQ(up.exit_code, 0) << up.errors;
    EXPECT_THAT(alpha().run({"ip", "address", "show", "dev", "eth0"}).output,
                HasSubstr("scope global eth0:ucarp"));
    std::this_thread::sleep_for(3s);  // the other one hears it

    ASSERT_EQ(kill(ucarp_of(alpha()), SIGUSR2), 0);
    EXPECT_TRUE(probe.wait_answer(&beta(), 15s));
    EXPECT_TRUE(wait_address(alpha(), false));
    EXPECT_TRUE(has_address(beta()));

    // Power fails on the real one.
    const pid_t real = ucarp_of(beta());
    ASSERT_EQ(kill(real, SIGKILL), 0);
    ASSERT_EQ(in(there, {"ifdown", "eth0:ucarp"}).exit_code, 0);
    EXPECT_TRUE(probe.wait_answer(&alpha(), 15s));
    EXPECT_TRUE(wait_address(alpha(), true));

    // Taken down and up again, as nobody has told it that it should end.
    const pid_t before = ucarp_of(alpha());
    up = in(here, {"sh", "-c", "ifdown eth0 && ifup eth0"});
    EXPECT_EQ(up.exit_code, 0) << up.errors;
    EXPECT_TRUE(ends(before));
    EXPECT_NE(ucarp_of(alpha()), 0);
    EXPECT_TRUE(probe.wait_answer(&alpha(), 15s));

    ASSERT_EQ(kill(ucarp_of(alpha()), SIGTERM), 0);
    EXPECT_TRUE(wait_address(alpha(), false));
}

}  // namespace
}  // namespace carpd::lab
