#include "wire/link_frame.h"

#include <algorithm>

#include "wire/ip_packet.h"

namespace carpd {

namespace {

constexpr std::uint16_t kIpv4Type = 0x0800, kIpv6Type = 0x86dd, kVlanType = 0x8100, kServiceVlanType = 0x88a8;
constexpr std::uint16_t kVlanId = 0x0fff;
constexpr std::uint8_t kOutgoing = 4;  // PACKET_OUTGOING, which both cooked headers have
constexpr std::size_t kEthernet = 14, kCooked = 16, kCooked2 = 20;

bool says_carp(Bytes ip) {
    constexpr std::size_t kIpv4Protocol = 9, kIpv6NextHeader = 6;
    if (ip.size() <= kIpv4Protocol) return false;
    const int version = ip[0] >> 4;
    return (version == 4 && ip[kIpv4Protocol] == kCarpProtocol) ||
           (version == 6 && ip[kIpv6NextHeader] == kCarpProtocol);
}

// `rest` follows the Ethernet type.
std::optional<LinkFrame> behind_type(std::uint16_t type, Bytes rest, bool is_outgoing) {
    std::uint16_t vlan = 0;
    while ((type == kVlanType || type == kServiceVlanType) && rest.size() >= 4) {
        vlan = read_u16(rest, 0) & kVlanId;
        type = read_u16(rest, 2);
        rest = rest.subspan(4);
    }
    if ((type != kIpv4Type && type != kIpv6Type) || !says_carp(rest)) return std::nullopt;
    return LinkFrame{rest, vlan, is_outgoing};
}

}  // namespace

bool is_readable(LinkType link) {
    switch (link) {
        case LinkType::ethernet:
        case LinkType::raw:
        case LinkType::linux_cooked:
        case LinkType::raw_ipv4:
        case LinkType::raw_ipv6:
        case LinkType::linux_cooked2: return true;
    }
    return false;
}

std::optional<LinkFrame> carp_in_frame(LinkType link, Bytes frame) {
    switch (link) {
        case LinkType::ethernet:
            if (frame.size() < kEthernet) return std::nullopt;
            return behind_type(read_u16(frame, 12), frame.subspan(kEthernet), false);
        case LinkType::linux_cooked:
            if (frame.size() < kCooked) return std::nullopt;
            return behind_type(read_u16(frame, 14), frame.subspan(kCooked), read_u16(frame, 0) == kOutgoing);
        case LinkType::linux_cooked2:
            if (frame.size() < kCooked2) return std::nullopt;
            return behind_type(read_u16(frame, 0), frame.subspan(kCooked2), frame[10] == kOutgoing);
        case LinkType::raw:
        case LinkType::raw_ipv4:
        case LinkType::raw_ipv6:
            if (!says_carp(frame)) return std::nullopt;
            return LinkFrame{frame, 0, false};
    }
    return std::nullopt;
}

std::size_t CookedHeader::write(std::span<std::uint8_t, kLongest> out) const {
    ByteWriter writer(out);
    writer.u16(vlan ? kVlanType : protocol);
    writer.u16(0);
    writer.u32(interface);
    writer.u16(hardware);
    writer.u8(packet_type);
    writer.u8(address_size);
    writer.bytes(address);
    if (vlan) {
        writer.u16(*vlan);
        writer.u16(protocol);
    }
    return writer.size();
}

}  // namespace carpd
