// The [[hook]] sections of carpd.toml.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/reader.h"

namespace carpd {

// `node` is what stands under "hook", `groups` has the names of the file's groups. Those without an error.
std::vector<HookConfig> read_hooks(Reader& reader, const toml::node& node, const GroupNames& groups);

}  // namespace carpd
