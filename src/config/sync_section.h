// The section [sync] of carpd.toml.
#pragma once

#include <string>
#include <string_view>

#include "config/config.h"
#include "config/reader.h"

namespace carpd {

// Whether it is a key of [sync].
bool is_sync_key(std::string_view key);
// Of one that stands in SyncConfig::tcp_states.
std::string_view tcp_state_name(std::uint8_t state);

// `node` is what stands under "sync", `file` has the groups. Sets config.sync of it, with an error if that is
// no good, and holds_secret. A relative key-file begins at `directory`. Without a name in the section the
// host's own is asked for.
void read_sync(Reader& reader, const toml::node& node, const std::string& directory,
               const InterfaceNames& interfaces, ConfigFile& file);

}  // namespace carpd
