// Many seeds, on several cores, each core a process of its own: a core that aborts is a failed seed, not the
// end of the run.
#pragma once

#include <cstdint>

namespace carpd::sim {

struct BatchOptions {
    std::uint64_t first = 1, count = 500;
    int jobs = 1;
};

// Prints progress, failures and the sum. True if every statement held for every seed.
bool run_batch(const BatchOptions& options);

}  // namespace carpd::sim
