// One JSON object as a message between two of our processes, for the parsers of control/: its fields one by
// one, each of the right type and within its bounds or not at all. Nothing here throws.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "control/json.h"

namespace carpd::message {

inline constexpr std::uint64_t kAny = std::numeric_limits<std::uint64_t>::max();

// Each returns whether `object` has a fitting `key`.
inline bool read(const Json& object, const char* key, std::string& value) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_string()) return false;
    value = found->get<std::string>();
    return value.find('\0') == std::string::npos;  // no environment can hold one
}

inline bool read(const Json& object, const char* key, bool& value) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_boolean()) return false;
    value = found->get<bool>();
    return true;
}

template <class Number>
bool read_number(const Json& object, const char* key, Number& value, std::uint64_t most) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_number_unsigned()) return false;
    const auto number = found->get<std::uint64_t>();
    value = static_cast<Number>(number);
    return number <= most;
}

// The object, and what kind of message it is; an empty object if it is none.
inline std::pair<Json, std::string> open(std::string_view text) {
    Json object = Json::parse(text.begin(), text.end(), nullptr, false);
    std::string kind;
    const bool whole = text.find('\0') == std::string_view::npos;  // where the parser stops in silence
    if (!whole || !object.is_object() || !read(object, "message", kind)) return {Json::object(), ""};
    return {std::move(object), std::move(kind)};
}

}  // namespace carpd::message
