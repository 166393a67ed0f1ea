#include "config/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/nearest.h"

namespace carpd {

namespace {

constexpr int kMostDelay = 3600;  // seconds

ConfigErrors sorted(ConfigErrors errors) {
    const auto by_position = [](const ConfigError& a, const ConfigError& b) { return a.at < b.at; };
    std::stable_sort(errors.begin(), errors.end(), by_position);
    return errors;
}

}  // namespace

Position position_of(const toml::source_region& source) {
    return {source.begin.line, source.begin.column};
}
Position position_of(const toml::node& node) {
    return position_of(node.source());
}

std::string_view type_name(const toml::node& node) {
    switch (node.type()) {
        case toml::node_type::string: return "a string";
        case toml::node_type::integer: return "a whole number";
        case toml::node_type::floating_point: return "a number with a fraction";
        case toml::node_type::boolean: return "true or false";
        case toml::node_type::array: return "a list";
        case toml::node_type::table: return "a table";
        default: return "a date or time";
    }
}

void Reader::fail(Position at, std::string message, std::string hint) {
    errors_.push_back({at, std::move(message), std::move(hint)});
}

void Reader::warn(Position at, std::string message, std::string hint) {
    warnings_.push_back({at, std::move(message), std::move(hint)});
}

ConfigErrors Reader::errors() const {
    return sorted(errors_);
}

ConfigErrors Reader::warnings() const {
    return sorted(warnings_);
}

std::optional<std::string> Reader::text(const toml::node& node, std::string_view what) {
    if (const auto* value = node.as_string()) return value->get();
    fail(position_of(node), fmt::format("{} is {}", what, type_name(node)), "it must be a string in quotes");
    return std::nullopt;
}

std::optional<bool> Reader::flag(const toml::table& table, std::string_view key) {
    const toml::node* node = table.get(key);
    if (node == nullptr) return std::nullopt;
    if (const auto* value = node->as_boolean()) return value->get();
    fail(position_of(*node), fmt::format("{} is {}", key, type_name(*node)),
         "it must be true or false, without quotes");
    return std::nullopt;
}

std::optional<int> Reader::number(const toml::node& node, std::string_view key, int least, int most) {
    const auto* value = node.as_integer();
    if (value == nullptr) {
        fail(position_of(node), fmt::format("{} is {}", key, type_name(node)),
             fmt::format("it must be a whole number, {} to {}", least, most));
        return std::nullopt;
    }
    if (value->get() < least || value->get() > most) {
        fail(position_of(node), fmt::format("{} {} is out of range", key, value->get()),
             fmt::format("it must be {} to {}", least, most));
        return std::nullopt;
    }
    return static_cast<int>(value->get());
}

Duration Reader::delay(const toml::table& table, std::string_view key) {
    const toml::node* node = table.get(key);
    return std::chrono::seconds(node != nullptr ? number(*node, key, 0, kMostDelay).value_or(0) : 0);
}

const toml::array* Reader::list(const toml::node& node, std::string_view key) {
    if (const auto* array = node.as_array()) return array;
    fail(position_of(node), fmt::format("{} is {}", key, type_name(node)),
         "it must be a list of strings in [ ]");
    return nullptr;
}

void Reader::refuse_unknown_keys(const toml::table& table, std::span<const std::string_view> known,
                                 std::string (*place_of)(std::string_view)) {
    for (const auto& [key, value] : table) {
        if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
        std::string hint;
        if (const auto meant = nearest(key.str(), known); !meant.empty())
            hint = fmt::format("did you mean '{}'?", meant);
        else if (place_of != nullptr)
            hint = place_of(key.str());
        fail(position_of(key.source()), fmt::format("unknown key '{}'", key.str()), hint);
    }
}

}  // namespace carpd
