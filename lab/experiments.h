// Measurements that the tests check loosely and carpd-measure prints: how long a client waits in each kind of
// failover, and whether a busy machine makes one where there should be none.
#pragma once

#include <string>
#include <vector>

#include "lab/clock.h"

namespace carpd::lab {

// The milliseconds of several runs.
class Figures {
 public:
    void add(Span span) { ms_.push_back(to_ms(span)); }
    std::size_t count() const { return ms_.size(); }
    double median() const;
    double min() const;
    double max() const;

 private:
    std::vector<double> ms_;
};

// Two carpds that share an IPv4 address.
struct Timing {
    int advbase = 1, master_skew = 0, backup_skew = 100;
};

enum class Fate {
    power_cut,     // the whole master: SIGKILL and dead cables
    orderly_stop,  // SIGTERM
};

struct Failovers {
    Figures outage;           // as the client sees it
    Figures decision_answer;  // from the new master's first advertisement to the first answered request
};

// Lets the master suffer `fate` `runs` times (its power is cut at the worst moment, just after an
// advertisement) while a client sends a request every `interval`. Throws if the other host does not take
// over. A run in which the machine was too busy for the timing before anything failed is repeated, `runs`
// times at most.
Failovers measure_failovers(const Timing& timing, Fate fate, int runs, Span interval);

struct Takeovers {
    // From the successor's first advertisement for any group until it has announced the last address.
    Figures duration;
    // How late its latest advertisement was, in each run, in the three seconds after the first; and the
    // interval that it should have kept.
    Figures lateness;
    double interval_ms = 0;
};

// Groups with an IPv4 address each, at most 255 on each of `lans` LANs.
Takeovers measure_takeovers(Fate fate, int runs, int lans, int groups_of_a_lan);

// How many times a carpd changed its state within `length` although nothing happened but `hogs` processes
// that burn the processors.
std::uint64_t count_false_failovers(const Timing& timing, Span length, int hogs);

}  // namespace carpd::lab
