// Times as an operator types them.
#pragma once

#include <ctime>
#include <optional>
#include <string>

#include "base/time.h"

namespace carpd {

// "90s", "30m", "2h", "1d" or a number of seconds; at least 1 s and at most a year. Nothing if it is none of
// these.
std::optional<Duration> parse_span(const std::string& text);

// From `now` until the next time that clocks here show "04:00" or "04:00:30", or until "2026-12-01 04:00" or
// "2026-12-01T04:00:30"; with the limits of a span. Nothing if it is none of these, or past.
std::optional<Duration> parse_until(const std::string& text, std::time_t now);

// The last time that clocks here showed "03:12" or "03:12:04", or that moment as above; at most a year ago.
// Nothing if it is none of these, or to come.
std::optional<std::time_t> parse_past(const std::string& text, std::time_t now);

}  // namespace carpd
