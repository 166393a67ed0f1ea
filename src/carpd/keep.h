// A configuration that is kept for long.
#pragma once

#include <memory>

#include "config/config.h"

namespace carpd {

// What `file` says, in memory of its own. Parsing a file takes many times what is left of it, and what is
// left lies above what is free: a copy fills the free space instead, and the system can get back the rest.
// Call give_back_memory() (linux/process.h) when also what was kept before is gone: with thousands of groups
// that is most of the memory, of two processes.
std::shared_ptr<const Config> keep(ConfigFile file);

}  // namespace carpd
