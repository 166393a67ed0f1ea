// How the log speaks of refused packets.
#pragma once

#include <string_view>

#include "linux/log.h"
#include "wire/drop_reason.h"

namespace carpd {

struct Refusal {
    LogLevel level;
    std::string_view phrase;
};

// `ours`: the packet named one of our groups. What is normal on a shared network is a debug message; what
// keeps a group from its peers, or from its MAC, is a warning.
Refusal refusal(DropReason reason, bool ours);

}  // namespace carpd
