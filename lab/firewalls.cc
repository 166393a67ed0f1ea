#include "lab/firewalls.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "lab/error.h"

namespace carpd::lab {

namespace {

constexpr int kInside = 0, kOutside = 1, kSync = 2;  // segments

// Masquerading, that is translation to the host's own address, could not survive a takeover: the other host
// has another address. So what leaves is given the shared one.
//
// What the firewalls say themselves isn't tracked: it is nobody else's business.
constexpr const char* kRules = R"(
flush ruleset
table inet firewall {{
    ct helper ftp {{ type "ftp" protocol tcp; }}

    chain untracked_in {{
        type filter hook prerouting priority raw;
        meta l4proto {{ igmp, 112 }} notrack
        iifname "eth2" notrack
    }}
    chain untracked_out {{
        type filter hook output priority raw;
        meta l4proto {{ igmp, 112 }} notrack
        oifname "eth2" notrack
    }}
    chain helpers {{
        type filter hook prerouting priority filter;
        iifname "eth0" tcp dport 21 ct helper set "ftp"
    }}
    chain forward {{
        type filter hook forward priority filter; policy drop;
        ct state invalid drop
        ct state established,related accept
        iifname "eth0" oifname "eth1" ct state new accept
    }}
}}
table ip translation {{
    chain postrouting {{
        type nat hook postrouting priority srcnat;
        oifname "eth1" ip saddr 10.0.0.0/24 snat to {}
    }}
}}
)";

// A TCP packet out of nowhere starts no flow, and one outside of its flow's window is invalid: a flow that
// wasn't told completely is a connection lost.
constexpr const char* kStrict[][2] = {{"net/netfilter/nf_conntrack_tcp_loose", "0"},
                                      {"net/netfilter/nf_conntrack_tcp_be_liberal", "0"}};

// Its addresses end in `last`.
void attach(Host& host, int segment, int last) {
    static constexpr const char* kNetworks[][2] = {
        {"10.0.0", "2001:db8:1:"}, {"198.51.100", "2001:db8:2:"}, {"10.9.0", "2001:db8:9:"}};
    const auto& [ipv4, ipv6] = kNetworks[segment];
    host.attach(fmt::format("eth{}", segment), segment,
                {fmt::format("{}.{}/24", ipv4, last), fmt::format("{}:{}/64", ipv6, last)});
}

Host& add_host(Lab& lab, const std::string& name, int segment) {
    Host& host = lab.add_host(name);
    attach(host, segment, 9);
    return host;
}

// A line of `conntrack -L -o extended` without the time that is left and the number of references; empty for
// a flow that doesn't count.
std::string lasting_part(const std::string& line) {
    std::istringstream words(line);
    std::string result, word;
    for (int i = 0; words >> word; ++i)
        if (i != 4 && !word.starts_with("use=")) result += (i == 0 ? "" : " ") + word;
    const auto has = [&](const char* part) { return result.find(part) != std::string::npos; };
    return has(" tcp 6 ") && has(" [UNREPLIED] ") ? "" : result;
}

}  // namespace

// ---- Firewall

Firewall::Firewall(Lab& lab, const FirewallOptions& options, int number)
    : options_(options), number_(number), host_(lab.add_host(fmt::format("fw{}", number))) {
    for (const int segment : {kInside, kOutside, kSync}) attach(host_, segment, number);
    run_checked({{"nft", "-f", "-"}, &host_.space(), fmt::format(kRules, kOutsideVip)});
    for (const auto& [parameter, value] : kStrict) host_.set(parameter, value);
    // Last: what has no rules yet forwards nothing.
    for (const char* family : {"ipv4/ip_forward", "ipv6/conf/all/forwarding"})
        host_.set(fmt::format("net/{}", family), "1");
}

std::string Firewall::config() const {
    const int skew = number_ == 1 ? options_.first_skew : options_.second_skew;
    std::string text;
    const auto group = [&](const char* name, const char* interface, int vhid, const char* addresses) {
        text += fmt::format(
            "[[group]]\nname = \"{}\"\ninterface = \"{}\"\nvhid = {}\naddresses = [{}]\n"
            "password = \"firewall\"\nadvbase = 0\nadvskew = {}\npreempt = {}\n\n",
            name, interface, vhid, addresses, skew, number_ == 1);
    };
    group("inside", "eth0", 1, R"("10.0.0.100/24", "2001:db8:1::100/64")");
    group("outside", "eth1", 2, R"("198.51.100.100/24", "2001:db8:2::100/64")");
    text += "[[together]]\nname = \"firewall\"\ngroups = [\"inside\", \"outside\"]\n\n";
    if (options_.sync)
        text += fmt::format(
            "[sync]\nname = \"fw{}\"\ninterface = \"eth2\"\npeers = [\"10.9.0.{}\"]\n"
            "key-hex = \"{:0>64}\"\n{}\n",
            number_, 3 - number_, "5ec4e7", options_.sync_keys);
    return text;
}

void Firewall::boot() {
    carpd_.reset();
    run_checked({{"conntrack", "-F"}, &host_.space()});
    carpd_ = std::make_unique<Carpd>(host_, config());
    host_.power_on();  // now: a host that boots doesn't have the addresses of its last life
}

void Firewall::power_off() {
    host_.power_off();
}

int Firewall::stop() {
    return carpd_->stop();
}

bool Firewall::is(const std::string& state) {
    return carpd_->state("inside") == state && carpd_->state("outside") == state;
}

bool Firewall::wait(const std::string& state, Span patience) {
    return wait_until([&] { return is(state); }, patience);
}

bool Firewall::is_fit() {
    return carpd_->group("inside").at("demotion") == 0 && carpd_->group("outside").at("demotion") == 0;
}

std::vector<std::string> Firewall::flows() const {
    std::istringstream table(run_checked({{"conntrack", "-L", "-o", "extended"}, &host_.space()}));
    std::vector<std::string> result;
    for (std::string line; std::getline(table, line);)
        if (std::string flow = lasting_part(line); !flow.empty()) result.push_back(std::move(flow));
    std::sort(result.begin(), result.end());
    return result;
}

// ---- FirewallPair

FirewallPair::FirewallPair(Lab& lab, const FirewallOptions& options)
    : client_(add_host(lab, "client", kInside)),
      server_(add_host(lab, "server", kOutside)),
      first_(lab, options, 1),
      second_(lab, options, 2) {
    client_.ip("route add default via 10.0.0.100\nroute add default via 2001:db8:1::100");
    server_.ip("route add 2001:db8:1::/64 via 2001:db8:2::100");
}

void FirewallPair::start() {
    first_.boot();
    if (!first_.wait("master")) fail("fw1 does not become MASTER:\n{}", first_.carpd().log());
    second_.boot();
    const auto ready = [&] { return second_.is("backup") && second_.is_fit() && first_.is("master"); };
    if (!wait_until(ready, 10s)) fail("fw2 does not become BACKUP:\n{}", second_.carpd().log());
}

void FirewallPair::set_sync_link(bool works) {
    first_.host().port("eth2").set_forwarding(works);
}

std::vector<std::string> FirewallPair::differences(Span patience) {
    std::vector<std::string> result;
    wait_until(
        [&] {
            const std::vector<std::string> ours = first_.flows(), theirs = second_.flows();
            result.clear();
            std::vector<std::string> only;
            const auto note = [&](const char* name) {
                for (const std::string& flow : only) result.push_back(fmt::format("{}: {}", name, flow));
                only.clear();
            };
            std::set_difference(ours.begin(), ours.end(), theirs.begin(), theirs.end(),
                                std::back_inserter(only));
            note("fw1");
            std::set_difference(theirs.begin(), theirs.end(), ours.begin(), ours.end(),
                                std::back_inserter(only));
            note("fw2");
            return result.empty();
        },
        patience, 50ms);
    return result;
}

}  // namespace carpd::lab
