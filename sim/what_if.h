// "What would my configuration do if ...": named scenarios played with several hosts' carpd.toml, many times
// with drawn moments, and what they mean for whoever uses the addresses (docs/simulation.md).
#pragma once

#include <string>
#include <vector>

namespace carpd::sim {

struct WhatIfOptions {
    std::vector<std::string> files;      // one for each host
    std::vector<std::string> scenarios;  // names; all if empty
    int runs = 200;                      // of each scenario
};

std::vector<std::string> scenario_names();

// Prints the story of every group and scenario. The exit code: 0, or 6 if a configuration is wrong or no two
// hosts share a group (as of carpd -n).
int what_if(const WhatIfOptions& options);

}  // namespace carpd::sim
