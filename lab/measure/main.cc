// carpd-measure: the figures carpd must reach, measured on this machine and printed as a table. About four
// minutes; use a quiet machine.
#include <fmt/format.h>

#include <exception>

#include "lab/experiments.h"
#include "lab/lab.h"

namespace {

using namespace carpd::lab;

void row(const char* what, const Figures& f, const char* wanted) {
    fmt::print("{:<58} {:>4} {:>9.2f} {:>9.2f} {:>9.2f}   {}\n", what, f.count(), f.median(), f.min(),
               f.max(), wanted);
    std::fflush(stdout);
}

void measure() {
    fmt::print("{:<58} {:>4} {:>9} {:>9} {:>9}   {}\n", "milliseconds", "runs", "median", "min", "max",
               "must reach");
    row("whole master killed, advbase 1, advskew 0/100: outage",
        measure_failovers({1, 0, 100}, Fate::power_cut, 5, 1ms).outage, "every run <= 3391 + 20");
    // Requests so close that waiting for the next one is not most of what is measured.
    const Failovers fast = measure_failovers({0, 1, 2}, Fate::power_cut, 20, 25us);
    row("whole master killed, advbase 0, advskew 1/2: outage", fast.outage, "median < 30");
    row("  from the decision to the first answered request", fast.decision_answer, "median <= 0.2");
    row("orderly stop, requests every 1 ms: outage",
        measure_failovers({1, 0, 100}, Fate::orderly_stop, 20, 1ms).outage, "median <= 5");
    row("1000 groups, whole master killed: first advert to last claim",
        measure_takeovers(Fate::power_cut, 5, 4, 250).duration, "median <= 50");
    row("1000 groups, orderly stop, both hosts at work: the same",
        measure_takeovers(Fate::orderly_stop, 5, 4, 250).duration, "median <= 50");
    const std::uint64_t changes = count_false_failovers({0, 8, 9}, 60s, 2);
    fmt::print("{:<58} {:>4} {:>9}   {}\n", "state changes in 60 s, master-down 105 ms, both cores busy", 1,
               changes, "                      none");
}

}  // namespace

int main() {
    if (const std::string why_not = why_no_lab(); !why_not.empty()) {
        fmt::print(stderr, "carpd-measure: {}\n", why_not);
        return 1;
    }
    try {
        measure();
        return 0;
    } catch (const std::exception& error) {
        fmt::print(stderr, "carpd-measure: {}\n", error.what());
        return 1;
    }
}
