#include "base/addresses.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstdio>

namespace carpd {

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    std::string terminated(text);
    if (terminated.size() != std::char_traits<char>::length(terminated.c_str())) return std::nullopt;
    std::array<std::uint8_t, 16> raw{};
    if (inet_pton(AF_INET, terminated.c_str(), raw.data()) == 1) return from_bytes(Bytes(raw).first(4));
    if (inet_pton(AF_INET6, terminated.c_str(), raw.data()) == 1) return from_bytes(raw);
    return std::nullopt;
}

bool IpAddress::shares_prefix(const IpAddress& other, std::uint8_t prefix_length) const {
    if (family_ != other.family_) return false;
    CARPD_ASSERT(prefix_length <= bit_count());
    const unsigned whole = prefix_length / 8, rest = prefix_length % 8;
    if (!std::equal(bytes_.begin(), bytes_.begin() + whole, other.bytes_.begin())) return false;
    return rest == 0 || (bytes_[whole] ^ other.bytes_[whole]) >> (8 - rest) == 0;
}

std::string IpAddress::to_string() const {
    char text[INET6_ADDRSTRLEN];
    inet_ntop(family_ == Family::ipv4 ? AF_INET : AF_INET6, bytes_.data(), text, sizeof text);
    return text;
}

std::string InterfaceAddress::to_string() const {
    return address.to_string() + "/" + std::to_string(prefix_length);
}

std::optional<MacAddress> MacAddress::parse(std::string_view text) {
    MacAddress mac;
    if (text.size() != 3 * mac.bytes.size() - 1) return std::nullopt;
    for (std::size_t i = 0; i < mac.bytes.size(); ++i) {
        const char* digits = text.data() + 3 * i;
        if (i > 0 && digits[-1] != ':') return std::nullopt;
        const auto [end, error] = std::from_chars(digits, digits + 2, mac.bytes[i], 16);
        if (error != std::errc() || end != digits + 2) return std::nullopt;
    }
    return mac;
}

std::string MacAddress::to_string() const {
    char text[18];
    std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2], bytes[3],
                  bytes[4], bytes[5]);
    return text;
}

}  // namespace carpd
