#include "linux/clock.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <ctime>

#include "base/assert.h"

namespace carpd {

Instant host_now() {
    timespec now;
    CARPD_ASSERT(clock_gettime(CLOCK_BOOTTIME, &now) == 0);
    return Instant(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}

std::string wall_clock() {
    const std::uint64_t ms = wall_clock_ms();
    const auto seconds = static_cast<std::time_t>(ms / 1000);
    const std::string zone = fmt::format("{:%z}", fmt::localtime(seconds));  // +0100
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}{}:{}", fmt::localtime(seconds), ms % 1000,
                       zone.substr(0, 3), zone.substr(3));
}

std::uint64_t wall_clock_ms() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

}  // namespace carpd
