#include "linux/watchdog.h"

#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.h"

namespace carpd {

Expected<Watchdog, SysError> Watchdog::open() {
    UniqueFd timer(timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC));
    if (!timer) return Unexpected{SysError{"create a timer", "", errno}};
    return Watchdog(std::move(timer));
}

void Watchdog::arm(Instant at) {
    // A time that has passed expires at once; zero would disarm it.
    const Duration time = std::max(at.time_since_epoch(), Duration(1));
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
    itimerspec spec{};
    spec.it_value = {seconds.count(), (time - seconds).count()};
    CARPD_ASSERT(timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr) == 0);
}

void Watchdog::disarm() {
    const itimerspec never{};
    CARPD_ASSERT(timerfd_settime(timer_.get(), 0, &never, nullptr) == 0);
}

bool Watchdog::is_armed() const {
    itimerspec left;
    CARPD_ASSERT(timerfd_gettime(timer_.get(), &left) == 0);
    return left.it_value.tv_sec != 0 || left.it_value.tv_nsec != 0;
}

bool Watchdog::expired() {
    std::uint64_t times;
    return read(timer_.get(), &times, sizeof times) == sizeof times;
}

}  // namespace carpd
