#include "wire/neighbor.h"

#include <algorithm>

#include "wire/checksum.h"

namespace carpd {

namespace {

constexpr std::uint16_t kEtherIpv4 = 0x0800;
constexpr std::uint16_t kEtherArp = 0x0806;
constexpr std::uint16_t kEtherIpv6 = 0x86dd;
constexpr MacAddress kBroadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
constexpr std::size_t kEthernetSize = 14;
constexpr std::uint8_t kIcmpv6 = 58, kSolicitation = 135, kAdvertisement = 136;
constexpr std::array<std::uint8_t, 16> kSolicitedNode{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
constexpr std::uint8_t kAllNodes[16] = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

void ethernet(ByteWriter& writer, const MacAddress& destination, const MacAddress& source,
              std::uint16_t type) {
    writer.bytes(destination.bytes);
    writer.bytes(source.bytes);
    writer.u16(type);
}

Frame arp(ArpOperation operation, const MacAddress& destination, const MacAddress& sender,
          const IpAddress& sender_address, const MacAddress& target, const IpAddress& target_address) {
    Frame frame;
    ByteWriter writer(frame.storage());
    ethernet(writer, destination, sender, kEtherArp);
    writer.u16(1);  // Ethernet
    writer.u16(kEtherIpv4);
    writer.u8(6);
    writer.u8(4);
    writer.u16(static_cast<std::uint16_t>(operation));
    writer.bytes(sender.bytes);
    writer.bytes(sender_address.bytes());
    writer.bytes(target.bytes);
    writer.bytes(target_address.bytes());
    frame.set_size(writer.size());
    return frame;
}

// Solicitation or advertisement, which are alike: flags, an address, and the sender's MAC as an option.
Frame neighbor_message(std::uint8_t type, std::uint32_t flags, const MacAddress& to, const MacAddress& mac,
                       const IpAddress& source, const IpAddress& destination, const IpAddress& address) {
    constexpr std::uint16_t kIcmpSize = 32;
    Frame frame;
    ByteWriter writer(frame.storage());
    ethernet(writer, to, mac, kEtherIpv6);
    writer.u32(0x60000000);
    writer.u16(kIcmpSize);
    writer.u8(kIcmpv6);
    writer.u8(255);
    writer.bytes(source.bytes());
    writer.bytes(destination.bytes());
    const std::size_t icmp = writer.size();
    writer.u8(type);
    writer.u8(0);
    writer.u16(0);
    writer.u32(flags);
    writer.bytes(address.bytes());
    writer.u8(type == kAdvertisement ? 2
                                     : 1);  // target's or source's link-layer address, one unit of 8 bytes
    writer.u8(1);
    writer.bytes(mac.bytes);
    frame.set_size(writer.size());

    std::uint32_t sum = checksum_sum(source.bytes(), kIcmpSize + kIcmpv6);
    sum = checksum_sum(destination.bytes(), sum);
    sum = checksum_sum(frame.bytes().subspan(icmp), sum);
    ByteWriter(frame.storage().subspan(icmp + 2)).u16(checksum_fold(sum));
    return frame;
}

}  // namespace

Frame gratuitous_arp(ArpOperation operation, const MacAddress& mac, const IpAddress& address) {
    CARPD_ASSERT(address.family() == Family::ipv4);
    const MacAddress target = operation == ArpOperation::reply ? mac : MacAddress{};
    return arp(operation, kBroadcast, mac, address, target, address);
}

Frame send_probe(const MacAddress& mac) {
    return arp(ArpOperation::request, mac, mac, IpAddress(), MacAddress{}, IpAddress());
}

Frame neighbor_advertisement(const MacAddress& mac, const IpAddress& address, bool router) {
    CARPD_ASSERT(address.family() == Family::ipv6);
    return neighbor_message(kAdvertisement, router ? 0xa0000000 : 0x20000000,  // router, override
                            {{0x33, 0x33, 0, 0, 0, 1}}, mac, address, IpAddress::from_bytes(kAllNodes),
                            address);
}

Frame who_has(const MacAddress& mac, const IpAddress& source, const IpAddress& address) {
    CARPD_ASSERT(source.family() == address.family());
    if (address.family() == Family::ipv4)
        return arp(ArpOperation::request, kBroadcast, mac, source, MacAddress{}, address);
    std::array<std::uint8_t, 16> group = kSolicitedNode;
    std::copy_n(address.bytes().end() - 3, 3, group.end() - 3);
    const MacAddress to{{0x33, 0x33, 0xff, group[13], group[14], group[15]}};
    return neighbor_message(kSolicitation, 0, to, mac, source, IpAddress::from_bytes(group), address);
}

std::optional<Claim> claim_in(Bytes frame) {
    if (frame.size() < kEthernetSize) return std::nullopt;
    const auto mac_at = [&](std::size_t offset) {
        MacAddress mac;
        std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(offset), mac.bytes.size(), mac.bytes.begin());
        return mac;
    };
    const std::uint16_t type = read_u16(frame, 12);
    if (type == kEtherArp) {
        constexpr std::size_t kSize = kEthernetSize + 28;
        if (frame.size() < kSize || read_u16(frame, kEthernetSize + 6) != 2) return std::nullopt;
        return Claim{IpAddress::from_bytes(frame.subspan(kEthernetSize + 14, 4)), mac_at(kEthernetSize + 8)};
    }
    constexpr std::size_t kIcmp = kEthernetSize + 40;
    if (type != kEtherIpv6 || frame.size() < kIcmp + 24 || frame[kEthernetSize + 6] != kIcmpv6 ||
        frame[kEthernetSize + 7] != 255 || frame[kIcmp] != kAdvertisement)
        return std::nullopt;
    const IpAddress address = IpAddress::from_bytes(frame.subspan(kIcmp + 8, 16));
    const bool says_mac = frame.size() >= kIcmp + 32 && frame[kIcmp + 24] == 2 && frame[kIcmp + 25] == 1;
    return Claim{address, mac_at(says_mac ? kIcmp + 26 : 6)};
}

namespace {

MacAddress multicast_mac_of(Bytes group) {
    if (group.size() == 4)
        return {{0x01, 0x00, 0x5e, static_cast<std::uint8_t>(group[1] & 0x7f), group[2], group[3]}};
    return {{0x33, 0x33, group[12], group[13], group[14], group[15]}};
}

}  // namespace

MacAddress multicast_mac(const IpAddress& group) {
    return multicast_mac_of(group.bytes());
}

Frame multicast_frame(const MacAddress& source, Bytes ip_packet) {
    CARPD_ASSERT(ip_packet.size() >= 20);
    const bool ipv4 = ip_packet[0] >> 4 == 4;
    CARPD_ASSERT(ipv4 || ip_packet.size() >= 40);
    return frame_to(multicast_mac_of(ipv4 ? ip_packet.subspan(16, 4) : ip_packet.subspan(24, 16)), source,
                    ip_packet);
}

Frame frame_to(const MacAddress& destination, const MacAddress& source, Bytes ip_packet) {
    Frame frame;
    ByteWriter writer(frame.storage());
    ethernet(writer, destination, source, ip_packet[0] >> 4 == 4 ? kEtherIpv4 : kEtherIpv6);
    writer.bytes(ip_packet);
    frame.set_size(writer.size());
    return frame;
}

}  // namespace carpd
