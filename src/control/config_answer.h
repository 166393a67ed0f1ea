// The configuration that a daemon runs with as JSON: its answer to {"command":"config"}, and what
// `carpctl -j config show` prints of a file (docs/man/carpctl.8). Without secrets, as config/description.h
// has it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/description.h"
#include "control/json.h"

namespace carpd {

// The answer in parts that are one line together, as that of a status: head, sections with commas between
// them, tail. `file` is the path that a reload reads.
std::string config_head(std::string_view file);
// What stands there instead of a path where carpd runs as ucarp, and there is no file.
inline constexpr std::string_view kUcarpCommandLine = "the command line of ucarp";
std::string to_json_text(const Section& section);
inline constexpr std::string_view kConfigTail = "]}";

// The sections of such an answer. Throws nlohmann::json::exception if it is none.
std::vector<Section> read_sections(const Json& answer);

}  // namespace carpd
