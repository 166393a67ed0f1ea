// What an engine gives to the one that takes over from it (docs/upgrade.md): one JSON document, of a format
// that has a number, so that either side may be older. A field that isn't known is passed over; one that is
// missing or makes no sense makes the whole document an error, and nothing is taken over.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "balance/types.h"
#include "base/expected.h"
#include "carp/memory.h"
#include "health/tracker.h"

namespace carpd {

// The latest format that this carpd reads, and the one in which it hands over. It rises when an older carpd
// would misunderstand what a newer one writes: from 2 on there are pools. So a host without any can hand over
// to one of format 1.
inline constexpr int kHandOverFormat = 2;
constexpr int hand_over_format(bool has_pools) {
    return has_pools ? kHandOverFormat : 1;
}
constexpr bool understands(int format) {
    return format >= 1 && format <= kHandOverFormat;
}
inline constexpr std::size_t kMaxHandOver = 64 << 20;  // bytes

// What the helper said of a track.
struct TrackMemory {
    std::string track;
    TrackVerdict verdict;
    bool operator==(const TrackMemory&) const = default;
};

// What `carpd: sync` said.
struct SyncMemory {
    int pid = 0;  // 0: there is none
    bool complete = false;
    int peers = 0, peers_up = 0;
    std::uint64_t takeover = 0, committed = 0;
    bool operator==(const SyncMemory&) const = default;
};

// What the data plane has of a carpnode, beside what the core knows.
struct CarpnodeMemory {
    std::string interface;
    Vhid vhid;
    bool lingers = false;  // it isn't MASTER, and its addresses stay as long as the pool settles
    std::optional<PoolTraffic> traffic;  // the pool's, at its leader
    bool operator==(const CarpnodeMemory&) const = default;
};

struct HandOver {
    std::string version;  // of the carpd that hands over
    NodeMemory node;
    std::vector<CarpnodeMemory> carpnodes;
    std::vector<TrackMemory> tracks;
    std::optional<SyncMemory> sync;  // where state synchronisation is configured
    // packet_digest() of the last that it heard, 0: none came; nothing: an older one, which doesn't say.
    std::optional<std::uint64_t> last_packet;
    std::deque<std::string> history;  // as a monitor's lines, the oldest first
    bool operator==(const HandOver&) const = default;
};

// What a supervisor gives to the program that takes its place in the same process (execve(2)): children, and
// descriptors, which that one inherits.
struct KeptMemory {
    std::string name;  // of the process: "helper"
    int pid = 0;       // 0: none runs
    int engine_end = -1, own_end = -1;
    bool operator==(const KeptMemory&) const = default;
};
struct SupervisorMemory {
    int engine = 0;  // its pid
    int restarts = 0;
    int watchdog = -1, lock = -1;
    int engine_end = -1, own_end = -1;  // on which a successor talks to the engine
    std::vector<KeptMemory> kept;
    bool operator==(const SupervisorMemory&) const = default;
};

std::string to_document(const HandOver& hand_over);
std::string to_document(const SupervisorMemory& memory);
// The error is a sentence for the log.
Expected<SupervisorMemory, std::string> parse_supervisor_memory(std::string_view text);
Expected<HandOver, std::string> parse_hand_over(std::string_view text);

}  // namespace carpd
