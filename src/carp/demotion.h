// Why a host is a worse master than its advskew says: a set of named contributions. Each has an owner who
// sets it and clears it; the sum is computed, never added to, so no number can be left behind.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/few.h"

namespace carpd {

class DemotionCounter {
 public:
    struct Contribution {
        std::string name;
        int amount;
        bool operator==(const Contribution&) const = default;
    };
    static constexpr std::size_t kMaxContributions = 128;
    static constexpr int kMaxAmount = 255;

    // Sets the contribution `name` to `amount` (-255..255; a negative one offsets others); 0 removes it.
    // Returns whether value() changed. One more than kMaxContributions is a broken invariant: their number is
    // kept by those who set them.
    bool set(std::string_view name, int amount);

    // The sum, within 0..255: byte 4 of our advertisements (rule M1).
    std::uint8_t value() const;
    int amount(std::string_view name) const;
    const Few<Contribution>& contributions() const { return contributions_; }

 private:
    Few<Contribution> contributions_;
};

}  // namespace carpd
