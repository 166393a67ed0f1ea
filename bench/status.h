// How long an operator, or a monitoring system, waits for the status of thousands of groups.
#pragma once

#include <nlohmann/json.hpp>

namespace carpd::bench {

// `carpctl status` and `carpctl peers`, both also with -j, of a MASTER of 4000 groups that each know two
// other hosts by their beacons, in turn, from the program's start to its end. Prints them; returns
// {"figures": […], "goals": […]}. Needs root.
nlohmann::json status();

}  // namespace carpd::bench
