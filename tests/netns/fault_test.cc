// What an administrator fears, on real kernels: whatever single thing goes wrong with carpd or its host,
// never do two hosts own an address, and somebody owns it again. Seen from outside, every millisecond
// (lab/owner_watch.h).
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "lab/owner_watch.h"
#include "netns_test.h"

namespace carpd::lab {
namespace {

using testing::HasSubstr;

struct Setting {
    const char* name;
    int advbase, skew, backup_skew;
    const char* address;
    const char* dataplane;
};

class Fault : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (!IsSkipped()) three_hosts();
    }
    void watch_pair(const Group& group, int backup_skew = kPoorSkew) {
        start_pair(group, backup_skew);
        watch(without_prefix(group.addresses[0]));
    }
    void watch(const std::string& address) {
        watch_ = std::make_unique<OwnerWatch>(client(), std::vector<Host*>{&alpha(), &beta()}, address);
        ASSERT_TRUE(watch_->wait_owner(alpha()));
        since_ = Clock::now() - 50ms;
    }
    // That one host or none answered each question since the beginning.
    OwnerWatch::Verdict expect_never_two() {
        std::this_thread::sleep_for(150ms);  // what has just happened has consequences
        const OwnerWatch::Verdict verdict = watch_->verdict(since_, Clock::now() - 20ms);
        fmt::print("{}\n", verdict.text());
        RecordProperty("two_owners_ms", verdict.two_owners);
        EXPECT_EQ(verdict.two_owners, 0);
        return verdict;
    }
    // Who owns the address in the end.
    void expect_one_owner() {
        const bool owned = wait_until(
            [&] { return watch_->verdict(Clock::now() - 30ms, Clock::now() - 10ms).unanswered == 0; }, 10s);
        EXPECT_TRUE(owned) << "nobody answers";
    }
    long resident_kb(pid_t pid) const {
        return std::stol(run({{"ps", "-o", "rss=", "-p", std::to_string(pid)}}).output);
    }
    std::string device_of(Host& host, const std::string& address) {
        const Result shown = host.run({"ip", "-o", "address", "show", "to", address});
        std::istringstream words(shown.output);
        std::string index, device;
        words >> index >> device;
        return device;
    }

    std::unique_ptr<OwnerWatch> watch_;
    Time since_;
};

// ---- the processes

class ProcessFault : public Fault, public testing::WithParamInterface<Setting> {
 protected:
    void SetUp() override {
        Fault::SetUp();
        if (IsSkipped()) return;
        Group group;
        group.addresses = {GetParam().address};
        group.advbase = GetParam().advbase;
        group.advskew = GetParam().skew;
        dataplane_ = GetParam().dataplane;
        watch_pair(group, GetParam().backup_skew);
    }
};

TEST_P(ProcessFault, EngineIsKilled) {
    kill(alpha_carpd().engine_pid(), SIGKILL);
    // It is started again, and one of the two hosts is MASTER again.
    EXPECT_TRUE(
        wait_until([&] { return alpha_carpd().log().find("starting it again") != std::string::npos; }, 5s));
    expect_one_owner();
    expect_never_two();
    EXPECT_THAT(alpha_carpd().log(), HasSubstr("SIGKILL"));
}

TEST_P(ProcessFault, SupervisorIsKilled) {
    alpha_carpd().process().signal(SIGKILL);
    EXPECT_TRUE(watch_->wait_owner(beta()));
    EXPECT_EQ(expect_never_two().owners, (std::vector{alpha().number(), beta().number()}));
    EXPECT_EQ(reason_for(beta_carpd(), "master"), "master bowed out");
}

// Only the kernel's gate fences a host on which nothing of carpd runs.
class WholeFault : public ProcessFault {};

TEST_P(WholeFault, EverythingIsKilled) {
    alpha_carpd().kill();
    EXPECT_TRUE(watch_->wait_owner(beta()));
    EXPECT_EQ(expect_never_two().owners, (std::vector{alpha().number(), beta().number()}));
}

TEST_P(WholeFault, EverythingIsStoppedForFiveSeconds) {
    alpha_carpd().process().signal_group(SIGSTOP);
    EXPECT_TRUE(watch_->wait_owner(beta()));
    std::this_thread::sleep_until(since_ + 5s);
    alpha_carpd().process().signal_group(SIGCONT);
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "backup"));
    EXPECT_TRUE(wait_until([&] { return has_heard(alpha_carpd()); }, 5s));
    EXPECT_EQ(expect_never_two().owners, (std::vector{alpha().number(), beta().number()}));
    EXPECT_THAT(alpha_carpd().log(), HasSubstr("lease"));
}

// A hung engine: the kernel's gate, or else the supervisor, ends its ownership.
TEST_P(ProcessFault, EngineIsStoppedForFiveSeconds) {
    const pid_t engine = alpha_carpd().engine_pid();
    kill(engine, SIGSTOP);
    std::this_thread::sleep_until(since_ + 5s);
    kill(engine, SIGCONT);
    expect_one_owner();
    expect_never_two();
}

const Setting kGate[] = {{"OneSecond", 1, 0, 100, "192.0.2.100/24", "bpf"},
                         {"Fast", 0, kGoodSkew, kPoorSkew, "192.0.2.100/24", "bpf"},
                         {"FastIpv6", 0, kGoodSkew, kPoorSkew, "2001:db8::100/64", "bpf"}};
const Setting kMacvlan[] = {{"OneSecondMacvlan", 1, 0, 100, "192.0.2.100/24", "macvlan"},
                            {"FastMacvlan", 0, kGoodSkew, kPoorSkew, "192.0.2.100/24", "macvlan"}};

std::string name_of(const testing::TestParamInfo<Setting>& test) {
    return test.param.name;
}
INSTANTIATE_TEST_SUITE_P(Gate, ProcessFault, testing::ValuesIn(kGate), name_of);
INSTANTIATE_TEST_SUITE_P(Fallback, ProcessFault, testing::ValuesIn(kMacvlan), name_of);
INSTANTIATE_TEST_SUITE_P(Gate, WholeFault, testing::ValuesIn(kGate), name_of);

// ---- the interface and what stands on it

TEST_F(Fault, InterfaceIsDeletedAndRecreated) {
    watch_pair(Group{}.with_skew(kAlmostPoorSkew));
    alpha().detach("eth0");
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "init"));
    EXPECT_TRUE(watch_->wait_owner(beta()));
    alpha().attach("eth0", 0, {"192.0.2.1/24", "2001:db8::1/64"});
    watch_->follow(alpha());
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "backup"));
    EXPECT_TRUE(wait_until([&] { return has_heard(alpha_carpd(), "lan", kPoorSkew); }, 5s));
    EXPECT_EQ(expect_never_two().owners, (std::vector{alpha().number(), beta().number()}));
    // And it can take over again.
    beta().power_off();
    EXPECT_TRUE(watch_->wait_owner(alpha()));
    expect_never_two();
}

class Removed : public Fault, public testing::WithParamInterface<const char*> {};

TEST_P(Removed, AddressIsPutBack) {
    dataplane_ = GetParam();
    watch_pair(Group{});
    for (int i = 0; i < 3; ++i) {
        std::string device;
        ASSERT_TRUE(wait_until([&] { return !(device = device_of(alpha(), kVip4)).empty(); }, 5s, 1ms));
        alpha().ip(fmt::format("address del {}/32 dev {}", kVip4, device));
        EXPECT_TRUE(wait_until([&] { return !device_of(alpha(), kVip4).empty(); }, 5s, 1ms));
        EXPECT_TRUE(watch_->wait_owner(alpha()));
    }
    EXPECT_EQ(expect_never_two().owners, (std::vector{alpha().number()}));
    EXPECT_THAT(alpha_carpd().log(), HasSubstr("put back"));
}

TEST_P(Removed, DeviceOrGateIsPutBack) {
    dataplane_ = GetParam();
    watch_pair(Group{});
    if (dataplane_ == "macvlan")
        alpha().ip("link del " + device_of(alpha(), kVip4));
    else
        ASSERT_TRUE(take_gate(alpha(), "eth0"));
    EXPECT_TRUE(wait_until([&] { return alpha_carpd().log().find("put back") != std::string::npos; }, 5s))
        << alpha_carpd().log();
    EXPECT_TRUE(watch_->wait_owner(alpha()));
    EXPECT_EQ(expect_never_two().owners, (std::vector{alpha().number()}));
}

INSTANTIATE_TEST_SUITE_P(, Removed, testing::Values("bpf", "macvlan"),
                         [](const auto& test) { return std::string(test.param); });

TEST_F(Fault, ThousandLinkFlaps) {
    watch_pair(Group{}.with_skew(kAlmostPoorSkew));
    const long before = resident_kb(alpha_carpd().engine_pid());
    for (int i = 0; i < 1000; ++i) {
        alpha().port().set_plugged(false);
        alpha().port().set_plugged(true);
    }
    EXPECT_TRUE(wait_until([&] { return alpha_carpd().state("lan") != "init"; }, 10s));
    expect_one_owner();
    expect_never_two();
    EXPECT_LT(resident_kb(alpha_carpd().engine_pid()), before + 1000);
    fmt::print("{} state changes of the host that flapped\n", alpha_carpd().transitions("lan"));
}

// More changes at once than the kernel's queue to carpd holds, and one that matters among them.
TEST_F(Fault, NetlinkOverrun) {
    Group group;
    group.advbase = 1;
    group.advskew = 0;
    watch_pair(group, 100);
    alpha().ip("link add noise0 type veth peer name noise1");
    const pid_t engine = alpha_carpd().engine_pid();
    std::string changes;
    for (int i = 0; i < 20000; ++i)
        changes += fmt::format("address {} 10.9.{}.{}/32 dev noise0\n", i % 2 == 0 ? "add" : "del",
                               i / 2 / 250 % 250, i / 2 % 250);
    kill(engine, SIGSTOP);
    alpha().ip(changes);
    kill(engine, SIGCONT);
    EXPECT_TRUE(watch_->wait_owner(alpha()));
    EXPECT_EQ(alpha_carpd().state("lan"), "master");

    kill(engine, SIGSTOP);
    alpha().ip(changes);
    alpha().cut();
    kill(engine, SIGCONT);
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "init"));
    EXPECT_TRUE(watch_->wait_owner(beta()));
    expect_never_two();
}

// ---- the system around it

// Starts every carpd through a shell script: `"$CARPD" "$@"` is carpd as it would be started.
class Wrapped : public Fault {
 protected:
    void wrap(const std::string& script) {
        const std::string path = lab().folder() + "/wrapper";
        std::ofstream(path) << fmt::format("#!/bin/sh\nCARPD={}\n{}\n", carpd_program(), script);
        ASSERT_EQ(chmod(path.c_str(), 0755), 0);
        setenv("CARPD", path.c_str(), 1);
    }
    void TearDown() override {
        unsetenv("CARPD");
        Fault::TearDown();
    }
};

// The wall clock is for people; no timer follows it. (The library makes a program see another wall clock.)
TEST_F(Wrapped, WallClockIsSteppedByADay) {
    const std::string offset = lab().folder() + "/clock";
    std::ofstream(offset) << "+0\n";
    wrap(fmt::format("export LD_PRELOAD={} CARPD_WALL_CLOCK={}\nexec \"$CARPD\" \"$@\"", WALL_CLOCK_LIBRARY,
                     offset));
    watch_pair(Group{});
    const std::uint64_t changes = alpha_carpd().transitions("lan") + beta_carpd().transitions("lan");
    for (const char* step : {"+86400\n", "-86400\n", "+0\n"}) {
        std::ofstream(offset) << step;
        std::this_thread::sleep_for(700ms);  // longer than beta's master-down time
    }
    const OwnerWatch::Verdict verdict = expect_never_two();
    EXPECT_EQ(verdict.owners, (std::vector{alpha().number()}));
    EXPECT_EQ(alpha_carpd().transitions("lan") + beta_carpd().transitions("lan"), changes);
    // That the step was seen at all: the log has another day.
    std::ofstream(offset) << "+86400\n";
    alpha_carpd().carpctl({"demote", "lan", "1"});
    EXPECT_TRUE(beta_carpd().wait_state("lan", "master"));
    const std::string log = alpha_carpd().log();
    EXPECT_NE(log.substr(0, 10), log.substr(log.rfind('\n', log.size() - 2) + 1, 10)) << log;
}

TEST_F(Wrapped, DiskIsFull) {
    wrap("exec \"$CARPD\" \"$@\" 2>/dev/full");
    watch_pair(Group{});
    alpha_carpd().carpctl({"state", "lan", "backup"});
    EXPECT_TRUE(watch_->wait_owner(beta()));
    EXPECT_EQ(beta_carpd().stop(), 0);
    EXPECT_TRUE(watch_->wait_owner(alpha()));
    expect_never_two();
}

// Monitors that never read are dropped, and nobody else waits for them.
TEST_F(Fault, ControlClientsThatNeverRead) {
    watch_pair(Group{});
    std::vector<UniqueFd> clients;
    for (int i = 0; i < 20; ++i) {
        clients.push_back(beta_carpd().connect());
        const std::string request = "{\"command\":\"monitor\"}\n";
        ASSERT_GT(send(clients.back().get(), request.data(), request.size(), MSG_NOSIGNAL), 0);
    }
    const long before = resident_kb(beta_carpd().engine_pid());
    for (int i = 1; i <= 3000; ++i)  // a backup's demotion is told to them and moves nothing
        ask(beta_carpd().socket(), {{"command", "demote"}, {"group", "lan"}, {"amount", i % 2}});
    EXPECT_EQ(beta_carpd().group("lan").at("demotion"), 0);
    EXPECT_LT(resident_kb(beta_carpd().engine_pid()), before + 20000);
    EXPECT_EQ(expect_never_two().owners, (std::vector{alpha().number()}));
    alpha().power_off();
    EXPECT_TRUE(watch_->wait_owner(beta()));
    expect_never_two();
}

}  // namespace
}  // namespace carpd::lab
