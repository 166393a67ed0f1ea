#include "linux/clock.h"

#include <ctime>

#include "base/assert.h"

namespace carpd {

Instant host_now() {
    timespec now;
    CARPD_ASSERT(clock_gettime(CLOCK_BOOTTIME, &now) == 0);
    return Instant(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}

}  // namespace carpd
