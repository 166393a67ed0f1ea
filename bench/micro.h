// How fast the core is by itself, in one thread and without the kernel.
#pragma once

#include <nlohmann/json.hpp>

namespace carpd::bench {

// Rates of verified advertisements, of bare HMACs and of a MASTER's timers, each the median of rounds that
// take turns. Prints them; returns {"figures": […], "goals": […]}.
nlohmann::json micro();

}  // namespace carpd::bench
