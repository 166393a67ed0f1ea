// What is wrong, or will be at the next takeover: findings with stable codes (docs/doctor.md), made of what
// carpd says, of its configuration, of what this host shows, and of what the LAN answered. Pure, as
// carpctl/explain.h is, and throws what that throws; the looking is done by carpctl/doctor_host.h and
// carpctl/doctor_probe.h.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/addresses.h"
#include "carpctl/render.h"
#include "config/config.h"

namespace carpd {

enum class Severity : std::uint8_t {
    warning,  // it works, and something is missing that will be needed
    fault,    // it doesn't work as configured, or will not at the next takeover
};

struct TroubleKind {
    std::string_view code;
    Severity severity;
};
// Every code that there is, sorted.
std::span<const TroubleKind> trouble_kinds();

struct Trouble {
    std::string_view code;  // one of those
    std::string group;      // empty: of the host
    std::string text;       // what was seen
    std::string advice;     // what to do
};
using Troubles = std::vector<Trouble>;

// ---- what is known

// The file, as carpd would read it now.
struct KnownConfig {
    std::string file;
    std::string problem{};    // why there is none: it doesn't exist, or has mistakes; empty: there is
    bool is_invalid = false;  // it has mistakes
    ConfigFile content{};     // if there is
    bool has() const { return problem.empty(); }
};

// Of an interface that groups are on.
struct InterfaceFacts {
    int arp_ignore = 0;                           // as it is in force
    bool hears_ipv4 = false, hears_ipv6 = false;  // CARP's multicast groups are joined
    std::optional<std::uint64_t> mld_queries{};   // that it has heard; nothing: it has no IPv6
};

// A packet filter's rule that drops CARP.
struct BlockingRule {
    std::string hook;   // "egress", "output"
    std::string chain;  // "netdev filter out", "OUTPUT in the table raw of iptables-legacy"
    int number = 0;     // its handle, or its place there
    std::string undo;   // the command that deletes it
};

// What this host shows of itself.
struct HostView {
    std::map<std::string, InterfaceFacts> interfaces;
    std::vector<std::pair<std::string, IpAddress>> addresses;  // that stand, with the interface
    std::vector<BlockingRule> blocking;
    std::vector<std::string> managers;  // programs that would take over carpd's macvlan devices
    std::string platform;               // "VMware", "Hyper-V", ...; empty: unknown
};

// Who answered for an address, asked on a group's interface.
struct LanAnswer {
    std::string interface;
    IpAddress address;
    std::set<MacAddress> macs;
};

// Whether frames with a MAC that the host doesn't have pass and are answered; nothing where nobody was there
// to answer even the host's own.
struct ForeignMacTest {
    std::string interface;
    IpAddress asked;
    bool passed = false;
};

struct Case {
    nlohmann::ordered_json before{}, now{};  // two answers to `status`, some time apart
    KnownConfig config{};
    HostView host{};
    std::vector<LanAnswer> answers{};
    std::vector<ForeignMacTest> mac_tests{};
    std::vector<std::string> untested{};  // what could not be looked at, and why
};

// ---- what is wrong

// Faults first; in the order of the groups, and last of the host.
Troubles diagnose(const Case& known);
std::string render_findings(const Troubles& findings, const Case& known, const Paint& paint);
nlohmann::ordered_json findings_json(const Troubles& findings, const Case& known);
Severity severity_of(const Trouble& finding);

}  // namespace carpd
