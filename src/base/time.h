// Time as values. The core is told what time it is and answers when it wants to be called again; HostClock
// has no now(), so code that tries to read a clock does not compile. The one reader of the real clock is
// linux/clock.h.
#pragma once

#include <chrono>
#include <cstdint>

namespace carpd {

using Duration = std::chrono::nanoseconds;

// A host's monotonic clock that goes on during suspend (CLOCK_BOOTTIME on Linux). Never wall-clock time.
struct HostClock {
    using rep = std::int64_t;
    using period = std::nano;
    using duration = Duration;
    using time_point = std::chrono::time_point<HostClock>;
    static constexpr bool is_steady = true;
};

using Instant = HostClock::time_point;

// The deadline of a timer that isn't running.
inline constexpr Instant kNever = Instant::max();

constexpr std::int64_t milliseconds(Duration d) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
}

}  // namespace carpd
