#include "bench/synchronizer.h"

#include <sched.h>

#include <algorithm>
#include <regex>

#include "bench/flow_table.h"
#include "lab/carpd.h"
#include "lab/error.h"
#include "lab/process.h"
#include "linux/netlink_socket.h"

namespace carpd::bench {

namespace {

using namespace std::chrono_literals;

constexpr lab::Span kPatience = 20s;

std::string carpd_socket(lab::Host& host) {
    return path_of(host, "carpd.sock");
}

std::uint64_t count_in_kernel(Firewalls& firewalls) {
    return count_flows(firewalls.second);
}

// ---- carpd

std::string carpd_config(Firewalls& firewalls, lab::Host& host) {
    const bool is_first = &host == &firewalls.first;
    return fmt::format(
        "control = \"{}\"\n"
        "[[group]]\nname = \"lan\"\ninterface = \"eth0\"\nvhid = 1\naddresses = [\"{}/24\"]\n"
        "password = \"s3cret\"\nadvskew = {}\n"
        "[sync]\ninterface = \"sync\"\npeers = [\"{}\"]\nname = \"{}\"\nkey-hex = \"{:0>64}\"\n",
        carpd_socket(host), Firewalls::kSharedAddress, is_first ? 0 : 100,
        Firewalls::sync_address(firewalls.other(host)), host.name(), 1);
}

nlohmann::json group_status(lab::Host& host) {
    return lab::ask(carpd_socket(host), {{"command", "status"}}).at("groups").at(0);
}
std::string state_of(lab::Host& host) {
    return group_status(host).at("state");
}
void set_state(lab::Host& host, const char* state) {
    const auto answer =
        lab::ask(carpd_socket(host), {{"command", "state"}, {"group", "lan"}, {"state", state}});
    if (answer.at("ok") != true) lab::fail("carpd on {}: {}", host.name(), answer.dump());
}
void wait_state(lab::Host& host, const char* state, lab::Span pause) {
    const auto is_it = [&] { return state_of(host) == state; };
    if (!lab::wait_until(is_it, kPatience, pause))
        lab::fail("carpd on {} doesn't become {}", host.name(), state);
}

Running start_carpd(Firewalls& firewalls, lab::Host& host) {
    const Running running =
        start({{lab::carpd_program(), "-f", write_file(host, "carpd.toml", carpd_config(firewalls, host))},
               &host.space()});
    const auto answers = [&] {
        try {
            return !state_of(host).empty();
        } catch (const lab::LabError&) {
            return false;
        }
    };
    if (!lab::wait_until(answers, kPatience)) lab::fail("carpd does not start on {}", host.name());
    if (&host == &firewalls.first) {
        set_state(host, "master");
        wait_state(host, "master", 5ms);
    }
    return running;
}

bool has_shared_address(const lab::Host& host) {
    bool has = false;
    host.space().inside([&] {
        auto netlink = Netlink::open();
        const auto addresses = netlink ? netlink->addresses() : Unexpected{netlink.error()};
        if (!addresses) lab::fail("{}", addresses.error().to_string());
        has = std::ranges::any_of(*addresses, [](const LinkAddress& a) {
            return a.address.address.to_string() == Firewalls::kSharedAddress;
        });
    });
    return has;
}

lab::Time take_over_by_carpd(Firewalls& firewalls) {
    // Until then it would not keep it from the one that has all.
    const auto has_all = [&] { return group_status(firewalls.second).at("demotion") == 0; };
    if (!lab::wait_until(has_all, kPatience))
        lab::fail("carpd on {} still lacks flows", firewalls.second.name());
    set_state(firewalls.first, "backup");
    wait_state(firewalls.second, "master", 500us);
    const lab::Time start = lab::Clock::now();
    if (!lab::wait_until([&] { return has_shared_address(firewalls.second); }, kPatience, 100us))
        lab::fail("carpd on {} doesn't take the address", firewalls.second.name());
    return start;
}

// ---- conntrackd, reliable (FTFW), with the buffers that its manual advises for busy firewalls and room for
// all flows

std::string conntrackd_config(Firewalls& firewalls, lab::Host& host, bool external_cache) {
    const std::string own = Firewalls::sync_address(host);
    return fmt::format(
        R"(Sync {{
    Mode FTFW {{
        DisableExternalCache {}
    }}
    UDP {{
        IPv4_address {}
        IPv4_Destination_Address {}
        Port 3780
        Interface sync
        SndSocketBuffer 8388608
        RcvSocketBuffer 8388608
        Checksum on
    }}
}}
General {{
    HashSize 524288
    HashLimit 4194304
    Syslog off
    LogFile off
    LockFile {}
    UNIX {{
        Path {}
    }}
    NetlinkBufferSize 8388608
    NetlinkBufferSizeMaxGrowth 16777216
    Filter From Kernelspace {{
        Protocol Accept {{
            TCP
            UDP
        }}
        Address Ignore {{
            IPv4_address 127.0.0.1
            IPv4_address {}
        }}
    }}
}}
)",
        external_cache ? "off" : "on", own, Firewalls::sync_address(firewalls.other(host)),
        path_of(host, "conntrackd.lock"), path_of(host, "conntrackd.sock"), own);
}

std::string conntrackd_file(lab::Host& host) {
    return path_of(host, "conntrackd.conf");
}

lab::Result tell_conntrackd(lab::Host& host, std::vector<std::string> arguments, lab::Span patience) {
    arguments.insert(arguments.begin(), {"conntrackd", "-C", conntrackd_file(host)});
    lab::Command command{std::move(arguments), &host.space()};
    command.quiet_console = true;
    return lab::run(command, patience);
}

// By default it runs ahead of all that is normal (SCHED_RR, 99). It costs more then, for it wakes up for
// every single event, and it takes the time from the other firewall, which shares the processors here.
void make_normal(const lab::Host& host) {
    const sched_param normal{};
    for (const pid_t process : host.space().processes()) sched_setscheduler(process, SCHED_OTHER, &normal);
}

Running start_conntrackd(Firewalls& firewalls, lab::Host& host, bool external_cache) {
    write_file(host, "conntrackd.conf", conntrackd_config(firewalls, host, external_cache));
    lab::Command command{{"conntrackd", "-C", conntrackd_file(host)}, &host.space()};
    command.quiet_console = true;
    const Running running = start(command);
    if (!lab::wait_until([&] { return tell_conntrackd(host, {"-s"}, kPatience).exit_code == 0; }, kPatience))
        lab::fail("conntrackd does not start on {}", host.name());
    make_normal(host);
    return running;
}

std::uint64_t count_in_external_cache(Firewalls& firewalls) {
    const std::string text = tell_conntrackd(firewalls.second, {"-s"}, kPatience).output;
    std::smatch found;
    if (!std::regex_search(text, found,
                           std::regex(R"(cache external:\ncurrent active connections:\s+(\d+))")))
        lab::fail("conntrackd does not say what its external cache holds:\n{}", text);
    return std::stoull(found[1]);
}

void fetch_from_conntrackd(Firewalls& firewalls) {
    tell_conntrackd(firewalls.second, {"-n"}, kPatience);
}

lab::Time commit_conntrackd(Firewalls& firewalls) {
    const lab::Time start = lab::Clock::now();
    const lab::Result result = tell_conntrackd(firewalls.second, {"-c"}, 120s);
    if (result.exit_code != 0) lab::fail("conntrackd -c: {}{}", result.output, result.errors);
    return start;
}

Synchronizer conntrackd_with_cache() {
    return {"conntrackd",
            false,
            [](Firewalls& f, lab::Host& host) { return start_conntrackd(f, host, true); },
            count_in_external_cache,
            fetch_from_conntrackd,
            commit_conntrackd};
}
Synchronizer conntrackd_without_cache() {
    return {"conntrackd, no ext. cache",
            true,
            [](Firewalls& f, lab::Host& host) { return start_conntrackd(f, host, false); },
            count_in_kernel,
            fetch_from_conntrackd,
            [](Firewalls&) { return lab::Clock::now(); }};
}

}  // namespace

std::vector<Synchronizer> synchronizers() {
    std::vector<Synchronizer> result = {
        {"carpd", true, start_carpd, count_in_kernel, nullptr, take_over_by_carpd}};
    if (has_program("conntrackd")) {
        result.push_back(conntrackd_with_cache());
        result.push_back(conntrackd_without_cache());
    }
    return result;
}

}  // namespace carpd::bench
