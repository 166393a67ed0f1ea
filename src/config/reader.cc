#include "config/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "config/nearest.h"

namespace carpd {

namespace {

constexpr int kMostDelay = 3600;  // seconds

std::string meant_group(const std::string& name, const GroupNames& known) {
    std::vector<std::string_view> names;
    for (const auto& [group, what] : known) names.push_back(group);
    if (const auto meant = nearest(name, names); !meant.empty())
        return fmt::format("did you mean '{}'?", meant);
    return "write the name of a [[group]]";
}

std::vector<std::string> groups_called(const GroupNames::value_type& name) {
    return name.second.is_pool ? name.second.carpnodes : std::vector{name.first};
}

ConfigErrors sorted(ConfigErrors errors) {
    const auto by_position = [](const ConfigError& a, const ConfigError& b) { return a.at < b.at; };
    std::stable_sort(errors.begin(), errors.end(), by_position);
    return errors;
}

}  // namespace

std::vector<std::string_view> names_of_sections(const GroupNames& names) {
    std::vector<std::string_view> result;
    for (const auto& [name, what] : names)
        if (!what.is_carpnode) result.push_back(name);
    return result;
}

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

std::optional<Duration> Reader::seconds(const toml::node& node, std::string_view key, Duration least,
                                        Duration most) {
    constexpr double kSecond = 1e9;
    const double from = static_cast<double>(least.count()) / kSecond;
    const double to = static_cast<double>(most.count()) / kSecond;
    const auto value = node.value<double>();  // of a whole number, too
    if (!value || !node.is_number()) {
        fail(position_of(node), fmt::format("{} is {}", key, type_name(node)),
             fmt::format("it must be a number of seconds, {} to {}", from, to));
        return std::nullopt;
    }
    if (!(*value >= from && *value <= to)) {  // nor nan
        fail(position_of(node), fmt::format("{} {} is out of range", key, *value),
             fmt::format("it must be {} to {} seconds", from, to));
        return std::nullopt;
    }
    return std::chrono::milliseconds(std::llround(*value * 1000));
}

std::optional<std::string> Reader::interface(const toml::node& node, const InterfaceNames& existing) {
    auto name = text(node, "interface");
    if (!name) return std::nullopt;
    if (const auto complaint = check_interface(*name)) {
        fail(position_of(node), *complaint);
        return std::nullopt;
    }
    if (existing && std::find(existing->begin(), existing->end(), *name) == existing->end())
        fail(position_of(node), fmt::format("there is no interface '{}'", *name),
             fmt::format("there are: {}", fmt::join(*existing, ", ")));
    return name;
}

const toml::array* Reader::list(const toml::node& node, std::string_view key, std::string_view of) {
    if (const auto* array = node.as_array()) return array;
    fail(position_of(node), fmt::format("{} is {}", key, type_name(node)),
         fmt::format("it must be a list of {} in [ ]", of));
    return nullptr;
}

const toml::array* Reader::filled_list(const toml::node& node, std::string_view key,
                                       std::string_view if_empty, std::string_view of) {
    const toml::array* array = list(node, key, of);
    if (array == nullptr || !array->empty()) return array;
    fail(position_of(node), fmt::format("{} is empty", key), std::string(if_empty));
    return nullptr;
}

std::vector<std::string> Reader::group_names(const toml::node& node, const GroupNames& known) {
    std::vector<std::string> names;
    const toml::array* array = filled_list(node, "groups", "leave it out for all groups");
    if (array == nullptr) return names;
    for (const toml::node& element : *array) {
        const auto name = text(element, "a group");
        if (!name) continue;
        const auto found = known.find(*name);
        if (found == known.end()) {
            fail(position_of(element), fmt::format("there is no group '{}'", *name),
                 meant_group(*name, known));
            continue;
        }
        for (const std::string& group : groups_called(*found))
            if (std::find(names.begin(), names.end(), group) != names.end())
                fail(position_of(element), fmt::format("group '{}' is given twice", group));
            else
                names.push_back(group);
    }
    return names;
}

std::vector<std::string> Reader::command(const toml::node& node, std::string_view key) {
    std::vector<std::string> words;
    if (node.is_string()) {
        fail(position_of(node), fmt::format("{} is a string", key),
             "no shell reads it: write the program and its arguments as a list, or [\"/bin/sh\", \"-c\", "
             "\"...\"]");
        return words;
    }
    const toml::array* array = filled_list(node, key, "it needs a program at least");
    if (array == nullptr) return words;
    for (const toml::node& element : *array) {
        const auto word = text(element, fmt::format("a word of the {}", key));
        if (!word) continue;
        if (word->find('\0') != std::string::npos)
            fail(position_of(element), fmt::format("a word of the {} contains a zero byte", key),
                 "no program can be given one");
        words.push_back(*word);
    }
    if (!words.empty() && !words.front().starts_with('/'))
        fail(position_of(array->front()),
             fmt::format("the program '{}' is not an absolute path", words.front()),
             "write where it is, like /usr/local/sbin/notify");
    return words;
}

const toml::array* Reader::sections(const toml::node& node, std::string_view key) {
    const toml::array* array = node.as_array();
    const auto is_table = [](const toml::node& element) { return element.is_table(); };
    if (array != nullptr && std::all_of(array->begin(), array->end(), is_table)) return array;
    fail(position_of(node),
         node.is_table() ? fmt::format("[{}] is written with single brackets", key)
                         : fmt::format("{} is not a section", key),
         fmt::format("begin every {} with [[{}]]", key, key));
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
