// What a pool's Balancer (carp/balancer.h) knows of the hosts around it, as values: its own state, and its
// part of what another daemon goes on with (carp/memory.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/addresses.h"
#include "carp/election.h"
#include "carp/types.h"

namespace carpd {

// Who is MASTER of a carpnode, or was last.
struct PoolSeat {
    bool is_taken = false;  // otherwise nobody is known to be MASTER now
    bool is_self = false;
    std::optional<IpAddress> source;  // of the last; nothing: nobody ever
    Standing standing;
    Instant since = Instant::min();  // when it took over from another, as far as this host knows
    // Until then it can't have been lost without a word; kNever while it is this host.
    Instant lives_until = Instant::min();
    // Likewise of somebody who is known only by an address of the other family.
    Instant another_lives_until = Instant::min();
    bool operator==(const PoolSeat&) const = default;
};

// A host that is MASTER of something, and what it tells of its pool (carp/pool_peers.h).
struct PoolHost {
    IpAddress address;
    Instant heard_at = Instant::min(), gone_at = Instant::min();
    std::uint16_t mark = 0;
    std::uint8_t times = 0;  // that mark has come, one after the other, up to PoolPeers::kSure
    // When its pool became the same; its last probe since then.
    Instant same_since = Instant::min(), probe_at = Instant::min();
    bool is_said_to_differ = false, is_said_to_be_kept_back = false;
    bool operator==(const PoolHost&) const = default;
};

struct PoolMemory {
    struct Carpnode {
        Vhid vhid;
        PoolSeat seat;
        bool operator==(const Carpnode&) const = default;
    };
    std::string interface;  // the pool is known by it and its leader
    Vhid leader;
    std::uint16_t fingerprint = 0;  // rule N10: another one has other shares
    std::vector<Carpnode> carpnodes;
    std::vector<PoolHost> hosts;
    Instant settling_until = Instant::min(), probe_at = kNever;
    bool operator==(const PoolMemory&) const = default;
};

}  // namespace carpd
