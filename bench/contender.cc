#include "bench/contender.h"

#include <deque>
#include <filesystem>
#include <fstream>
#include <limits>

#include "lab/carpd.h"
#include "lab/error.h"
#include "lab/process.h"
#include "lab/ucarp.h"

namespace carpd::bench {

namespace {

using namespace std::chrono_literals;

constexpr const char* kPassword = "s3cret";
constexpr int kBackupSkew = 100;
constexpr lab::Span kOrderlyEnd = 30s;

int lan_of(int group) {
    return group / kGroupsOfALan;
}
int vhid_of(int group) {
    return 1 + group % kGroupsOfALan;
}
std::string address_of(int group) {
    return fmt::format("10.{}.1.{}", lan_of(group), vhid_of(group));
}
int skew_of(Role role) {
    return role == Role::master ? 0 : kBackupSkew;
}

// Ended in order, so that it leaves nothing behind for the next one.
struct Daemon {
    lab::Process process;
    ~Daemon() {
        process.signal(SIGTERM);
        process.wait(kOrderlyEnd);
    }
};

struct Ucarps {
    std::deque<lab::Ucarp> processes;
    ~Ucarps() {
        for (lab::Ucarp& ucarp : processes) ucarp.process().signal(SIGTERM);
        for (lab::Ucarp& ucarp : processes) ucarp.process().wait(kOrderlyEnd);
    }
};

Running start_carpd(lab::Host& host, int groups, Role role) {
    std::string config = fmt::format("control = \"{}\"\n", path_of(host, "carpd.sock"));
    for (int i = 0; i < groups; ++i)
        config += fmt::format(
            "[[group]]\ninterface = \"{}\"\nvhid = {}\naddresses = [\"{}/16\"]\npassword = \"{}\"\nadvskew = "
            "{}\n",
            interface_of(lan_of(i)), vhid_of(i), address_of(i), kPassword, skew_of(role));
    return start({{lab::carpd_program(), "-f", write_file(host, "carpd.toml", config)}, &host.space()});
}

// Its fast path: no virtual MAC, no healthcheckers (-P), one round of announcements, and no look at the
// addresses in an advertisement of the same master as before.
Running start_keepalived(lab::Host& host, int groups, Role role) {
    std::string config =
        "global_defs {\n vrrp_version 2\n vrrp_garp_master_repeat 1\n vrrp_garp_master_delay 0\n"
        " vrrp_skip_check_adv_addr\n}\n";
    for (int i = 0; i < groups; ++i)
        config += fmt::format(
            "vrrp_instance g{} {{\n state {}\n interface {}\n virtual_router_id {}\n priority {}\n"
            " advert_int 1\n virtual_ipaddress {{\n  {}/16\n }}\n}}\n",
            i, role == Role::master ? "MASTER" : "BACKUP", interface_of(lan_of(i)), vhid_of(i),
            role == Role::master ? 200 : 100, address_of(i));
    lab::Command command{
        {"keepalived", "--dont-fork", "--vrrp", "--no-syslog", "--use-file",
         write_file(host, "keepalived.conf", config), "--pid", path_of(host, "keepalived.pid"), "--vrrp_pid",
         path_of(host, "keepalived-vrrp.pid")},
        &host.space()};
    command.quiet_console = true;
    return start(command);
}

Running start_ucarp(lab::Host& host, int groups, Role role) {
    auto ucarps = std::make_shared<Ucarps>();
    for (int i = 0; i < groups; ++i) {
        lab::UcarpOptions options;
        options.source = fmt::format("10.0.0.{}", host.number() + 1);
        options.address = address_of(i);
        options.password = kPassword;
        options.vhid = vhid_of(i);
        options.advskew = skew_of(role);
        ucarps->processes.emplace_back(host, options);
    }
    return ucarps;
}

}  // namespace

std::string path_of(lab::Host& host, const std::string& name) {
    return fmt::format("{}/{}-{}", host.lab().folder(), host.name(), name);
}
std::string write_file(lab::Host& host, const std::string& name, const std::string& content) {
    const std::string path = path_of(host, name);
    std::ofstream(path) << content;
    std::filesystem::permissions(path,
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    return path;
}
Running start(const lab::Command& command) {
    return Running(new Daemon{lab::Process(command)});
}
bool has_program(const std::string& name) {
    return lab::run({{"sh", "-c", "command -v " + name}}).exit_code == 0;
}

std::string interface_of(int lan) {
    return fmt::format("eth{}", lan);
}
std::string own_address(int lan, const lab::Host& host) {
    return fmt::format("10.{}.0.{}/16", lan, host.number() + 1);
}

std::vector<Contender> contenders() {
    constexpr int kAny = std::numeric_limits<int>::max();
    std::vector<Contender> result = {{"carpd", kAny, start_carpd}};
    if (has_program("keepalived")) result.push_back({"keepalived", kAny, start_keepalived});
    if (has_program("ucarp")) result.push_back({"ucarp", kGroupsOfALan, start_ucarp});  // it knows eth0 only
    return result;
}

}  // namespace carpd::bench
