#include "config/subjects.h"

#include <fmt/format.h>

#include <algorithm>

namespace carpd {

namespace {

constexpr std::size_t kMostPath = 1000;  // bytes, of a file or URL
constexpr std::size_t kMostComm = 15;    // bytes that Linux keeps of a process's name
constexpr int kLeastStatus = 100, kMostStatus = 599;

Unexpected<Complaint> complain(std::string message, std::string hint) {
    return Unexpected{Complaint{std::move(message), std::move(hint)}};
}

// Of another host, perhaps.
std::optional<TcpCheck> parse_target(std::string_view text, std::uint16_t default_port) {
    const auto endpoint = parse_endpoint(text, default_port);
    if (!endpoint) return std::nullopt;
    const IpAddress& ip = endpoint->address;
    if (ip.is_unspecified() || ip.is_multicast() || ip.is_link_local()) return std::nullopt;
    return TcpCheck{ip, endpoint->port};
}

// ---- each kind

class SubjectReader {
 public:
    SubjectReader(Reader& reader, const toml::table& table, const toml::node& node)
        : reader_(reader), table_(table), node_(node), at_(position_of(node)) {}

    std::optional<Subject> read(std::string_view key) {
        if (key == "script") return read_script();
        const auto value = reader_.text(node_, key);
        if (!value) return std::nullopt;
        if (key == "interface") return read_interface(*value);
        if (key == "route") return take(parse_route_check(*value));
        if (key == "gateway") return read_gateway(*value);
        if (key == "tcp") return take(parse_tcp_check(*value));
        if (key == "http") return read_http(*value);
        if (key == "process") return read_process(*value);
        return read_file(*value);
    }

 private:
    std::nullopt_t fail(std::string message, std::string hint) {
        reader_.fail(at_, std::move(message), std::move(hint));
        return std::nullopt;
    }
    template <class T>
    std::optional<Subject> take(Expected<T, Complaint> result) {
        if (result) return Subject(*result);
        reader_.fail(at_, result.error());
        return std::nullopt;
    }

    std::optional<Subject> read_interface(const std::string& name) {
        if (const auto complaint = check_interface(name)) return fail(complaint->message, complaint->hint);
        return LinkCheck{name};
    }

    std::optional<Subject> read_gateway(const std::string& text) {
        const auto address = IpAddress::parse(text);
        if (!address || address->is_unspecified() || address->is_multicast() || address->is_loopback())
            return fail(fmt::format("gateway '{}' is not an IP address of another host", text),
                        "write it like 192.0.2.1, without a prefix length");
        GatewayCheck gateway{*address};
        const toml::node* device = table_.get("device");
        if (device != nullptr) {
            const auto name = reader_.text(*device, "device");
            if (!name) return std::nullopt;
            if (const auto complaint = check_interface(*name)) {
                reader_.fail(position_of(*device), *complaint);
                return std::nullopt;
            }
            gateway.device = *name;
        } else if (address->is_link_local()) {
            return fail(fmt::format("gateway {} is a link-local address", text),
                        "add device, the interface to ask on");
        }
        if (!read_probe(gateway)) return std::nullopt;
        return gateway;
    }

    bool read_probe(GatewayCheck& gateway) {
        const toml::node* node = table_.get("probe");
        if (node == nullptr) return true;
        const auto probe = reader_.text(*node, "probe");
        if (!probe) return false;
        gateway.icmp = *probe == "icmp";
        if (gateway.icmp || *probe == "arp") return true;
        reader_.fail(position_of(*node), fmt::format("probe is '{}'", *probe),
                     "it must be \"arp\", which for IPv6 is neighbour discovery, or \"icmp\"");
        return false;
    }

    std::optional<Subject> read_http(const std::string& text) {
        auto http = parse_http_check(text);
        if (!http) return take(std::move(http));
        if (const toml::node* node = table_.get("status")) {
            const auto status = reader_.number(*node, "status", kLeastStatus, kMostStatus);
            if (!status) return std::nullopt;
            http->status = *status;
        }
        return *http;
    }

    std::optional<Subject> read_process(const std::string& name) {
        if (name.starts_with('/'))
            return check_path("process", name) ? std::optional(ProcessCheck{name}) : std::nullopt;
        if (name.empty() || name.find_first_of(std::string_view("/\n\0", 3)) != std::string::npos)
            return fail(fmt::format("process '{}' is no process's name", name),
                        "write what `ps -o comm` shows, or the executable's absolute path");
        if (name.size() > kMostComm)
            return fail(fmt::format("process '{}' has {} bytes", name, name.size()),
                        fmt::format("Linux keeps {} of a name: write '{}', or the executable's absolute path",
                                    kMostComm, name.substr(0, kMostComm)));
        return ProcessCheck{name};
    }

    std::optional<Subject> read_file(const std::string& path) {
        if (!path.starts_with('/'))
            return fail(fmt::format("file '{}' is not an absolute path", path), "begin it with /");
        return check_path("file", path) ? std::optional(FileCheck{path}) : std::nullopt;
    }

    bool check_path(std::string_view key, const std::string& path) {
        if (path.size() > kMostPath)
            fail(fmt::format("{} has {} bytes", key, path.size()), fmt::format("it may have {}", kMostPath));
        else if (path.find('\0') != std::string::npos)
            fail(fmt::format("{} contains a zero byte", key), "no path does");
        else if (path.ends_with('/'))
            fail(fmt::format("{} '{}' is a directory's name", key, path), "remove the / at its end");
        else
            return true;
        return false;
    }

    std::optional<Subject> read_script() {
        auto argv = reader_.command(node_, "script");
        if (argv.empty()) return std::nullopt;
        return ScriptCheck{std::move(argv)};
    }

    Reader& reader_;
    const toml::table& table_;
    const toml::node& node_;
    const Position at_;
};

}  // namespace

std::optional<Subject> read_subject_of(Reader& reader, const toml::table& table, const toml::node& node,
                                       std::string_view key) {
    return SubjectReader(reader, table, node).read(key);
}

// It stands behind "track:" in a demotion's reasons, and in log lines.
std::optional<Complaint> check_track_name(std::string_view name) {
    if (name.empty()) return Complaint{"name is empty", "write what the track looks at, like \"uplink\""};
    if (name.size() > 63)
        return Complaint{fmt::format("the name has {} bytes", name.size()), "it may have 63"};
    if (!is_plain(name))
        return Complaint{fmt::format("name '{}' contains a blank or a control character", name), {}};
    return std::nullopt;
}

Expected<RouteCheck, Complaint> parse_route_check(std::string_view text) {
    const auto prefix = parse_prefix("route", text);
    if (!prefix) return Unexpected{prefix.error()};
    return RouteCheck{*prefix};
}

Expected<TcpCheck, Complaint> parse_tcp_check(std::string_view text) {
    if (const auto endpoint = parse_target(text, 0)) return *endpoint;
    return complain(fmt::format("tcp '{}' is not an IP address with a port", text),
                    "write it like 192.0.2.10:443 or [2001:db8::1]:443");
}

Expected<HttpCheck, Complaint> parse_http_check(std::string_view text) {
    constexpr std::string_view kScheme = "http://";
    constexpr std::string_view kHint = "write it like http://192.0.2.10/health or http://[2001:db8::1]:8080/";
    if (text.starts_with("https://"))
        return complain("http can't be encrypted", "use tcp for the port, or a script with curl");
    if (!text.starts_with(kScheme))
        return complain(fmt::format("http '{}' is not a URL", text), std::string(kHint));
    if (text.size() > kMostPath)
        return complain(fmt::format("http has {} bytes", text.size()),
                        fmt::format("it may have {}", kMostPath));
    if (!is_plain(text) || text.find('#') != std::string_view::npos)
        return complain(fmt::format("http '{}' contains a blank, a control character or #", text), {});
    const std::string_view rest = text.substr(kScheme.size());
    const std::size_t slash = std::min(rest.find_first_of("/?"), rest.size());
    const std::string_view authority = rest.substr(0, slash);
    const auto server = parse_target(authority, 80);
    if (!server)
        return complain(fmt::format("http '{}' has no IP address", text),
                        std::string(kHint) + ": a name would have to be looked up, which is another service");
    std::string path(rest.substr(slash));
    if (!path.starts_with('/')) path.insert(0, 1, '/');
    return HttpCheck{*server, std::string(authority), std::move(path)};
}

}  // namespace carpd
