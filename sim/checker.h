// The interface of what watches a world from outside. A checker is told what happened, may look at the world,
// and says when its statement (docs/simulation.md) is broken; it never acts.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "carp/actions.h"
#include "sim/packet.h"
#include "sim/plan.h"

namespace carpd::sim {

class World;

// A packet that a host's process read, and what it made of it.
struct Heard {
    PacketId packet;
    bool refused;
    DropReason reason;
};

// A carpd host's report that one of its groups changed state.
struct Change {
    int host, group;
    State from, to;
    Cause cause;
    Standing ours;
    bool together;                 // it follows another group of its set, and the cause is that group's
    std::span<const Heard> heard;  // what it read in the same wake-up
};

class Checker {
 public:
    explicit Checker(World& world) : world_(world) {}
    virtual ~Checker() = default;
    virtual std::string_view name() const = 0;

    // Before a fault begins, ends or strikes.
    virtual void before_disturbance() {}
    virtual void on_heard(int /*host*/, const Heard&) {}
    virtual void on_change(const Change&) {}
    // A carpd host's core wanted to advertise; `sent`: it could.
    virtual void on_said(int /*host*/, int /*group*/, bool /*bow_out*/, bool /*sent*/) {}
    // An operator, or the loss of its addresses, changed how demoted a carpd host is.
    virtual void on_demoted(int /*host*/, int /*group*/) {}
    // A carpd host's core wants to have its flows committed before the group answers; they are.
    virtual void on_commit_wanted(int /*host*/, int /*group*/) {}
    virtual void on_committed(int /*host*/, int /*group*/) {}
    // Its kernel is told to answer, which it may refuse.
    virtual void on_install(int /*host*/, int /*group*/) {}
    // A carpd host told its neighbours where the group's addresses are.
    virtual void on_announced(int /*host*/, int /*group*/) {}
    // `host` began or ceased to answer for the group.
    virtual void on_ownership(int /*host*/, int /*group*/, bool /*owns*/) {}
    // A carpd host was told anew who serves whom of a pool.
    virtual void on_shares(int /*host*/, int /*pool*/) {}
    // A carpd host has done all that it was woken for. `all`: every group may have changed, not only
    // `touched`.
    virtual void after_wake(int /*host*/, std::span<const int> /*touched*/, bool /*all*/) {}
    // A daemon started, with an empty memory.
    virtual void on_start(int /*host*/) {}
    virtual void on_configured(int /*host*/, int /*group*/) {}
    virtual void at_end() {}

 protected:
    void broken(int group, std::string statement);

    World& world_;
};

}  // namespace carpd::sim
