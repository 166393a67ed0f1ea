// A small deterministic generator (splitmix64, Steele, Lea, Flood 2014): the same seed means the same run on
// every compiler. Not for secrets; the driver seeds it from getrandom(2).
#pragma once

#include <cstdint>

namespace carpd {

class Random {
 public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return z ^ z >> 31;
    }

 private:
    std::uint64_t state_;
};

}  // namespace carpd
