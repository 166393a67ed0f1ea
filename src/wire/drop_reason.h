// Why a received packet was refused. Every refusal has exactly one of these, and each is a counter under its
// own name in `carpctl status` (docs/protocol/carp.md, rules R1 to R13).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace carpd {

enum class DropReason : std::uint8_t {
    bad_interface,    // R1  came in on an interface that has no group
    bad_ip_header,    // R2  not a whole, unfragmented IP packet of protocol 112, or its header checksum is
                      // wrong
    bad_destination,  // R3  multicast, but not to CARP's group
    bad_ttl,          // R4  TTL or hop limit isn't 255: it passed a router
    vrrp2,            // R5  a VRRPv2 advertisement
    vrrp3,            // R5  a VRRPv3 advertisement
    bad_length,       // R6  shorter than 36 bytes
    bad_version,      // R6  version isn't 2
    bad_checksum,     // R6
    bad_type,         // R6  type isn't 1
    bad_authlen,      // R6  authlen isn't 7
    bad_vhid,         // R7  no such vhid on this interface
    not_running,      // R8  the group is in INIT
    bad_family,       // R9  the group has no address of the packet's family
    unknown_peer,     // R10 the group has unicast peers, and the source isn't one
    bad_digest,       // R11 password or address list differs, or a forgery
    own_advert,       // R12 our own advertisement, looped or replayed
};

inline constexpr std::size_t kDropReasonCount = 17;

constexpr std::string_view to_string(DropReason reason) {
    constexpr std::array<std::string_view, kDropReasonCount> kNames = {
        "bad_interface", "bad_ip_header", "bad_destination", "bad_ttl",    "vrrp2",       "vrrp3",
        "bad_length",    "bad_version",   "bad_checksum",    "bad_type",   "bad_authlen", "bad_vhid",
        "not_running",   "bad_family",    "unknown_peer",    "bad_digest", "own_advert"};
    return kNames[static_cast<std::size_t>(reason)];
}

}  // namespace carpd
