// The gate at the interfaces: a BPF program that lets a group's packets in and out only while its lease
// lasts, and speaks with its virtual MAC (bpf/gate.bpf.c). The lease is a number in memory that this process
// shares with the kernel; whatever becomes of the process, the gate closes when the time has come.
//
// Where the program stands, and what becomes of it after a killed run, is said in linux/gate_hooks.h.
//
// At most 16384 groups and 65536 addresses; what is beyond is an error of guard().
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "linux/card_filter.h"
#include "linux/gate_hooks.h"
#include "linux/gate_pools.h"
#include "linux/gate_program.h"
#include "linux/netlink_socket.h"

namespace carpd {

class Gate {
 public:
    // What the gate knows of a group.
    struct Guarded {
        int ifindex = 0;  // of its interface; 0: the gate doesn't know the group
        MacAddress mac;   // with which it speaks
        // To which frames to it come, a virtual one; nothing if it is the interface's own.
        std::optional<MacAddress> heard_at;
        bool router = false;  // what neighbour advertisements say
        Few<IpAddress> addresses;
        // Of a carpnode: packets of its pool pass by its lease if they are its own (rule N5).
        SharedValue<PoolPlace> place;
        bool operator==(const Guarded&) const = default;
    };

    // Loads the program and tries whether it can stand at an interface, in the best way or a lesser one.
    // `netlink` outlives the gate.
    static Expected<std::unique_ptr<Gate>, SysError> open(Netlink& netlink,
                                                          GateHooks::Way best = GateHooks::Way::tcx);

    // Another process's gate stands at the interfaces, and this one isn't there until take_their_place().
    // What is said of groups meanwhile counts from then on.
    void hold_back() { hooks_.hold_back(); }
    std::optional<SysError> take_their_place() { return hooks_.take_their_place(program_); }

    // The group's packets pass by its lease from now on; without one they don't. Also when something of it
    // changed, but its interface. After an error the gate knows nothing of the group. `note` is kept with the
    // program at the interface for the next run.
    std::optional<SysError> guard(GroupId group, const Guarded& guarded, const std::string& note);
    void release(GroupId group);

    // Open until then. Takes no system call.
    void open_until(GroupId group, Instant until) { program_.set_lease(group, until); }
    void close(GroupId group) { program_.set_lease(group, Instant{}); }

    // Of the pool with this leader, which needn't be guarded yet (linux/gate_pools.h).
    void set_pool(GroupId leader, CarpnodeSet at_home, Instant settling_until, Instant hand_over_until);
    // What came to the pool of a carpnode since the first of it was guarded; nothing for other groups.
    std::optional<PoolTraffic> traffic_of(GroupId carpnode) const;
    // So much came before. While the gate stands at no interface.
    void set_traffic(GroupId carpnode, const PoolTraffic& traffic);

    // Puts the program back where somebody removed it; returns whether that was necessary.
    bool renew(int ifindex) { return hooks_.renew(program_, ifindex); }
    // Whether somebody did, and the kernel tells nobody.
    bool is_robbed(int ifindex) const { return hooks_.is_robbed(ifindex); }

    // What a killed run left at an interface. Returns whether there was anything.
    static bool remove_leftovers(Netlink& netlink, const Link& link);

 private:
    Gate(Netlink& netlink, GateProgram program, CardFilter card)
        : hooks_(netlink), program_(std::move(program)), card_(std::move(card)), pools_(program_) {}
    // What the gate knows of a group, and whose its addresses and its MAC are: its own, or its pool's.
    struct Known : Guarded {
        GateOwner owner = 0;
        GateOwner at_mac = 0;
    };
    std::optional<SysError> follow(GroupId group, Known& known, const Guarded& wanted);
    std::optional<SysError> own(GroupId group, Known& known, const Guarded& wanted);
    void forget(GroupId group, Known& known);
    void forget_address(GroupId group, const Known& known, const IpAddress& address);
    bool is_shared(GroupId group, const Known& known, auto has) const;

    GateHooks hooks_;
    GateProgram program_;
    CardFilter card_;
    GatePools pools_;
    std::vector<Known> groups_;  // by GroupId
};

}  // namespace carpd
