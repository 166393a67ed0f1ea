// A request to a control socket, of which there are two (control/request.h, control/sync_request.h): one JSON
// object a line, with a command and what that command takes. Nothing here throws or trusts.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/expected.h"
#include "control/json.h"

namespace carpd::request {

inline std::optional<std::string> read_text(const Json& object, const char* key) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_string()) return std::nullopt;
    return found->get<std::string>();
}

// The object and its command. The error is a sentence for the one who asked.
inline Expected<std::pair<Json, std::string>, std::string> open(std::string_view line) {
    Json object = Json::parse(line.begin(), line.end(), nullptr, false);
    const bool whole_line = line.find('\0') == std::string_view::npos;  // where the parser stops in silence
    if (!object.is_object() || !whole_line)
        return Unexpected{std::string("the request is not a JSON object")};
    auto command = read_text(object, "command");
    if (!command) return Unexpected{std::string("the request has no command")};
    return std::pair{std::move(object), std::move(*command)};
}

// A key that isn't "command" and none of `known`, if there is one.
inline std::optional<std::string> unknown_field(const Json& object, std::span<const std::string_view> known) {
    for (const auto& [key, value] : object.items())
        if (key != "command" && (key.empty() || std::find(known.begin(), known.end(), key) == known.end()))
            return key;
    return std::nullopt;
}

}  // namespace carpd::request
