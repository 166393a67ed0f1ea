// What a seed stands for: hosts, their CARP groups, the traffic's temper, the network's, and the faults with
// their times. All of it is drawn before anything runs, so that leaving faults out changes nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/moment.h"

namespace carpd::sim::sync {

inline constexpr int kMostHosts = 4;
using HostSet = std::uint8_t;  // bit h: host h

constexpr bool contains(HostSet set, int host) {
    return (set >> host & 1) != 0;
}

enum class FaultKind : std::uint8_t {
    loss,         // of `chance` per mille of all datagrams
    duplication,  // of `chance` per mille, up to `span` later
    reordering,   // `chance` per mille wait for `span`
    delay,        // up to `span` more, of all
    one_way_cut,  // of what `host` sends to `peer`
    cut,          // between `host` and `peer`
    partition,    // between `side` and the others, on the link and on the groups' network
    split,        // the same on the groups' network only
    crash,        // power loss of `host`; it starts again at the end with an empty table
    kill,         // of carpd, while the kernel goes on; it is started again at the end
    sync_kill,    // of the process that synchronises; it is started again at the end
    stop,         // of carpd, in order, and started again at the end
    drain,        // `host` is MASTER of nothing
    freeze,       // the process doesn't run: datagrams and events wait in bounded buffers
    suspend,      // the machine doesn't run; its clock goes on
    lost_events,  // the buffer for events holds `amount`, and is read every `span`
    full_table,   // the kernel's table takes no more
    slow_kernel,  // makes a few changes every `span`
    flush,        // an operator empties the kernel's table, once
    wrong_key,    // `host` is started with another key, and with the right one at the end
    late_news,    // CARP's news come `span` later
    attack,       // a stranger sends recorded and invented datagrams every `span`
};
inline constexpr int kFaultKinds = static_cast<int>(FaultKind::attack) + 1;
std::string_view to_string(FaultKind kind);

struct Fault {
    int id = 0;  // from 1
    FaultKind kind = FaultKind::loss;
    Moment begin = 0, end = 0;
    int host = 0, peer = 0;
    HostSet side = 0;
    std::uint32_t chance = 0;
    std::int64_t span = 0;
    std::uint32_t amount = 0;
};

struct HostPlan {
    std::string name;
    DriftingClock clock;
    std::int64_t wall_offset_ms = 0;
};

struct Plan {
    std::uint64_t seed = 0;
    std::vector<HostPlan> hosts;
    std::vector<std::vector<int>> preference;  // of each group: its hosts, the best first
    bool preempt = false;
    std::int64_t dead_after = kSecond;
    std::uint32_t max_flows = 0;
    bool ignores_some = false;                  // every fifth connection isn't to be told
    std::int64_t min_delay = 0, max_delay = 0;  // of a datagram on the undisturbed network
    std::int64_t flow_gap = 0;                  // a new connection each so often, on average
    std::int64_t longest_life = 0;              // of a connection
    std::uint32_t nat_ports = 0;                // that translations share
    std::uint32_t reuse = 0;  // per mille of connections that have the tuple of an earlier one
    std::vector<Fault> faults;
    Moment healed = 0;  // every fault has ended
    Moment end = 0;
};

Plan draw_plan(std::uint64_t seed);

// For people.
std::string describe(const Plan& plan);
std::string describe(const Plan& plan, const Fault& fault);

}  // namespace carpd::sim::sync
