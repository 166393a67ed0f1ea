// Flows as `carpctl sync flows` shows them: JSON, a line each. Keys are a promise, as those of
// control/status.h are (docs/man/carpctl.8).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "wire/flow.h"

namespace carpd {

// `owner` is the host that owns it, by its name. Of protocols and states without a name the number is given.
std::string sync_flow_line(const Flow& flow, std::string_view owner);
// The last line, behind `count` flows.
std::string sync_flows_end(std::uint64_t count);

}  // namespace carpd
