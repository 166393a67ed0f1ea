// What an administrator has the host watch ([[track]] in carpd.toml(5)), as values. `config/` checks every
// range.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/addresses.h"
#include "base/time.h"

namespace carpd {

// Passes while the interface exists, is up and has a carrier.
struct LinkCheck {
    std::string interface;
    bool operator==(const LinkCheck&) const = default;
};
// Passes while the main table has a route to exactly this prefix.
struct RouteCheck {
    InterfaceAddress prefix;
    bool operator==(const RouteCheck&) const = default;
};
// Passes if the address answers ARP or neighbour discovery, or ICMP echo requests.
struct GatewayCheck {
    IpAddress address;
    bool icmp = false;
    std::string device{};  // to ask on; empty: what the routes say
    bool operator==(const GatewayCheck&) const = default;
};
// Passes if a connection is accepted.
struct TcpCheck {
    IpAddress address;
    std::uint16_t port = 0;
    bool operator==(const TcpCheck&) const = default;
};
// Passes if a GET is answered with this status, or 200 to 399 if it is 0.
struct HttpCheck {
    TcpCheck server;
    std::string authority, path;  // of the URL: "192.0.2.10:8080", "/health"
    int status = 0;
    bool operator==(const HttpCheck&) const = default;
};
// Passes while a process has this name (its comm, which has 15 bytes), or, if it begins with '/', runs this
// executable.
struct ProcessCheck {
    std::string name;
    bool operator==(const ProcessCheck&) const = default;
};
// Passes while it exists.
struct FileCheck {
    std::string path;
    bool operator==(const FileCheck&) const = default;
};
// Passes if it exits with 0.
struct ScriptCheck {
    std::vector<std::string> argv;
    bool operator==(const ScriptCheck&) const = default;
};

using Subject = std::variant<LinkCheck, RouteCheck, GatewayCheck, TcpCheck, HttpCheck, ProcessCheck,
                             FileCheck, ScriptCheck>;

// The key that names it in carpd.toml, by Subject::index().
inline constexpr std::string_view kSubjectKeys[] = {"interface", "route",   "gateway", "tcp",
                                                    "http",      "process", "file",    "script"};
constexpr std::string_view kind_of(const Subject& subject) {
    return kSubjectKeys[subject.index()];
}

struct TrackConfig {
    std::string name;  // unique
    Subject subject;
    int demote = 240;                 // 1..240
    bool withdraw = false;            // instead of demoting
    std::vector<std::string> groups;  // their names; empty: all
    Duration interval = std::chrono::seconds(2);
    Duration timeout = std::chrono::seconds(1);  // at most the interval
    int rise = 2, fall = 3;                      // results in a row that change the verdict, 1..100
    bool operator==(const TrackConfig&) const = default;
};

}  // namespace carpd
