// A host on the simulated LAN, as the network and the faults see it: carpd (host.h) or a stand-in for another
// implementation (foreign.h).
#pragma once

#include <vector>

#include "carp/types.h"
#include "sim/packet.h"
#include "sim/plan.h"

namespace carpd::sim {

class World;

// What keeps a host from being well; each counts the faults that say so at the moment.
struct Ailments {
    int crashed = 0;                       // no power
    int killed = 0;                        // no process
    int frozen = 0;                        // the process doesn't run
    int suspended = 0;                     // the machine doesn't run
    std::vector<int> unplugged, vanished;  // by interface: no carrier, no interface
};

class Station {
 public:
    Station(World& world, int index);
    virtual ~Station() = default;

    bool machine_runs() const { return ailments.crashed == 0 && ailments.suspended == 0; }
    bool has_process() const { return ailments.crashed == 0 && ailments.killed == 0; }
    bool awake() const { return machine_runs() && has_process() && ailments.frozen == 0; }
    // The interface that `group` is on exists; it has a link.
    bool has_interface(int group) const { return ailments.vanished[interface_of(group)] == 0; }
    bool connected(int group) const {
        return has_interface(group) && ailments.unplugged[interface_of(group)] == 0;
    }

    // A packet came in; it is held by the world during the call.
    virtual void deliver(PacketId packet) = 0;
    // Its timer is due, or it may run again.
    virtual void wake() = 0;
    // `ailments` changed: of machine and process, or of the link.
    virtual void condition_changed() = 0;
    virtual void link_changed(std::size_t interface) = 0;
    virtual void demote(int group, int amount) = 0;

    virtual State state(int group) const = 0;
    // It answers for the group's addresses.
    virtual bool owns(int group) const = 0;
    // What an operator set and failing checks add, and 240 more while its kernel refuses the addresses.
    virtual int demotion(int group) const = 0;

    // For the world's timer events.
    void timer_due(Moment at);

    const int index;
    Ailments ailments;

 protected:
    // Wakes it at `at`, unless asked again before.
    void arm(Moment at);
    bool armed() const { return wake_at_ != kNoMoment; }
    const HostPlan& plan() const;
    LinkStatus link(std::size_t interface) const;
    std::size_t interface_of(int group) const;

    World& world_;

 private:
    Moment wake_at_ = kNoMoment;
    Moment earliest_event_ = kNoMoment;  // of the events in the queue that will look at wake_at_
};

}  // namespace carpd::sim
