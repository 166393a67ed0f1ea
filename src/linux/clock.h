// The one place where a clock is read.
#pragma once

#include "base/time.h"

namespace carpd {

// CLOCK_BOOTTIME: monotonic, and it goes on while the host is suspended, so that a host that wakes up knows
// that its peers have long given it up.
Instant host_now();

}  // namespace carpd
