// The [[track]] sections of carpd.toml.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/reader.h"

namespace carpd {

inline constexpr std::size_t kMostTracks = 256;  // in a file; of one group Node::kMaxTracks

// `node` is what stands under "track", `groups` has the names of the file's groups. Those without an error.
std::vector<TrackConfig> read_tracks(Reader& reader, const toml::node& node, const GroupNames& groups);

}  // namespace carpd
