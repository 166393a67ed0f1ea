// Always-on check of an invariant. A program that breaks one stops at once: its peer takes over, which beats
// going on with a state nobody designed.
#pragma once

#include <cstdio>
#include <cstdlib>

#define CARPD_ASSERT(condition)                                     \
    do {                                                            \
        if (!(condition)) [[unlikely]]                              \
            ::carpd::assert_failed(#condition, __FILE__, __LINE__); \
    } while (false)

namespace carpd {

[[noreturn]] inline void assert_failed(const char* condition, const char* file, int line) {
    std::fprintf(stderr, "carpd: broken invariant at %s:%d: %s\n", file, line, condition);
    std::abort();
}

}  // namespace carpd
