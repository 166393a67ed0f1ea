// The time in a change's line (control/status.h), back to a number. Lines live longer than a boot of the host
// and a time zone, so only this tells two of them apart in time.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace carpd {

// "2026-11-27T03:12:04.567+01:00", or with Z: milliseconds since 1970. Nothing if it is none.
std::optional<std::int64_t> parse_wall_time(std::string_view text);

}  // namespace carpd
