#include "carp/host_tally.h"

#include <algorithm>

namespace carpd {

using namespace std::chrono_literals;

// Beside what is usual, not at it: with advbase 1 and advskew 0 advertisements come after a second, more or
// less, and one that was lost makes it two.
constexpr Histogram::Bounds HostTally::kAdvertIntervals = {
    5ms, 20ms, 50ms, 100ms, 250ms, 500ms, 900ms, 1100ms, 1500ms, 2200ms, 3300ms, 5500ms, 11s, 60s};
constexpr Histogram::Bounds HostTally::kLatenesses = {100us, 250us, 500us, 1ms,   2500us, 5ms, 10ms,
                                                      25ms,  50ms,  100ms, 250ms, 500ms,  1s,  5s};
// Three intervals, and what advskew adds, pass until a silent master is succeeded.
constexpr Histogram::Bounds HostTally::kFailovers = {1ms, 5ms, 20ms,   50ms,   100ms, 250ms, 500ms,
                                                     1s,  2s,  3100ms, 3500ms, 4s,    10s,   60s};

void Histogram::count(Duration took) {
    const auto found = std::lower_bound(bounds->begin(), bounds->end(), took);
    ++counts[static_cast<std::size_t>(found - bounds->begin())];
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
    microseconds += static_cast<std::uint64_t>(std::max<std::int64_t>(us, 0));
}

}  // namespace carpd
