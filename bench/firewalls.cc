#include "bench/firewalls.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <sstream>

#include "bench/arena.h"
#include "lab/error.h"
#include "linux/conntrack_table.h"
#include "linux/sysctl.h"

namespace carpd::bench {

namespace {

constexpr std::uint32_t kWantedMax = 4'000'000, kWantedBuckets = 2'097'152;

constexpr const char* kRules = R"(
table inet firewall {
    chain untracked_in { type filter hook prerouting priority raw; iifname { "sync", "eth0" } notrack; }
    chain untracked_out { type filter hook output priority raw; oifname { "sync", "eth0" } notrack; }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state invalid drop
        ct state established,related accept
        iifname "lan" oifname "wan" tcp flags & (syn | ack) == syn ct state new accept
    }
}
)";

void connect(const lab::Host& a, const std::string& interface_of_a, const lab::Host& b,
             const std::string& interface_of_b) {
    a.ip(fmt::format("link add {0} type veth peer name {1} netns {2}\nlink set {0} up", interface_of_a,
                     interface_of_b, b.space().name()));
    b.ip(fmt::format("link set {} up", interface_of_b));
}

// Addresses behind an interface, at a MAC that nobody has: a host drops at once what is for others.
void route(const lab::Host& host, const std::string& interface, const std::string& own,
           const std::string& gateway, const std::string& network) {
    host.ip(fmt::format(
        "address add {}/16 dev {}\nneighbour add {} lladdr 02:00:00:00:00:ff dev {} nud permanent\n"
        "route add {} via {} dev {}",
        own, interface, gateway, interface, network, gateway, interface));
}

void make_firewall(lab::Host& host) {
    host.set("net/ipv4/ip_forward", "1");
    lab::Command rules{{"nft", "-f", "-"}, &host.space()};
    rules.input = kRules;
    lab::run_checked(rules);
    // Flows have events that began before anybody listened.
    host.set("net/netfilter/nf_conntrack_events", "1");
    host.set("net/netfilter/nf_conntrack_tcp_loose", "0");
}

void set_limits(std::uint32_t max, std::uint32_t buckets) {
    write_sysctl("netfilter/nf_conntrack_buckets", static_cast<int>(buckets));
    write_sysctl("netfilter/nf_conntrack_max", static_cast<int>(max));
}

}  // namespace

Firewalls::Firewalls() {
    for (lab::Host* host : {&client, &server, &first, &second})
        for (const char* which : {"all", "default"})
            host->set(fmt::format("net/ipv6/conf/{}/disable_ipv6", which), "1");
    connect(client, "eth0", first, "lan");
    connect(server, "eth0", first, "wan");
    connect(first, "sync", second, "sync");
    route(first, "lan", "10.1.0.1", "10.1.0.2", "10.16.0.0/12");
    route(first, "wan", "10.2.0.1", "10.2.0.2", "10.32.0.0/12");
    for (lab::Host* host : {&first, &second}) {
        make_firewall(*host);
        host->ip(fmt::format("address add {}/24 dev sync", sync_address(*host)));
        deliver_by_kernel_thread(host->space(), "sync");
    }
}

std::string Firewalls::sync_address(const lab::Host& firewall) {
    return fmt::format("10.9.0.{}", firewall.number() + 1);
}

std::uint64_t Firewalls::sync_bytes() const {
    std::uint64_t sum = 0;
    first.space().inside([&] {
        std::ifstream file("/proc/thread-self/net/dev");
        for (std::string line; std::getline(file, line);) {
            std::istringstream words(line);
            std::string name;
            std::uint64_t n[9];  // bytes received and seven more; bytes sent
            words >> name;
            for (std::uint64_t& number : n) words >> number;
            if (words && name == "sync:") sum = n[0] + n[8];
        }
    });
    return sum;
}

void Firewalls::plug_sync(bool in) {
    second.ip(fmt::format("link set sync {}", in ? "up" : "down"));
}

ConntrackRoom::ConntrackRoom() {
    const auto before = read_conntrack_limits();
    if (!before) lab::fail("this kernel has no connection tracking");
    sigset_t end, mask;
    sigemptyset(&end);
    sigaddset(&end, kParentEnded);
    sigprocmask(SIG_BLOCK, &end, &mask);
    const pid_t parent = getpid();
    restorer_ = lab::check(fork(), "fork");
    if (restorer_ == 0) {
        setsid();  // no signal that is meant for us
        prctl(PR_SET_PDEATHSIG, kParentEnded);
        if (getppid() == parent) sigwaitinfo(&end, nullptr);
        set_limits(before->max, before->buckets);
        _exit(0);
    }
    sigprocmask(SIG_SETMASK, &mask, nullptr);
    set_limits(std::max(before->max, kWantedMax), std::max(before->buckets, kWantedBuckets));
}

ConntrackRoom::~ConntrackRoom() {
    kill(restorer_, kParentEnded);
    waitpid(restorer_, nullptr, 0);
}

std::uint32_t ConntrackRoom::flows() const {
    return read_conntrack_limits()->max;
}

}  // namespace carpd::bench
