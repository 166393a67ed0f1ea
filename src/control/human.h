// Numbers, and words that stand in JSON, as administrators read them.
#pragma once

#include <string>
#include <string_view>

#include "base/time.h"

namespace carpd {

// Two units at most, rounded down: "3.9 ms", "40 ms", "12.3 s", "4 min 9 s", "2 h 5 min", "3 d 4 h". Negative
// counts as 0.
std::string human_duration(Duration duration);

// Why a host's copy of the flows of its peers isn't complete (SyncProcessStatus::incomplete): "peers have not
// told all yet". A word that isn't known is its own explanation.
std::string_view explain_incomplete(std::string_view reason);

}  // namespace carpd
