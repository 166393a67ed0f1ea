// What will happen, by time; of equal times, what was asked for first. Nothing else orders a world.
#pragma once

#include <algorithm>
#include <vector>

#include "sim/moment.h"

namespace carpd::sim {

enum class EventKind : std::uint8_t {
    fault_begins,  // what: place in Plan::faults
    fault_ends,
    strike,    // what: the fault that acts again (flap, forged and replayed packets, state requests)
    delivery,  // what: the packet that arrives at `host`
    timer,     // what: unused; `host` asked to be woken
    lease,     // what: the group whose lease may lapse at `host`
    commit,    // what: the takeover whose flows are in the kernel of `host`
};

template <class Kind>
struct Planned {
    Moment at;
    std::uint64_t order;
    Kind kind;
    std::uint8_t host;
    std::uint32_t what;
};

template <class Kind>
class Schedule {
 public:
    using Event = Planned<Kind>;

    void push(Moment at, Kind kind, int host, std::uint32_t what) {
        heap_.push_back({at, next_order_++, kind, static_cast<std::uint8_t>(host), what});
        std::push_heap(heap_.begin(), heap_.end(), later);
    }
    Event pop() {
        std::pop_heap(heap_.begin(), heap_.end(), later);
        const Event event = heap_.back();
        heap_.pop_back();
        return event;
    }
    bool empty() const { return heap_.empty(); }
    Moment next() const { return heap_.front().at; }
    std::size_t size() const { return heap_.size(); }

 private:
    static bool later(const Event& a, const Event& b) {
        return a.at != b.at ? a.at > b.at : a.order > b.order;
    }

    std::vector<Event> heap_;
    std::uint64_t next_order_ = 0;
};

using Event = Planned<EventKind>;
using EventQueue = Schedule<EventKind>;

}  // namespace carpd::sim
