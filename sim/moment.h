// Time in the simulator. A Moment is the world's own time, which no host knows; a host sees it through its
// clock, which began at some other number and runs a little fast or slow.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace carpd::sim {

using Moment = std::int64_t;  // nanoseconds since the world began; below two hours

inline constexpr Moment kMicrosecond = 1'000;
inline constexpr Moment kMillisecond = 1'000'000;
inline constexpr Moment kSecond = 1'000'000'000;
inline constexpr Moment kNoMoment = INT64_MAX;

struct DriftingClock {
    std::int64_t offset = 0;  // what it showed when the world began, in ns
    std::int64_t ppm = 0;     // parts per million that it runs fast

    Instant at(Moment moment) const { return Instant(Duration(offset + moment + moment * ppm / 1'000'000)); }
    // The first moment at which it shows `instant` or later.
    Moment when(Instant instant) const {
        const std::int64_t elapsed = instant.time_since_epoch().count() - offset;
        Moment moment = elapsed * 1'000'000 / (1'000'000 + ppm);  // within rounding
        while (at(moment) < instant) ++moment;
        while (at(moment - 1) >= instant) --moment;
        return moment;
    }
};

}  // namespace carpd::sim
