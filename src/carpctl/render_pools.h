// Pools of hosts that balance load, as text for an administrator. As carpctl/render.h is.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "carpctl/render.h"

namespace carpd {

// Of each of the status's pools: what it is, its carpnodes, and the hosts with their shares.
std::string render_pools(const nlohmann::ordered_json& status, const Paint& paint);

// The answer to a client request, in sentences.
std::string render_client(const nlohmann::ordered_json& answer, const Paint& paint);

}  // namespace carpd
