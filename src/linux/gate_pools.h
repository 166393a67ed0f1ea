// The pools that the gate knows (docs/protocol/balance.md), which the map `pools` of the BPF program has for
// packets: whose carpnodes stand here, who serves whom, and whether the pool settles. The gate
// (linux/gate.h) makes groups join and leave; a pool is there as long as it has members.
//
// At most 512 pools. One takes 4 KiB, and with weights up to 140 KiB more.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "balance/shares.h"
#include "base/expected.h"
#include "base/shared_value.h"
#include "carp/types.h"
#include "linux/gate_maps.h"
#include "linux/gate_program.h"
#include "linux/sys_error.h"

namespace carpd {

// Which place a group has in a pool.
struct PoolPlace {
    SharedValue<BalanceConfig> pool;
    Key key{};
    Vhid vhid;
    bool operator==(const PoolPlace&) const = default;
};

class GatePools {
 public:
    // `program` outlives the pools.
    explicit GatePools(GateProgram& program) : program_(&program) {}

    // The group has this place in its pool on this interface from now on; also when something of it changed,
    // but the pool's leader. Returns the pool as an owner of addresses and MACs (linux/gate_program.h).
    Expected<GateOwner, SysError> join(int ifindex, const PoolPlace& place, GroupId group);
    void leave(GateOwner pool, GroupId group);
    // Those who joined, by vhid.
    const std::map<Vhid, GroupId>& members(GateOwner pool) const { return find(pool).members; }
    // The same for frames to the MAC of the carpnode with this vhid.
    GateOwner carpnode(GateOwner pool, Vhid vhid) const;

    // Which carpnodes are at home, until when the pool settles, and until when its slots of before count,
    // too, by the group that is its leader; kept for when that joins. Takes at most 100 us.
    std::optional<SysError> set(GroupId leader, CarpnodeSet at_home, Instant settling_until,
                                Instant hand_over_until);

 private:
    struct State {
        CarpnodeSet at_home = 0;
        Instant settling_until{}, hand_over_until{};
    };
    struct Pool {
        int ifindex;
        SharedValue<BalanceConfig> config;
        Key key;
        Shares shares;
        std::map<Vhid, GroupId> members;
        gate_slots slots{};  // that the program has

        Vhid leader() const { return Vhid{config->leader()}; }
    };
    static std::size_t number_of(GateOwner pool);
    Pool& find(GateOwner pool) const { return *pools_[number_of(pool)]; }
    Expected<std::size_t, SysError> find_or_make(int ifindex, const PoolPlace& place);
    std::optional<SysError> put(std::size_t number);

    GateProgram* program_;
    std::vector<std::unique_ptr<Pool>> pools_;  // by number; null: it is free
    std::map<GroupId, State> states_;           // by the leader
};

}  // namespace carpd
