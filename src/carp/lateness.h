#pragma once

#include <cstdint>

#include "base/time.h"

namespace carpd {

// How much later than asked for Node::handle_timer() was called: a host that is too busy, or that stood
// still. Whoever is later than the others' patience loses its groups.
struct Lateness {
    static constexpr Duration kCounted = std::chrono::milliseconds(10);  // less is how computers are
    struct Case {
        Duration late{0};
        Instant at{};
        bool operator==(const Case&) const = default;
    };
    std::uint64_t count = 0;  // of the calls that came later than kCounted
    Case last, worst;         // of these
    bool operator==(const Lateness&) const = default;
};

}  // namespace carpd
