// Randomness for the simulator: base/random.h's generator with distributions of our own, in integers only, so
// that a seed means the same world on every compiler and machine.
#pragma once

#include <cstdint>

#include "base/assert.h"
#include "base/random.h"

namespace carpd::sim {

class Dice {
 public:
    explicit Dice(std::uint64_t seed) : random_(seed) {}

    std::uint64_t next() { return random_.next(); }
    // 0..count-1. The modulo's bias is at most count / 2^64.
    std::uint64_t below(std::uint64_t count) {
        CARPD_ASSERT(count > 0);
        return random_.next() % count;
    }
    // low..high, both included.
    std::int64_t between(std::int64_t low, std::int64_t high) {
        return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
    }
    bool one_in(std::uint64_t count) { return below(count) == 0; }
    bool permille(std::uint64_t chance) { return below(1000) < chance; }
    // low..high, every doubling equally likely: for what spans milliseconds to minutes.
    std::int64_t scaled(std::int64_t low, std::int64_t high) {
        std::int64_t doublings = 0;
        while ((low << (doublings + 1)) <= high) ++doublings;
        const std::int64_t floor = low << between(0, doublings);
        return between(floor, floor * 2 < high ? floor * 2 : high);
    }

 private:
    Random random_;
};

// The seed of an independent stream, so that drawing more for one purpose moves nothing else.
inline std::uint64_t stream(std::uint64_t seed, std::uint64_t purpose) {
    return Random(seed + purpose * 0x632be59bd9b4e019).next();
}

}  // namespace carpd::sim
