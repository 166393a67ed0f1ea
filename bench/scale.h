// What many groups cost a host that is MASTER, or BACKUP, of all of them.
#pragma once

#include <nlohmann/json.hpp>

namespace carpd::bench {

// Processor time and memory with 1 to 4000 groups, beside keepalived and ucarp on the same LANs. Prints them;
// returns {"figures": […], "received": […], "goals": […]}. Needs root.
nlohmann::json scale();

}  // namespace carpd::bench
