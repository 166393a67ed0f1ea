// JSON as our processes and carpctl say it to one another: keys in the order in which they were put, on one
// line.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace carpd {

using Json = nlohmann::ordered_json;

// What isn't UTF-8 is shown as U+FFFD instead of failing.
inline std::string dump(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace carpd
