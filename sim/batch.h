// Many seeds, on several cores, each core a process of its own: a core that aborts is a failed seed, not the
// end of the run.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/outcome.h"

namespace carpd::sim {

struct BatchOptions {
    std::uint64_t first = 1, count = 500;
    int jobs = 1;
};

// A kind of worlds.
struct Worlds {
    std::string command;  // that replays one: its seed follows
    std::function<Outcome(std::uint64_t seed)> run;
    std::function<void(std::uint64_t seed)> print;  // one that breaks a statement, with its story
    std::vector<std::string> tallies;               // the names of Outcome's
};

// Prints progress, failures and the sum. True if every statement held for every seed.
bool run_batch(const BatchOptions& options, const Worlds& worlds);

}  // namespace carpd::sim
