// What a Node knows that no configuration says, as a value: what a daemon gives to the one that takes over
// from it without a failover (docs/upgrade.md). Times are those of a clock that both have. What isn't here
// starts anew: the last refusal of each group, what other hosts told by beacons, carpnodes that a pool lacks,
// and all that sets make of their members.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "carp/actions.h"
#include "carp/counters.h"
#include "carp/demotion.h"
#include "carp/host_tally.h"
#include "carp/lateness.h"
#include "carp/pool_memory.h"
#include "carp/sent_counters.h"
#include "carp/types.h"

namespace carpd {

// Of one group. Timers are kNever while they don't run.
struct GroupMemory {
    std::string interface;  // it is known by both
    Vhid vhid;
    State state = State::init;
    Cause cause = Cause::none;
    std::string followed;  // VirtualHost::together_with()
    Instant since{}, joined_at = Instant::min();
    bool owns = false;  // its addresses answer
    Instant lease_until = kNever, commit_until = kNever;
    Instant advertise_at = kNever, master_down4 = kNever, master_down6 = kNever, announce_at = kNever;
    Instant hold_down_ends = kNever;
    Instant advertised_at = Instant::min(), announced_at = Instant::min();
    Instant rival_report_due = Instant::min();
    SentCounters::Progress sent{};
    std::uint8_t send_errors_in_a_row = 0, sends_in_a_row = 0, announcements_left = 0;
    AdvSkew advertised_advskew;
    std::vector<DemotionCounter::Contribution> demotions;
    std::vector<std::string> withdrawn_by;
    std::optional<Rival> last_heard;
    Instant last_heard_at = Instant::min();
    Counters counters;
    bool operator==(const GroupMemory&) const = default;
};

// An operator's demotion of an interface group.
struct InterfaceGroupDemotion {
    std::string interface_group, name;
    int amount = 0;
    bool operator==(const InterfaceGroupDemotion&) const = default;
};

// When an operator's demotion ends by itself: of the group with this vhid on this interface, or, without
// one, of the interface group.
struct DemotionEnd {
    std::string interface;
    Vhid vhid;
    std::string interface_group, name;
    Instant at = kNever;
    bool operator==(const DemotionEnd&) const = default;
};

struct NodeMemory {
    std::vector<GroupMemory> groups;
    std::vector<PoolMemory> pools;
    std::vector<InterfaceGroupDemotion> interface_group_demotions;
    std::vector<DemotionEnd> ends;
    int sync_demotion = 0;
    Lateness lateness;
    DropCounters dropped{};
    HostTally tally;
    bool operator==(const NodeMemory&) const = default;
};

}  // namespace carpd
