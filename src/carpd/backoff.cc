#include "carpd/backoff.h"

#include <algorithm>

namespace carpd {

Duration Backoff::after(Duration lived) {
    constexpr Duration kHealthy = std::chrono::seconds(60), kMost = std::chrono::seconds(10),
                       kLeast = std::chrono::milliseconds(100);
    if (lived >= kHealthy) next_ = Duration(0);
    const Duration delay = next_;
    next_ = std::clamp(2 * delay, kLeast, kMost);
    return delay;
}

}  // namespace carpd
