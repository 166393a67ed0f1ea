// The one place where a clock is read.
#pragma once

#include <cstdint>
#include <string>

#include "base/time.h"

namespace carpd {

// CLOCK_BOOTTIME: monotonic, and it goes on while the host is suspended, so that a host that wakes up knows
// that its peers have long given it up.
Instant host_now();

// Wall-clock time, for people and for what they keep: RFC 3339 with milliseconds and the local offset, and
// milliseconds since 1970. Nothing may be decided by it.
std::string wall_clock();
std::uint64_t wall_clock_ms();

}  // namespace carpd
