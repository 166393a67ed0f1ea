// What state synchronisation can't be faster than: the kernel's own speed with the sockets of src/linux.
#pragma once

#include <nlohmann/json.hpp>

namespace carpd::bench {

// Creates, dumps, hears of and removes flows in a namespace of its own. Prints the medians; returns the rows.
nlohmann::json kernel_limits();

}  // namespace carpd::bench
