// One seed, and all that a person wants to know of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/batch.h"

namespace carpd::sim {

struct SeedOptions {
    std::uint64_t seed = 1;
    std::optional<std::vector<int>> faults;  // ids; all if not given
    bool verbose = false, shrink = false, digest = false;
    std::string pcap;  // path
};

// The worlds of CARP.
Worlds worlds();
// Runs one and prints what is asked for and, if a statement is broken, the whole story. True if all held.
bool run_seed(const SeedOptions& options);

}  // namespace carpd::sim
