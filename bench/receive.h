// How many advertisements a second get through the kernel, the socket and the engine.
#pragma once

#include <nlohmann/json.hpp>

namespace carpd::bench {

// Floods a BACKUP with authentic advertisements, faster each time, until one is lost. Prints what got
// through; returns the figures. Needs root.
nlohmann::json receive();

}  // namespace carpd::bench
