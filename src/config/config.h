// carpd.toml and what it says. Called by carpd at start, with -n, and on SIGHUP: a file is taken whole or not
// at all, and every error in it is reported in one run, with line and column and what would be right
// (docs/man/carpd.toml.5).
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "carp/types.h"
#include "health/track_config.h"
#include "sync/channel.h"

namespace carpd {

inline constexpr std::string_view kDefaultConfigFile = "/etc/carpd/carpd.toml";
inline constexpr std::string_view kDefaultControlSocket = "/run/carpd/control.sock";

// How addresses with a virtual MAC come to answer, and whether the kernel enforces the lease.
enum class DataPlaneChoice : std::uint8_t {
    automatic,  // bpf where the kernel allows it
    bpf,
    macvlan,
};

// What hooks are told of: a group entered a state, or it stayed MASTER although another one advertised.
enum class HookEvent : std::uint8_t { init, backup, master, reasserted };

// A program that is run when something happens to a group (carpd/hook_queue.h).
struct HookConfig {
    std::vector<HookEvent> on{HookEvent::master, HookEvent::backup, HookEvent::init};
    std::vector<std::string> groups;   // their names; empty: all
    std::vector<std::string> command;  // at least the program's absolute path
    Duration timeout = std::chrono::seconds(10);
    bool operator==(const HookConfig&) const = default;
};

inline constexpr std::uint16_t kSyncPort = 3781;
inline constexpr std::size_t kMostSyncPeers = 7;
inline constexpr std::size_t kMostDeferring = 16;
// Where hosts find each other: all of a link that listen (docs/protocol/sync.md, P1).
inline constexpr std::string_view kSyncGroup = "ff12::ca:3781";

// [sync]: with whom this host keeps the connection-tracking table in step (docs/protocol/sync.md).
struct SyncConfig {
    HostName name;          // the host's own, or as given
    std::string interface;  // the link to the peers, on which alone they are heard
    std::uint16_t port = kSyncPort;
    std::vector<IpAddress> peers;  // none twice, kMostSyncPeers at most; empty: hosts find each other
    bool peer_routed = false;      // they may be behind routers
    SyncKeys keys;
    Duration dead_after = std::chrono::seconds(1);
    // So long may addresses wait, when a group becomes MASTER, for the flows that peers told.
    Duration commit_wait = std::chrono::milliseconds(200);
    std::uint32_t max_flows = 1u << 20;  // of ours, and of each peer
    bool commit_at_takeover = false;     // flows of peers go into the kernel when it takes over, not at once
    // Flows that aren't told: of these addresses, or not of these protocols (IPPROTO_*) or zones, or TCP that
    // never was in one of these states (the kernel's numbers); empty: all.
    std::vector<InterfaceAddress> ignored;
    std::vector<std::uint8_t> protocols;
    std::vector<std::uint16_t> zones;
    std::vector<std::uint8_t> tcp_states;
    // Interfaces out of which first packets wait for a peer; kMostDeferring at most, none twice.
    std::vector<std::string> defer;
    Duration defer_wait = std::chrono::milliseconds(5);  // so long each at most
    bool operator==(const SyncConfig&) const = default;
};

// [metrics]: where `carpd: web` serves them and the status page. Either a port of the host's own (loopback)
// addresses or a Unix socket.
struct MetricsConfig {
    std::string listen;  // as given: "127.0.0.1:9781", "[::1]:9781", "/run/carpd/metrics.sock"
    std::optional<IpAddress> address;
    std::uint16_t port = 0;  // 0 without an address

    // Empty without one.
    std::string socket() const { return address ? "" : listen; }
    bool operator==(const MetricsConfig&) const = default;
};

// `carpd ucarp`: the one group is served as ucarp(8) would do it, with scripts that bring the address
// (config/ucarp_command.h). Paths are absolute.
struct UcarpMode {
    std::string up_script, down_script;    // empty: none
    std::string parameter;                 // a further argument of theirs; empty: none
    IpAddress source;                      // from where it advertises
    bool ignores_link = false;             // an interface without a link will do
    bool broadcasts = false;               // advertisements go to ff:ff:ff:ff:ff:ff
    bool is_neutral = false;               // the down script isn't run at the start
    bool runs_down_script_at_end = false;  // of a MASTER
    bool operator==(const UcarpMode&) const = default;
};

struct Config {
    std::string control{kDefaultControlSocket};
    DataPlaneChoice dataplane = DataPlaneChoice::automatic;
    Duration hold_down{0};            // after the start all groups are demoted for so long; whole seconds
    std::vector<GroupConfig> groups;  // in the order of the file, at least one
    std::vector<HookConfig> hooks;    // in the order of the file
    std::vector<TrackConfig> tracks;  // in the order of the file, no name twice
    std::optional<SyncConfig> sync;   // nothing: no state synchronisation
    std::optional<MetricsConfig> metrics;  // nothing: none are served
    std::optional<UcarpMode> ucarp;        // nothing: carpd installs the groups' addresses itself

    // Whether there is anything for the process `carpd: helper` to do.
    bool needs_helper() const { return !hooks.empty() || !tracks.empty() || ucarp; }
    // Whether any group is a carpnode, which only the BPF gate can serve.
    bool has_pools() const {
        return std::any_of(groups.begin(), groups.end(),
                           [](const GroupConfig& group) { return bool{group.balance}; });
    }
};

// The socket at which the process `carpd: sync` answers carpctl; `control` is Config::control.
inline constexpr std::string_view kSyncSocketEnd = ".sync";
inline std::string sync_socket(const std::string& control) {
    return control + std::string(kSyncSocketEnd);
}

// A place in the file, both numbers from 1; a column counts characters, not bytes.
struct Position {
    std::uint32_t line = 0, column = 0;  // line 0: the file as a whole
    auto operator<=>(const Position&) const = default;
};

// One thing that is wrong (or, as a warning, dubious).
struct ConfigError {
    Position at;
    std::string message;  // what is wrong: "vhid 300 is out of range"
    std::string hint;     // what would be right: "it must be 1 to 255"; may be empty

    // As compilers write it, which editors understand: "carpd.toml:12:8: vhid 300 is out of range; it must be
    // ..."
    std::string to_string(std::string_view file) const;
};
using ConfigErrors = std::vector<ConfigError>;

struct ConfigFile {
    Config config;
    ConfigErrors warnings;
    bool holds_secret = false;  // a password or key stands in the file itself
};

inline constexpr std::size_t kMaxConfigSize = 1 << 20;

// The names of this host's interfaces, where groups must ask for one of them. Without, any will do: a daemon
// that runs waits for those that are missing.
using InterfaceNames = std::optional<std::vector<std::string>>;

// `text` is the file's content; `directory` is where a relative password-file or key-file is looked for.
// Never throws. Errors are sorted by position.
Expected<ConfigFile, ConfigErrors> parse_config(std::string_view text, const std::string& directory,
                                                InterfaceNames interfaces = {});

// Reads and parses `path`, and warns where it shows a password to everybody.
Expected<ConfigFile, ConfigErrors> load_config(const std::string& path, InterfaceNames interfaces = {});

}  // namespace carpd
