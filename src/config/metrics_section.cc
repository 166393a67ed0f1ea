#include "config/metrics_section.h"

#include <fmt/format.h>

#include <array>

#include "config/values.h"

namespace carpd {

namespace {

constexpr std::array<std::string_view, 1> kMetricsKeys = {"listen"};
constexpr const char* kListenHint =
    "write a port of this host's own address, like 127.0.0.1:9781 or [::1]:9781, or the absolute path of a "
    "socket";

void read_socket(Reader& reader, Position at, const std::string& path, Config& config) {
    if (path.size() > kLongestSocket)
        return reader.fail(at, fmt::format("listen has {} bytes", path.size()),
                           fmt::format("a socket's path may have {}", kLongestSocket));
    if (!is_plain(path))
        return reader.fail(at, fmt::format("listen '{}' contains a blank or a control character", path));
    if (path == config.control || (config.sync && path == sync_socket(config.control)))
        return reader.fail(at, fmt::format("listen is {}, where carpctl is answered", path),
                           "choose another path");
    config.metrics = MetricsConfig{path, std::nullopt, 0};
}

// What anybody may see who can reach it is for this host alone: there is neither a password nor encryption.
void read_listen(Reader& reader, Position at, const std::string& text, Config& config) {
    if (text.starts_with('/')) return read_socket(reader, at, text, config);
    const auto endpoint = parse_endpoint(text);
    if (!endpoint)
        return reader.fail(at,
                           fmt::format("listen '{}' is neither an IP address with a port nor a path", text),
                           kListenHint);
    if (!endpoint->address.is_loopback())
        return reader.fail(at, fmt::format("listen '{}' could be reached by other hosts", text),
                           "metrics and the status page are served on 127.0.0.1, [::1] or a socket only; for "
                           "others put a web server with TLS and passwords before it");
    config.metrics = MetricsConfig{text, endpoint->address, endpoint->port};
}

}  // namespace

void read_metrics(Reader& reader, const toml::node& node, Config& config) {
    const toml::table* table = node.as_table();
    if (table == nullptr)
        return reader.fail(position_of(node),
                           node.is_array_of_tables() ? "[[metrics]] is written with double brackets"
                                                     : "metrics is not a section",
                           "there is one: begin it with [metrics]");
    reader.refuse_unknown_keys(*table, kMetricsKeys);
    const toml::node* listen = table->get("listen");
    if (listen == nullptr) return reader.fail(position_of(*table), "[metrics] has no listen", kListenHint);
    if (const auto text = reader.text(*listen, "listen"))
        read_listen(reader, position_of(*listen), *text, config);
}

}  // namespace carpd
