// `carpd ucarp`: what is done before the supervisor takes over. The options are config/ucarp_command.h's
// business, and docs/ucarp.md is for those who use it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/expected.h"
#include "carpd/keeper.h"
#include "config/config.h"
#include "linux/unique_fd.h"

namespace carpd {

// The arguments for ucarp, where carpd was called as `ucarp` or `carpd ucarp`; nothing if it wasn't.
std::optional<std::vector<std::string>> ucarp_words(int argc, const char* const* argv);

struct UcarpStart {
    std::shared_ptr<const Config> config;
    UniqueFd lock;  // to be kept
};

// Reads the options, takes the place of a process that serves the same vhid on the same interface, goes to
// the background if asked to, and logs to syslog from then on. The error is the exit code; what is to be said
// has been.
Expected<UcarpStart, int> begin_ucarp(const std::vector<std::string>& words);

// `carpd: helper`, which runs the scripts.
KeptProcess ucarp_helper_process();

}  // namespace carpd
