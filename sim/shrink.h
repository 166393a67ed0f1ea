// The fewest faults that still break the same statement (delta debugging, Zeller and Hildebrandt 2002).
#pragma once

#include <vector>

#include "sim/world.h"

namespace carpd::sim {

// `faults`: ids with which `plan` breaks `checker`'s statement. What is returned does so too, and no longer
// if any one of it is left out.
std::vector<int> shrink(const Plan& plan, std::vector<int> faults, const std::string& checker);

}  // namespace carpd::sim
