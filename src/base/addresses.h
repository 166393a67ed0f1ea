// IP and Ethernet addresses as values.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace carpd {

enum class Family : std::uint8_t { ipv4, ipv6 };

inline constexpr Family kFamilies[] = {Family::ipv4, Family::ipv6};

// An IPv4 or IPv6 address in network order. Ordered by family (IPv4 first), then numerically as an unsigned
// number, which is the order of the digest (rule D2) and of the tie-break (rule E10).
class IpAddress {
 public:
    constexpr IpAddress() = default;  // 0.0.0.0

    // `bytes` holds 4 or 16 bytes; anything else is a broken invariant.
    static constexpr IpAddress from_bytes(Bytes bytes) {
        CARPD_ASSERT(bytes.size() == 4 || bytes.size() == 16);
        IpAddress address;
        address.family_ = bytes.size() == 4 ? Family::ipv4 : Family::ipv6;
        std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
        return address;
    }
    static constexpr IpAddress any(Family family) {
        IpAddress address;
        address.family_ = family;
        return address;
    }
    // Text as inet_pton(3) takes it; nothing if it is none.
    static std::optional<IpAddress> parse(std::string_view text);

    constexpr Family family() const { return family_; }
    constexpr std::uint8_t bit_count() const { return family_ == Family::ipv4 ? 32 : 128; }
    constexpr Bytes bytes() const { return Bytes(bytes_).first(bit_count() / 8); }
    constexpr bool is_unspecified() const {
        return std::all_of(bytes_.begin(), bytes_.end(), [](std::uint8_t b) { return b == 0; });
    }
    constexpr bool is_multicast() const {
        return family_ == Family::ipv4 ? (bytes_[0] & 0xf0) == 0xe0 : bytes_[0] == 0xff;
    }
    // fe80::/10. IPv4's 169.254/16 plays no part in CARP.
    constexpr bool is_link_local() const {
        return family_ == Family::ipv6 && bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
    }
    constexpr bool is_loopback() const {
        return family_ == Family::ipv4 ? bytes_[0] == 127 : *this == ipv6_loopback();
    }
    // Whether the first `prefix_length` bits are those of `other`; false across families.
    bool shares_prefix(const IpAddress& other, std::uint8_t prefix_length) const;
    std::string to_string() const;

    constexpr auto operator<=>(const IpAddress&) const = default;

 private:
    static constexpr IpAddress ipv6_loopback() {
        IpAddress address;
        address.family_ = Family::ipv6;
        address.bytes_[15] = 1;
        return address;
    }

    Family family_ = Family::ipv4;
    std::array<std::uint8_t, 16> bytes_{};
};

// An address with the length of its subnet's prefix, written 192.0.2.100/24.
struct InterfaceAddress {
    IpAddress address;
    std::uint8_t prefix_length = 0;

    std::string to_string() const;
    constexpr auto operator<=>(const InterfaceAddress&) const = default;
};

struct MacAddress {
    std::array<std::uint8_t, 6> bytes{};

    // Six bytes of two digits each with colons between them; nothing if `text` isn't that.
    static std::optional<MacAddress> parse(std::string_view text);
    std::string to_string() const;
    constexpr auto operator<=>(const MacAddress&) const = default;
};

}  // namespace carpd
