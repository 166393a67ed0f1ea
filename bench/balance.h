// What load balancing costs and how well it does.
#pragma once

#include <nlohmann/json.hpp>

namespace carpd::bench {

// The acceptance filter beside others, the change of an owner, how evenly clients are spread, and what they
// notice when a host of three fails or is drained. Prints it; returns {"acceptance": […], "changes": […],
// "evenness": […], "kills": […], "drains": […], "goals": […]}. Needs root.
nlohmann::json balance();

}  // namespace carpd::bench
