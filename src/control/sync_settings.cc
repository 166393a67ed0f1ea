#include "control/sync_settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "config/values.h"
#include "control/message_fields.h"

namespace carpd {

namespace {

using message::read, message::read_number;

constexpr std::uint64_t kLongest = std::chrono::nanoseconds(std::chrono::hours(1)).count();

template <class Value>
Json texts(const std::vector<Value>& values) {
    Json list = Json::array();
    for (const Value& value : values) list.push_back(value.to_string());
    return list;
}

std::string hex(const Secret& secret) {
    return fmt::format("{:02x}", fmt::join(secret, ""));
}

std::uint64_t nanoseconds(Duration duration) {
    return static_cast<std::uint64_t>(std::chrono::nanoseconds(duration).count());
}

bool read_duration(const Json& object, const char* key, Duration& value) {
    std::uint64_t count = 0;
    if (!read_number(object, key, count, kLongest)) return false;
    value = std::chrono::nanoseconds(count);
    return true;
}

bool read_secret(const Json& object, const char* key, Secret& value) {
    std::string digits;
    return read(object, key, digits) && read_hex(digits, value);
}

bool read_name(const Json& object, HostName& value) {
    std::string text;
    const auto name = read(object, "name", text) ? HostName::from(text) : std::nullopt;
    if (name) value = *name;
    return name.has_value();
}

// `parse` makes of an element what it has the value of, or nothing.
template <class Value, class Parse>
bool read_list(const Json& object, const char* key, std::vector<Value>& values, Parse parse) {
    const auto list = object.find(key);
    if (list == object.end() || !list->is_array()) return false;
    for (const Json& element : *list) {
        const auto value = parse(element);
        if (!value) return false;
        values.push_back(*value);
    }
    return true;
}

std::optional<std::string> text_of(const Json& element) {
    return element.is_string() ? std::optional(element.get<std::string>()) : std::nullopt;
}

std::optional<IpAddress> address_of(const Json& element) {
    return element.is_string() ? IpAddress::parse(element.get<std::string>()) : std::nullopt;
}

std::optional<InterfaceAddress> prefix_of(const Json& element) {
    if (!element.is_string()) return std::nullopt;
    const auto prefix = parse_prefix("", element.get<std::string>());
    return prefix ? std::optional(*prefix) : std::nullopt;
}

template <class Number>
std::optional<Number> number_of(const Json& element) {
    if (!element.is_number_unsigned()) return std::nullopt;
    const auto number = element.get<std::uint64_t>();
    if (number > std::numeric_limits<Number>::max()) return std::nullopt;
    return static_cast<Number>(number);
}

bool read_keys(const Json& object, SyncKeys& keys) {
    if (!read_secret(object, "key", keys.first)) return false;
    return !object.contains("accept_key") || read_secret(object, "accept_key", keys.second.emplace());
}

bool read_config(const Json& object, SyncConfig& config) {
    return read_name(object, config.name) && read(object, "interface", config.interface) &&
           read_number(object, "port", config.port, 65535) &&
           read_list(object, "peers", config.peers, address_of) && config.peers.size() <= kMostSyncPeers &&
           read(object, "peer_routed", config.peer_routed) && read_keys(object, config.keys) &&
           read_duration(object, "dead_after_ns", config.dead_after) &&
           read_duration(object, "commit_wait_ns", config.commit_wait) &&
           read_number(object, "max_flows", config.max_flows, std::numeric_limits<std::uint32_t>::max()) &&
           read(object, "commit_at_takeover", config.commit_at_takeover) &&
           read_list(object, "ignored", config.ignored, prefix_of) &&
           read_list(object, "protocols", config.protocols, number_of<std::uint8_t>) &&
           read_list(object, "zones", config.zones, number_of<std::uint16_t>) &&
           read_list(object, "tcp_states", config.tcp_states, number_of<std::uint8_t>) &&
           read_list(object, "defer", config.defer, text_of) && config.defer.size() <= kMostDeferring &&
           read_duration(object, "defer_wait_ns", config.defer_wait);
}

}  // namespace

SyncSettings sync_settings(const Config& config) {
    SyncSettings result{*config.sync, {}};
    for (const GroupConfig& group : config.groups)
        for (const InterfaceAddress& a : group.addresses) result.virtual_addresses.push_back(a.address);
    std::sort(result.virtual_addresses.begin(), result.virtual_addresses.end());
    return result;
}

std::string to_message(const SyncSettings& settings) {
    // All fields that there are, so that none can be added and forgotten here.
    const auto& [name, interface, port, peers, peer_routed, keys, dead_after, commit_wait, max_flows,
                 commit_at_takeover, ignored, protocols, zones, tcp_states, defer, defer_wait] =
        settings.config;
    Json json{{"message", "settings"},
              {"name", name.view()},
              {"interface", interface},
              {"port", port},
              {"peers", texts(peers)},
              {"peer_routed", peer_routed},
              {"key", hex(keys.first)},
              {"dead_after_ns", nanoseconds(dead_after)},
              {"commit_wait_ns", nanoseconds(commit_wait)},
              {"max_flows", max_flows},
              {"commit_at_takeover", commit_at_takeover},
              {"ignored", texts(ignored)},
              {"protocols", protocols},
              {"zones", zones},
              {"tcp_states", tcp_states},
              {"defer", defer},
              {"defer_wait_ns", nanoseconds(defer_wait)},
              {"virtual", texts(settings.virtual_addresses)}};
    if (keys.second) json["accept_key"] = hex(*keys.second);
    return dump(json);
}

std::optional<SyncSettings> read_sync_settings(const Json& object) {
    SyncSettings settings;
    if (!read_config(object, settings.config) ||
        !read_list(object, "virtual", settings.virtual_addresses, address_of) ||
        !std::is_sorted(settings.virtual_addresses.begin(), settings.virtual_addresses.end()))
        return std::nullopt;
    return settings;
}

}  // namespace carpd
