// The JSON of state synchronisation (control/sync_status.h, control/sync_flow.h) as text for an
// administrator, as carpctl/render.h does it for the groups: pure, and throws what that throws.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "carpctl/render.h"

namespace carpd {

// The host, a table with a line per peer, and below it what needs attention.
std::string render_sync_status(const nlohmann::ordered_json& status, const Paint& paint);
// A flow, without a newline:
//   tcp  ESTABLISHED 10.0.0.2:4711 -> 198.51.100.7:443 (as 192.0.2.100:4711) 299 s  fw1
std::string render_sync_flow(const nlohmann::ordered_json& flow, const Paint& paint);

}  // namespace carpd
