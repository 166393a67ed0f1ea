// The values of carpd.toml as text, checked one by one. What is wrong with one comes back as a complaint;
// where it stands is the parser's knowledge.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/addresses.h"
#include "base/expected.h"
#include "carp/types.h"

namespace carpd {

struct Complaint {
    std::string message, hint;
};

inline constexpr std::size_t kMaxPassword = 19;  // bytes: the BSDs keep a 20th for the terminating zero

// "192.0.2.100/24": an address that a host may have on a subnet of that size.
Expected<InterfaceAddress, Complaint> parse_virtual_address(std::string_view text);
// "192.0.2.2": an address that a single other host may have.
Expected<IpAddress, Complaint> parse_peer(std::string_view text);
// A password becomes a key as everywhere in CARP: its bytes, then zeros (rule D1).
Expected<Key, Complaint> key_from_password(std::string_view password);
Expected<Key, Complaint> key_from_hex(std::string_view hex);
// The password is the file's first line (read_first_line).
Expected<Key, Complaint> key_from_file(const std::string& path, const std::string& directory,
                                       bool& open_to_all);

// Fills `out` with what `hex` says, two digits a byte; whether these are all digits, and so many.
bool read_hex(std::string_view hex, std::span<std::uint8_t> out);
// The first line of the file that `key` names; if it has more than `most` bytes, one more of them at least. A
// relative path starts at `directory`. `open_to_all` is set if everybody may read it.
Expected<std::string, Complaint> read_first_line(std::string_view key, const std::string& path,
                                                 const std::string& directory, std::size_t most,
                                                 bool& open_to_all);

// "192.0.2.0/24", without bits behind the prefix; `key` begins the complaint.
Expected<InterfaceAddress, Complaint> parse_prefix(std::string_view key, std::string_view text);
// "192.0.2.10:443" or "[2001:db8::1]:443"; the port may be missing if there is a default.
struct Endpoint {
    IpAddress address;
    std::uint16_t port = 0;  // 1 to 65535
};
std::optional<Endpoint> parse_endpoint(std::string_view text, std::uint16_t default_port = 0);
// The decimal number that is all of `text`.
std::optional<unsigned> parse_number(std::string_view text);
// All bits behind the prefix are `bit`.
bool host_bits_all(const InterfaceAddress& a, bool bit);
// Of a Unix socket's path, in bytes.
inline constexpr std::size_t kLongestSocket = 107;
// Neither blanks nor control characters.
bool is_plain(std::string_view text);

// Nothing if it will do.
std::optional<Complaint> check_interface(std::string_view name);
std::optional<Complaint> check_name(std::string_view name);
std::optional<Complaint> check_control(std::string_view path, bool with_sync);

}  // namespace carpd
