// So many at once, and from then on one in each interval.
#pragma once

#include <algorithm>

#include "base/time.h"

namespace carpd {

class RateLimit {
 public:
    constexpr RateLimit(int at_once, Duration interval)
        : ahead_(interval * (at_once - 1)), interval_(interval) {}

    // When the next one is possible.
    Instant free_at() const { return paid_until_ - ahead_; }
    bool take(Instant now) {
        if (now < free_at()) return false;
        paid_until_ = std::max(paid_until_, now) + interval_;
        return true;
    }

 private:
    Duration ahead_, interval_;
    Instant paid_until_{};
};

}  // namespace carpd
