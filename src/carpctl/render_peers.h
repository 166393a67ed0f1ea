// Who of a group's hosts hears whom, as text for an administrator. As carpctl/render.h is.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "carpctl/long_status.h"
#include "carpctl/render.h"

namespace carpd {

// Of each of the status's groups a table: a line for each host, a column for each that it may hear. Below it
// what is wrong.
std::string render_peers(const LongStatus& status, const Paint& paint);
// One of a host's "trouble", in a sentence; `host` is an element of a group's "hosts".
std::string explain_trouble(const nlohmann::ordered_json& host, std::string_view trouble);

}  // namespace carpd
