#include "config/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>

#include "config/config.h"

namespace carpd {

namespace {

namespace fs = std::filesystem;

Unexpected<Complaint> complain(std::string message, std::string hint = {}) {
    return Unexpected{Complaint{std::move(message), std::move(hint)}};
}

// Why no single host can have this address; empty if one can.
std::string_view not_a_hosts(const IpAddress& address) {
    if (address.is_unspecified()) return "the unspecified address";
    if (address.is_multicast()) return "a multicast address";
    if (address.is_loopback()) return "a loopback address";
    if (address == IpAddress::from_bytes(std::array<std::uint8_t, 4>{255, 255, 255, 255}))
        return "the broadcast address";
    return {};
}

// As above, within its subnet. Subnets of two addresses or one have neither network nor broadcast address
// (RFC 3021, RFC 6164).
std::string_view not_a_hosts(const InterfaceAddress& a) {
    if (const auto reason = not_a_hosts(a.address); !reason.empty()) return reason;
    if (a.prefix_length + 1 >= a.address.bit_count()) return {};
    if (a.address.family() == Family::ipv6)
        return host_bits_all(a, false) ? "its subnet's router anycast address" : std::string_view();
    if (host_bits_all(a, false)) return "its subnet's network address";
    return host_bits_all(a, true) ? "its subnet's broadcast address" : std::string_view();
}

}  // namespace

Expected<InterfaceAddress, Complaint> parse_prefix(std::string_view key, std::string_view text) {
    const std::size_t slash = text.find('/');
    const auto address = IpAddress::parse(text.substr(0, slash));
    const unsigned length =
        slash != std::string_view::npos ? parse_number(text.substr(slash + 1)).value_or(~0u) : ~0u;
    if (!address || length > address->bit_count())
        return complain(fmt::format("{} '{}' is not a prefix", key, text),
                        "write it like 0.0.0.0/0, 192.0.2.0/24 or 2001:db8::/32");
    const InterfaceAddress prefix{*address, static_cast<std::uint8_t>(length)};
    if (!host_bits_all(prefix, false))
        return complain(fmt::format("{} {} has bits behind its prefix", key, text),
                        "write the prefix as `ip route` shows it");
    return prefix;
}

std::optional<unsigned> parse_number(std::string_view text) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

bool host_bits_all(const InterfaceAddress& a, bool bit) {
    const Bytes bytes = a.address.bytes();
    for (unsigned i = a.prefix_length; i < a.address.bit_count(); ++i)
        if (((bytes[i / 8] >> (7 - i % 8)) & 1) != static_cast<unsigned>(bit)) return false;
    return true;
}

bool is_plain(std::string_view text) {
    return std::none_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte <= ' ' || byte == 0x7f;
    });
}

Expected<InterfaceAddress, Complaint> parse_virtual_address(std::string_view text) {
    const std::size_t slash = text.find('/');
    const auto address = IpAddress::parse(text.substr(0, slash));
    if (!address)
        return complain(fmt::format("'{}' is not an IP address with its prefix length", text),
                        "write it like 192.0.2.100/24 or 2001:db8::100/64");
    const bool ipv4 = address->family() == Family::ipv4;
    if (slash == std::string_view::npos)
        return complain(
            fmt::format("address {} has no prefix length", text),
            fmt::format("write {}/{} if its subnet is a /{}", text, ipv4 ? 24 : 64, ipv4 ? 24 : 64));
    const auto prefix = parse_number(text.substr(slash + 1));
    if (!prefix || *prefix < 1 || *prefix > address->bit_count())
        return complain(fmt::format("address {} has a bad prefix length", text),
                        fmt::format("it must be 1 to {}", address->bit_count()));
    const InterfaceAddress result{*address, static_cast<std::uint8_t>(*prefix)};
    if (const auto reason = not_a_hosts(result); !reason.empty())
        return complain(fmt::format("{} is {}", text, reason),
                        "a group needs addresses that a host may have");
    return result;
}

Expected<IpAddress, Complaint> parse_peer(std::string_view text) {
    const auto address = IpAddress::parse(text);
    if (!address)
        return complain(fmt::format("peer '{}' is not an IP address", text),
                        "write another host's own address like 192.0.2.2, without a prefix length");
    if (const auto reason = not_a_hosts(*address); !reason.empty())
        return complain(fmt::format("peer {} is {}", text, reason),
                        address->is_multicast() ? "leave peers out to advertise by multicast"
                                                : "write another host's own address");
    return *address;
}

Expected<Key, Complaint> key_from_password(std::string_view password) {
    if (password.empty()) return complain("the password is empty", "leave it out to use none");
    if (password.size() > kMaxPassword)
        return complain(fmt::format("the password has {} bytes", password.size()),
                        fmt::format("CARP takes {} at most", kMaxPassword));
    if (password.find('\0') != std::string_view::npos)
        return complain("the password contains a zero byte", "use key-hex for keys that aren't text");
    Key key{};
    std::copy(password.begin(), password.end(), key.begin());
    return key;
}

Expected<Key, Complaint> key_from_hex(std::string_view hex) {
    Key key{};
    if (!read_hex(hex, key))
        return complain("key-hex is not a key",
                        fmt::format("it must be {} hexadecimal digits", 2 * key.size()));
    return key;
}

bool read_hex(std::string_view hex, std::span<std::uint8_t> out) {
    const auto is_hex = [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; };
    if (hex.size() != 2 * out.size() || !std::all_of(hex.begin(), hex.end(), is_hex)) return false;
    for (std::size_t i = 0; i < out.size(); ++i)
        std::from_chars(hex.data() + 2 * i, hex.data() + 2 * i + 2, out[i], 16);
    return true;
}

Expected<std::string, Complaint> read_first_line(std::string_view key, const std::string& path,
                                                 const std::string& directory, std::size_t most,
                                                 bool& open_to_all) {
    const fs::path file = fs::path(directory) / path;  // an absolute path stays itself
    std::error_code error;
    const fs::file_status status = fs::status(file, error);
    if (fs::exists(status) && !fs::is_regular_file(status))
        return complain(fmt::format("{} {} is not a regular file", key, file.string()));
    errno = 0;
    std::ifstream stream(file);
    std::string line(most + 2, '\0');
    if (stream) stream.read(line.data(), static_cast<std::streamsize>(line.size()));
    if (!stream.is_open() || stream.bad())
        return complain(fmt::format("{} {} cannot be read: {}", key, file.string(), std::strerror(errno)));
    line.resize(static_cast<std::size_t>(stream.gcount()));
    line.resize(std::min(line.find('\n'), line.size()));
    open_to_all = (status.permissions() & fs::perms::others_read) != fs::perms::none;
    if (line.empty()) return complain(fmt::format("{} {} has an empty first line", key, file.string()));
    return line;
}

Expected<Key, Complaint> key_from_file(const std::string& path, const std::string& directory,
                                       bool& open_to_all) {
    const auto line = read_first_line("password-file", path, directory, kMaxPassword, open_to_all);
    if (!line) return Unexpected{line.error()};
    if (line->size() > kMaxPassword)
        return complain(fmt::format("the password in {} has more than {} bytes",
                                    (fs::path(directory) / path).string(), kMaxPassword),
                        fmt::format("CARP takes {} at most", kMaxPassword));
    return key_from_password(*line);
}

std::optional<Complaint> check_interface(std::string_view name) {
    if (name.empty()) return Complaint{"interface is empty", "name one that `ip link` shows"};
    if (name.size() > 15)
        return Complaint{fmt::format("interface name '{}' has {} bytes", name, name.size()),
                         "Linux allows 15"};
    const bool has_separator = name.find_first_of("/:") != std::string_view::npos;
    if (!is_plain(name) || has_separator || name == "." || name == "..")
        return Complaint{fmt::format("'{}' cannot be an interface's name", name),
                         "name one that `ip link` shows"};
    return std::nullopt;
}

std::optional<Complaint> check_name(std::string_view name) {
    if (name.empty()) return Complaint{"name is empty", "leave it out to call the group INTERFACE-VHID"};
    if (name.size() > 63)
        return Complaint{fmt::format("the name has {} bytes", name.size()), "it may have 63"};
    if (!is_plain(name))
        return Complaint{fmt::format("name '{}' contains a blank or a control character", name), {}};
    return std::nullopt;
}

std::optional<Endpoint> parse_endpoint(std::string_view text, std::uint16_t default_port) {
    std::string_view address = text, port;
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == std::string_view::npos) return std::nullopt;
        address = text.substr(1, end - 1);
        port = text.substr(end + 1);
    } else if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
        address = text.substr(0, colon);
        port = text.substr(colon);
    }
    const auto ip = IpAddress::parse(address);
    if (!ip || (ip->family() == Family::ipv6) != text.starts_with('[')) return std::nullopt;
    if (port.empty() && default_port != 0) return Endpoint{*ip, default_port};
    const auto number = port.starts_with(':') ? parse_number(port.substr(1)) : std::nullopt;
    if (!number || *number < 1 || *number > 65535) return std::nullopt;
    return Endpoint{*ip, static_cast<std::uint16_t>(*number)};
}

std::optional<Complaint> check_control(std::string_view path, bool with_sync) {
    const std::size_t longest = kLongestSocket - (with_sync ? kSyncSocketEnd.size() : 0);
    if (!path.starts_with('/'))
        return Complaint{fmt::format("control '{}' is not an absolute path", path), "begin it with /"};
    if (path.size() > longest)
        return Complaint{fmt::format("control has {} bytes", path.size()),
                         with_sync ? fmt::format("with [sync] it may have {}", longest)
                                   : fmt::format("a socket's path may have {}", longest)};
    if (!is_plain(path))
        return Complaint{fmt::format("control '{}' contains a blank or a control character", path), {}};
    return std::nullopt;
}

}  // namespace carpd
