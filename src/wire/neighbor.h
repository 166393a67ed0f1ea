// Frames that tell a LAN where an address lives now: gratuitous ARP (RFC 826, RFC 5227) and the unsolicited
// neighbor advertisement (RFC 4861 §7.2.6); and the Ethernet envelope of an advertisement.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/addresses.h"
#include "base/bytes.h"

namespace carpd {

// An Ethernet frame of at most 86 bytes, built in place.
class Frame {
 public:
    Bytes bytes() const { return Bytes(storage_).first(size_); }
    std::span<std::uint8_t> storage() { return storage_; }
    void set_size(std::size_t size) { size_ = size; }

 private:
    std::array<std::uint8_t, 96> storage_{};
    std::size_t size_ = 0;
};

enum class ArpOperation : std::uint16_t { request = 1, reply = 2 };

// Broadcast announcement that `address` (IPv4) is at `mac`. Some receivers heed only the request form, some
// only the reply, so an announcer sends both (rule A2).
Frame gratuitous_arp(ArpOperation operation, const MacAddress& mac, const IpAddress& address);

// To ff02::1: `address` (IPv6) is at `mac`; override set, solicited clear. `router` must be true on hosts
// that forward, or neighbours drop them as their default router (rule A3).
Frame neighbor_advertisement(const MacAddress& mac, const IpAddress& address, bool router);

// An ARP request nobody answers, from `mac` to itself: shows whether the interface can send at all without
// telling anyone anything (rule S3).
Frame send_probe(const MacAddress& mac);

// Asks the LAN who has `address`, in the name of `mac`, which need not be the host's own: ARP's request, or
// neighbour discovery's solicitation (RFC 4861 §4.3). `source` is an address of the host and of that family;
// unspecified in IPv4 it makes nobody remember the host (RFC 5227 §2.1.1), in IPv6 it must be one.
Frame who_has(const MacAddress& mac, const IpAddress& source, const IpAddress& address);

// What an ARP reply or a neighbour advertisement says.
struct Claim {
    IpAddress address;
    MacAddress mac;
    bool operator==(const Claim&) const = default;
};
// Of an Ethernet frame, whatever its bytes; nothing of any other.
std::optional<Claim> claim_in(Bytes frame);

// The Ethernet group that an IPv4 or IPv6 multicast group has (RFC 1112 §6.4, RFC 2464 §7).
MacAddress multicast_mac(const IpAddress& group);

// `ip_packet` (at most 82 bytes) from `source`, addressed to the Ethernet group of its IPv4 or IPv6 multicast
// destination.
Frame multicast_frame(const MacAddress& source, Bytes ip_packet);

// The same, addressed to `destination`.
Frame frame_to(const MacAddress& destination, const MacAddress& source, Bytes ip_packet);

}  // namespace carpd
