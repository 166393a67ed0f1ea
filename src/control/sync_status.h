// What `carpd: sync` tells of itself: the JSON of `carpctl sync status`. Keys are a promise, as those of
// control/status.h are (docs/man/carpctl.8); units stand in the key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "sync/deferral.h"
#include "sync/finder.h"

namespace carpd {

struct NamedCount {
    std::string_view name;
    std::uint64_t count = 0;
};

// What became of changes to the kernel's table, as linux/conntrack_table.h counts it.
struct SyncInjectionFigures {
    std::uint64_t written = 0, removed = 0, gone = 0, recreated = 0, replaced = 0, evicted = 0;
    std::uint64_t without_master = 0, without_helper = 0;
    std::uint64_t full = 0, unsupported = 0, invalid = 0, clashes = 0, other = 0;  // failures
};

// The kernel's table: its entries, how many it takes, and its hash buckets.
struct ConntrackFigures {
    std::uint32_t entries = 0, max = 0, buckets = 0;
};

// Of deferral, while [sync] has `defer`.
struct SyncDeferralFigures {
    struct Place {
        std::string name;
        std::string trouble;  // why packets that leave the interface don't wait; empty: they do
    };
    std::string trouble{};  // why none do at all; empty: nothing prevents it
    std::vector<Place> interfaces{};
    bool active = false;   // MASTER of something, and a peer is up
    std::size_t held = 0;  // frames, now
    DeferralCounters counters{};
    std::uint64_t passed = 0;  // weren't caught, for the process didn't come to reading
    std::uint64_t lost = 0;    // on the way to us
    std::uint64_t send_errors = 0;
};

struct SyncPeerFigures {
    IpAddress address;
    std::uint64_t datagrams_sent = 0, bytes_sent = 0;
    std::uint64_t datagrams_received = 0, bytes_received = 0;
    std::uint64_t send_errors = 0;
    std::string send_error{};  // why sending to it fails now; empty: it doesn't
};

// Where hosts find each other, and what strangers did.
struct SyncFindingFigures {
    const PeerFinder* finder = nullptr;
    IpAddress group;
    std::string send_error{};  // why hellos to the group can't be sent now; empty: they can
    // The last stranger who can't become a peer, and why.
    struct Refused {
        IpAddress address;
        std::string why;
        Instant at{};
    };
    std::optional<Refused> refused{};
};

// What only the process knows. Counters are since its start.
struct SyncProcessFigures {
    const SyncConfig& config;
    int pid = 0;
    Instant started{};
    std::string socket_trouble{};  // why peers can't be spoken to at all: "eth2 is missing"; empty: they can
    std::uint64_t kernel_events = 0;              // read; those that were lost counts the SyncHost
    std::uint64_t dumps = 0;                      // of the kernel's table that were finished
    std::vector<NamedCount> messages_refused{};   // of the kernel's, by ConntrackRefusal
    std::vector<NamedCount> datagrams_refused{};  // before any peer's channel saw them
    std::optional<ConntrackFigures> table{};      // nothing: it can't be read
    SyncInjectionFigures injection{};
    std::uint64_t takeovers = 0;            // of groups that became MASTER and waited for flows
    std::optional<Duration> last_commit{};  // how long the last one waited
    std::uint64_t bound_exceeded = 0;       // those that went on after `commit-wait` without all flows
    std::optional<SyncDeferralFigures> deferral{};  // nothing: it isn't configured
    std::optional<SyncFindingFigures> finding{};    // nothing: peers are configured
    std::vector<SyncPeerFigures> peers{};           // as the SyncHost numbers them
};

// The answer to a status request.
std::string sync_status(const SyncHost& host, const SyncProcessFigures& figures, Instant now);

// What a peer is called: its name, or its address while its name isn't known because it is down.
std::string sync_peer_name(const Channel& channel, const IpAddress& address);

// Why what comes from a host is refused, and what to do. `channel` refused it.
std::string why_refused(SyncDrop reason, const Channel& channel, const SyncConfig& config);

// Why a peer isn't up, for somebody who has been called out of bed; nothing if it is.
std::optional<std::string> why_down(const Channel& channel, const SyncPeerFigures& peer,
                                    const SyncConfig& config, Instant now);

}  // namespace carpd
