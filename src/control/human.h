// Numbers as administrators read them.
#pragma once

#include <string>

#include "base/time.h"

namespace carpd {

// Two units at most, rounded down: "3.9 ms", "40 ms", "12.3 s", "4 min 9 s", "2 h 5 min", "3 d 4 h". Negative
// counts as 0.
std::string human_duration(Duration duration);

}  // namespace carpd
