// What a host counts of all its groups together, because of each group it would be too much: how long things
// took, as histograms, and why groups changed their state. A Node has one (Node::tally()), which its groups
// count into; docs/man/carpd.8 says what each figure is.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/time.h"
#include "carp/election.h"
#include "carp/types.h"

namespace carpd {

// How often something took how long. The bounds never change while it counts, so it needs no memory.
struct Histogram {
    static constexpr std::size_t kBounds = 14;
    using Bounds = std::array<Duration, kBounds>;  // rising

    const Bounds* bounds;
    // Of those that took at most as long as the bound, and longer than the one before it; at last, of those
    // that took longer than all.
    std::array<std::uint64_t, kBounds + 1> counts{};
    std::uint64_t microseconds = 0;  // all of them together

    void count(Duration took);
    bool operator==(const Histogram&) const = default;
};

class TransitionCounters {
 public:
    void count(State to, Cause cause) { ++counts_[place(to)][place(cause)]; }
    std::uint64_t get(State to, Cause cause) const { return counts_[place(to)][place(cause)]; }
    void set(State to, Cause cause, std::uint64_t count) { counts_[place(to)][place(cause)] = count; }
    bool operator==(const TransitionCounters&) const = default;

 private:
    static constexpr std::size_t place(auto value) { return static_cast<std::size_t>(value); }
    std::array<std::array<std::uint64_t, kCauses>, 3> counts_{};
};

struct HostTally {
    static const Histogram::Bounds kAdvertIntervals, kLatenesses, kFailovers;

    // Between two advertisements of one host in a group, in the first of the group's address families, while
    // we stay in our state.
    Histogram advert_interval{&kAdvertIntervals};
    // From when a timer of a group was due to when it was served.
    Histogram timer_lateness{&kLatenesses};
    // From the last advertisement of the master before us (a bow-out, too) to when our addresses answer,
    // where we heard one as BACKUP.
    Histogram failover{&kFailovers};
    TransitionCounters transitions;
    bool operator==(const HostTally&) const = default;

    // each("advert_interval", histogram) for each.
    template <class Self, class Each>
    static void for_each_histogram(Self& tally, Each&& each) {
        each("advert_interval", tally.advert_interval);
        each("timer_lateness", tally.timer_lateness);
        each("failover", tally.failover);
    }
};

}  // namespace carpd
