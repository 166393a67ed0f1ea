// What a [[track]] looks at: the value of its key, and of the keys that go with it.
#pragma once

#include <optional>
#include <string_view>

#include "config/reader.h"
#include "health/track_config.h"

namespace carpd {

// `key` is one of kSubjectKeys, and `node` its value in `table`. Nothing after an error.
std::optional<Subject> read_subject_of(Reader& reader, const toml::table& table, const toml::node& node,
                                       std::string_view key);

std::optional<Complaint> check_track_name(std::string_view name);
Expected<RouteCheck, Complaint> parse_route_check(std::string_view text);
Expected<TcpCheck, Complaint> parse_tcp_check(std::string_view text);
Expected<HttpCheck, Complaint> parse_http_check(std::string_view text);

}  // namespace carpd
