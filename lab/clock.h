// Time in the lab, and patience: everything that is awaited has a deadline.
#pragma once

#include <chrono>
#include <thread>

namespace carpd::lab {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using Span = Clock::duration;
using namespace std::chrono_literals;

inline double to_ms(Span span) {
    return std::chrono::duration<double, std::milli>(span).count();
}
inline double to_seconds(Span span) {
    return std::chrono::duration<double>(span).count();
}

// Asks `condition` until it holds or `patience` is over; returns whether it held.
template <class Condition>
bool wait_until(Condition condition, Span patience, Span pause = 5ms) {
    const Time deadline = Clock::now() + patience;
    while (!condition()) {
        if (Clock::now() >= deadline) return false;
        std::this_thread::sleep_for(pause);
    }
    return true;
}

}  // namespace carpd::lab
