// The election: what a host makes of another's advertisement. One pure function with numbered rules, from
// docs/protocol/carp.md §3.3 of the five implementations; docs/protocol/carp.md says which of them each rule
// follows.
#pragma once

#include <cstdint>
#include <string_view>

#include "carp/types.h"
#include "wire/advertisement.h"

namespace carpd {

// How good a master a host is, as it stands in an advertisement. Demotion decides first, then (advbase,
// advskew); less is better.
struct Standing {
    AdvBase advbase;
    AdvSkew advskew;
    std::uint8_t demote = 0;

    static Standing of(const Advertisement& a) { return {AdvBase{a.advbase}, AdvSkew{a.advskew}, a.demote}; }
    bool operator==(const Standing&) const = default;
};

// What the standings leave undecided is decided by who sent the advertisement (rule E10).
enum class Tie : std::uint8_t {
    ours,       // our source address (or, if equal, our counter) is the lower
    theirs,     // theirs is
    elsewhere,  // the IPv4 copy decides for a group of both families
};

enum class Verdict : std::uint8_t {
    hold,       // stay; a BACKUP restarts its master-down timer
    reassert,   // a MASTER stays and tells the LAN again where the addresses are
    yield,      // MASTER -> BACKUP
    take_over,  // BACKUP -> MASTER
};

// Why something happened: every transition carries one of these, and `carpctl` and the log show its text.
enum class Cause : std::uint8_t {
    none,
    // BACKUP -> MASTER by an advertisement
    master_bowed_out,     // E1; a MASTER lets it pass
    master_more_demoted,  // E2
    preempting,           // E3
    master_too_slow,      // E4
    // BACKUP stays
    master_alive,  // E5
    // MASTER -> BACKUP or MASTER stays
    peer_less_demoted,     // E6
    peer_more_demoted,     // E7
    better_advertisement,  // E8
    worse_advertisement,   // E9
    tie_lost,              // E10
    tie_won,               // E10
    tie_elsewhere,         // E10
    // the rest
    master_timed_out,  // T3
    started,
    stopped,
    removed,
    interface_missing,
    interface_down,
    link_down,
    link_up,
    operator_request,
    addresses_refused,
    cannot_advertise,  // F3
    lease_lapsed,      // F4
    check_failed,      // H2
    check_passed,      // H2
};
inline constexpr std::size_t kCauses = static_cast<std::size_t>(Cause::check_passed) + 1;

std::string_view to_string(Cause cause);      // a phrase for people: "master timed out"
std::string_view to_identifier(Cause cause);  // a word for programs: "master_timed_out"

// Whether this is a cause for which groups come to be in `state`.
bool leads_to(Cause cause, State state);

struct Decision {
    Verdict verdict;
    Cause cause;
    bool operator==(const Decision&) const = default;
};

// What a host in `state` (BACKUP or MASTER) with standing `ours` makes of an authentic advertisement
// `theirs`.
Decision judge(State state, const Standing& ours, const Standing& theirs, bool preempt, Tie tie);

// Why a BACKUP is none: what keeps it from taking over now. For those who ask; it decides nothing.
enum class Obstacle : std::uint8_t {
    none,             // nothing: it takes over at the master's next advertisement (E1 to E4)
    no_master_heard,  // its master-down timer: it has heard no master yet
    less_demoted,     // the master is less demoted than it
    faster,           // as demoted, and advertises more often
    equal,            // neither is the better one
    no_preempt,       // it is the better one, and doesn't preempt
    preempt_delay,    // it is the better one, and will preempt (O3)
    just_failed,      // O2: so it did, or could not advertise
    no_addresses,     // O2: the kernel refused its addresses the last time
    held,             // another member of its set (G3)
};

std::string_view to_identifier(Obstacle obstacle);

// Of these what follows from the standings: why a BACKUP makes of `theirs` what judge() says. `preempt` is
// what is configured, `may_preempt` whether its delay is over.
Obstacle obstacle(const Standing& ours, const Standing& theirs, bool preempt, bool may_preempt);

}  // namespace carpd
