// What a [[group]] with carpnodes says of its pool (docs/protocol/balance.md): carpnodes, balancing, hash and
// weights.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string_view>

#include "balance/types.h"
#include "config/reader.h"

namespace carpd {

inline constexpr std::array<std::string_view, 4> kPoolKeys = {"carpnodes", "balancing", "hash", "weights"};

// Whether no other group of the interface has the vhid; if one has, that is an error at `at`.
using ClaimVhid = std::function<bool(std::uint8_t vhid, Position at)>;

// Nothing if `table` has no carpnodes, or wrong ones. The pool's name is the caller's to set.
std::optional<BalanceConfig> read_pool(Reader& reader, const toml::table& table, DataPlaneChoice dataplane,
                                       const ClaimVhid& claim_vhid);

// The groups of `pool`, one for each carpnode; the rest they have from `common`, whose name is the pool's.
std::vector<GroupConfig> groups_of(BalanceConfig pool, const GroupConfig& common);

}  // namespace carpd
