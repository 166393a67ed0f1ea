// For tests: frames as hosts of a LAN send them.
#pragma once

#include <linux/if_ether.h>
#include <netinet/in.h>

#include <cstdint>
#include <optional>

#include "base/addresses.h"
#include "linux/test_network.h"
#include "wire/checksum.h"

namespace carpd {

inline constexpr MacAddress kBroadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

inline void append(TestFrame& frame, Bytes bytes) {
    frame.insert(frame.end(), bytes.begin(), bytes.end());
}
inline void append_u16(TestFrame& frame, unsigned value) {
    const std::uint8_t bytes[] = {static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
    append(frame, bytes);
}
inline void set_u16(TestFrame& frame, std::size_t offset, unsigned value) {
    frame[offset] = static_cast<std::uint8_t>(value >> 8);
    frame[offset + 1] = static_cast<std::uint8_t>(value);
}

inline TestFrame ethernet(const MacAddress& to, const MacAddress& from, std::uint16_t type, Bytes payload) {
    TestFrame frame;
    append(frame, to.bytes);
    append(frame, from.bytes);
    append_u16(frame, type);
    append(frame, payload);
    return frame;
}
// Of an IP packet.
inline TestFrame ethernet(const MacAddress& to, const MacAddress& from, const TestFrame& packet) {
    return ethernet(to, from, packet[0] >> 4 == 4 ? ETH_P_IP : ETH_P_IPV6, packet);
}

inline TestFrame ip_packet(const IpAddress& source, const IpAddress& destination, std::uint8_t protocol,
                           Bytes payload, std::uint8_t hop_limit = 64) {
    TestFrame packet;
    if (source.family() == Family::ipv4) {
        packet = {0x45, 0, 0, 0, 0, 1, 0, 0, hop_limit, protocol, 0, 0};
        set_u16(packet, 2, static_cast<unsigned>(20 + payload.size()));
    } else {
        packet = {0x60, 0, 0, 0, 0, 0, protocol, hop_limit};
        set_u16(packet, 4, static_cast<unsigned>(payload.size()));
    }
    append(packet, source.bytes());
    append(packet, destination.bytes());
    if (source.family() == Family::ipv4) set_u16(packet, 10, checksum(packet));
    append(packet, payload);
    return packet;
}

// With its checksum, which stands at `offset`; over the pseudo header, but for IPv4's ICMP.
inline TestFrame with_checksum(const IpAddress& source, const IpAddress& destination, std::uint8_t protocol,
                               TestFrame payload, std::size_t offset) {
    std::uint32_t sum = 0;
    if (protocol != IPPROTO_ICMP)
        sum = checksum_sum(source.bytes(), checksum_sum(destination.bytes())) + protocol +
              static_cast<std::uint32_t>(payload.size());
    set_u16(payload, offset, checksum_fold(checksum_sum(payload, sum)));
    return payload;
}

inline TestFrame icmp_packet(const IpAddress& source, const IpAddress& destination, std::uint8_t type,
                             Bytes behind_checksum, std::uint8_t hop_limit = 64) {
    const std::uint8_t protocol =
        source.family() == Family::ipv4 ? std::uint8_t{IPPROTO_ICMP} : std::uint8_t{IPPROTO_ICMPV6};
    TestFrame message{type, 0, 0, 0};
    append(message, behind_checksum);
    return ip_packet(source, destination, protocol, with_checksum(source, destination, protocol, message, 2),
                     hop_limit);
}
inline TestFrame echo_request(const IpAddress& source, const IpAddress& destination) {
    return icmp_packet(source, destination, source.family() == Family::ipv4 ? 8 : 128, TestFrame{0, 1, 0, 1});
}
// That quotes a packet.
inline TestFrame icmp_error(const IpAddress& source, const IpAddress& destination, std::uint8_t type,
                            const TestFrame& quote) {
    TestFrame rest(4);
    append(rest, quote);
    return icmp_packet(source, destination, type, rest);
}

inline constexpr std::uint8_t kFin = 1, kSyn = 2, kRst = 4, kAck = 16;
inline TestFrame tcp_packet(const IpAddress& source, const IpAddress& destination, std::uint16_t source_port,
                            std::uint16_t destination_port, std::uint8_t flags) {
    TestFrame segment;
    append_u16(segment, source_port);
    append_u16(segment, destination_port);
    append(segment, TestFrame{0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0});
    return ip_packet(source, destination, IPPROTO_TCP,
                     with_checksum(source, destination, IPPROTO_TCP, segment, 16));
}

inline TestFrame arp_request(const MacAddress& asker, const IpAddress& sender, const IpAddress& target) {
    TestFrame payload{0, 1, 8, 0, 6, 4, 0, 1};
    append(payload, asker.bytes);
    append(payload, sender.bytes());
    append(payload, MacAddress{}.bytes);
    append(payload, target.bytes());
    return ethernet(kBroadcast, asker, ETH_P_ARP, payload);
}

inline MacAddress solicited_node_mac(const IpAddress& target) {
    return {{0x33, 0x33, 0xff, target.bytes()[13], target.bytes()[14], target.bytes()[15]}};
}
// `option`: the source link-layer address; nothing: there is none.
inline TestFrame neighbor_solicitation(const MacAddress& frame_source, const IpAddress& sender,
                                       const IpAddress& target, std::optional<MacAddress> option) {
    std::array<std::uint8_t, 16> group{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
    std::copy(target.bytes().end() - 3, target.bytes().end(), group.end() - 3);
    TestFrame rest(4);
    append(rest, target.bytes());
    if (option) {
        append(rest, TestFrame{1, 1});
        append(rest, option->bytes);
    }
    return ethernet(solicited_node_mac(target), frame_source,
                    icmp_packet(sender, IpAddress::from_bytes(group), 135, rest, 255));
}

// The MAC that an ARP reply or a neighbour advertisement says.
inline MacAddress said_mac(const TestFrame& frame) {
    const bool is_arp = frame[12] == 0x08 && frame[13] == 0x06;
    MacAddress mac;
    const auto begin = frame.begin() + (is_arp ? 22 : 80);
    std::copy(begin, begin + 6, mac.bytes.begin());
    return mac;
}

}  // namespace carpd
