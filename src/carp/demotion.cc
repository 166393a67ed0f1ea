#include "carp/demotion.h"

#include <algorithm>

#include "base/assert.h"

namespace carpd {

bool DemotionCounter::set(std::string_view name, int amount) {
    CARPD_ASSERT(-kMaxAmount <= amount && amount <= kMaxAmount);
    const std::uint8_t before = value();
    auto found = std::find_if(contributions_.begin(), contributions_.end(),
                              [name](const Contribution& c) { return c.name == name; });
    if (found != contributions_.end())
        found->amount = amount;
    else if (amount != 0)
        contributions_.push_back({std::string(name), amount});
    erase_if(contributions_, [](const Contribution& c) { return c.amount == 0; });
    CARPD_ASSERT(contributions_.size() <= kMaxContributions);
    return value() != before;
}

std::uint8_t DemotionCounter::value() const {
    int sum = 0;
    for (const Contribution& c : contributions_) sum += c.amount;
    return static_cast<std::uint8_t>(std::clamp(sum, 0, kMaxAmount));
}

int DemotionCounter::amount(std::string_view name) const {
    for (const Contribution& c : contributions_)
        if (c.name == name) return c.amount;
    return 0;
}

}  // namespace carpd
