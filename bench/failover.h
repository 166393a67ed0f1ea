// How long clients miss an address when its master fails.
#pragma once

#include <nlohmann/json.hpp>

namespace carpd::bench {

// Outages on five kinds of failure, each program with the fastest setting that stays stable on this machine
// while both its cores are busy; then the takeover of 4000 groups by carpd. Prints them; returns
// {"outages": […], "takeovers": […], "goals": […]}. Needs root.
nlohmann::json failover();

}  // namespace carpd::bench
