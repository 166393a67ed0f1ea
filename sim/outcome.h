// What comes of a world, of whatever kind.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "sim/moment.h"

namespace carpd::sim {

struct Violation {
    std::string checker;
    int group = -1;  // or connection, where worlds have those; -1: none
    std::string statement;
    Moment at = 0;
};

struct Outcome {
    std::optional<Violation> violation;
    std::uint64_t digest = 0;  // of all that happened, in order
    std::uint64_t events = 0;
    Moment virtual_time = 0;
    // What its kind of worlds counts, for the sum of many.
    std::array<std::uint64_t, 12> tallies{};
};

// FNV-1a over 64-bit words, with a rotation, since the multiplication alone only moves bits up.
class Digest {
 public:
    void record(std::uint64_t what, std::uint64_t where, std::uint64_t detail) {
        for (const std::uint64_t word : {what << 8 | where, detail}) {
            value_ = (value_ ^ word) * 0x100000001b3;
            value_ = value_ << 29 | value_ >> 35;
        }
    }
    std::uint64_t value() const { return value_; }

 private:
    std::uint64_t value_ = 0xcbf29ce484222325;
};

}  // namespace carpd::sim
