// What carpd says of itself, as metrics. Names, labels and meanings are a promise (docs/man/carpd.8): added
// freely, never renamed. Pure.
#pragma once

#include <string>

#include "control/json.h"

namespace carpd {

// Of the engine's answer to a status request, and that of `carpd: sync`, or null if it doesn't answer or
// isn't configured. Throws (nlohmann::json::exception) if one isn't such an answer.
std::string metrics_of(const Json& status, const Json& sync);
// While the engine doesn't answer: that it doesn't, and no more.
std::string metrics_without_engine();

}  // namespace carpd
