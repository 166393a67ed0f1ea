#include "wire/neighbor.h"

#include "wire/checksum.h"

namespace carpd {

namespace {

constexpr std::uint16_t kEtherIpv4 = 0x0800;
constexpr std::uint16_t kEtherArp = 0x0806;
constexpr std::uint16_t kEtherIpv6 = 0x86dd;
constexpr MacAddress kBroadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
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
    constexpr std::uint16_t kIcmpSize = 32;
    constexpr std::uint8_t kIcmpv6 = 58;
    Frame frame;
    ByteWriter writer(frame.storage());
    ethernet(writer, MacAddress{{0x33, 0x33, 0, 0, 0, 1}}, mac, kEtherIpv6);
    writer.u32(0x60000000);
    writer.u16(kIcmpSize);
    writer.u8(kIcmpv6);
    writer.u8(255);
    writer.bytes(address.bytes());
    writer.bytes(kAllNodes);
    const std::size_t icmp = writer.size();
    writer.u8(136);  // neighbor advertisement
    writer.u8(0);
    writer.u16(0);
    writer.u32(router ? 0xa0000000 : 0x20000000);  // router, override
    writer.bytes(address.bytes());
    writer.u8(2);  // target link-layer address, one unit of 8 bytes
    writer.u8(1);
    writer.bytes(mac.bytes);
    frame.set_size(writer.size());

    std::uint32_t sum = checksum_sum(address.bytes(), kIcmpSize + kIcmpv6);
    sum = checksum_sum(kAllNodes, sum);
    sum = checksum_sum(frame.bytes().subspan(icmp), sum);
    ByteWriter(frame.storage().subspan(icmp + 2)).u16(checksum_fold(sum));
    return frame;
}

Frame multicast_frame(const MacAddress& source, Bytes ip_packet) {
    CARPD_ASSERT(ip_packet.size() >= 20);
    const bool ipv4 = ip_packet[0] >> 4 == 4;
    CARPD_ASSERT(ipv4 || ip_packet.size() >= 40);
    MacAddress destination;
    if (ipv4)
        destination = {{0x01, 0x00, 0x5e, static_cast<std::uint8_t>(ip_packet[17] & 0x7f), ip_packet[18],
                        ip_packet[19]}};
    else
        destination = {{0x33, 0x33, ip_packet[36], ip_packet[37], ip_packet[38], ip_packet[39]}};
    return frame_to(destination, source, ip_packet);
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
