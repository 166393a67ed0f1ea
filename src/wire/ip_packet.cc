#include "wire/ip_packet.h"

#include "wire/checksum.h"

namespace carpd {

namespace {

constexpr std::uint8_t kTrafficClass = 0xe0;  // DSCP CS7, as FreeBSD sends
constexpr std::size_t kIpv4HeaderSize = 20;
constexpr std::size_t kIpv6HeaderSize = 40;

Expected<IpPacket, DropReason> parse_ipv4(Bytes bytes) {
    constexpr Unexpected kRefused{DropReason::bad_ip_header};
    if (bytes.size() < kIpv4HeaderSize) return kRefused;
    const std::size_t header_size = 4u * (bytes[0] & 0x0f);
    const std::size_t total_size = read_u16(bytes, 2);
    if (header_size < kIpv4HeaderSize || total_size < header_size || total_size > bytes.size())
        return kRefused;
    if (checksum(bytes.first(header_size)) != 0) return kRefused;
    const bool is_fragment = (read_u16(bytes, 6) & 0x3fff) != 0;
    if (is_fragment || bytes[9] != kCarpProtocol) return kRefused;
    return IpPacket{IpAddress::from_bytes(bytes.subspan(12, 4)), IpAddress::from_bytes(bytes.subspan(16, 4)),
                    bytes[8], read_u16(bytes, 4), bytes.first(total_size).subspan(header_size)};
}

Expected<IpPacket, DropReason> parse_ipv6(Bytes bytes) {
    constexpr Unexpected kRefused{DropReason::bad_ip_header};
    if (bytes.size() < kIpv6HeaderSize) return kRefused;
    const std::size_t payload_size = read_u16(bytes, 4);
    // No implementation sends extension headers, so they are not followed.
    if (payload_size > bytes.size() - kIpv6HeaderSize || bytes[6] != kCarpProtocol) return kRefused;
    return IpPacket{IpAddress::from_bytes(bytes.subspan(8, 16)), IpAddress::from_bytes(bytes.subspan(24, 16)),
                    bytes[7], read_u16(bytes, 2), bytes.subspan(kIpv6HeaderSize, payload_size)};
}

}  // namespace

IpAddress carp_multicast_group(Family family) {
    constexpr std::uint8_t kGroup4[4] = {224, 0, 0, 18};
    constexpr std::uint8_t kGroup6[16] = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12};
    return family == Family::ipv4 ? IpAddress::from_bytes(kGroup4) : IpAddress::from_bytes(kGroup6);
}

Expected<IpPacket, DropReason> parse_ip_packet(Bytes bytes) {
    if (bytes.empty()) return Unexpected{DropReason::bad_ip_header};
    switch (bytes[0] >> 4) {
        case 4: return parse_ipv4(bytes);
        case 6: return parse_ipv6(bytes);
        default: return Unexpected{DropReason::bad_ip_header};
    }
}

AdvertisementPacket::AdvertisementPacket(const IpAddress& source, const IpAddress& destination,
                                         const AdvertisementBytes& payload, std::uint16_t mark) {
    CARPD_ASSERT(source.family() == destination.family());
    ByteWriter writer(storage_);
    if (source.family() == Family::ipv4) {
        writer.u8(0x45);
        writer.u8(kTrafficClass);
        writer.u16(kIpv4HeaderSize + kAdvertisementSize);
        writer.u16(mark);    // identification: of no use with don't-fragment
        writer.u16(0x4000);  // don't fragment
        writer.u8(kHopLimit);
        writer.u8(kCarpProtocol);
        writer.u16(0);
        writer.bytes(source.bytes());
        writer.bytes(destination.bytes());
        const std::uint16_t sum = checksum(Bytes(storage_).first(kIpv4HeaderSize));
        ByteWriter(std::span(storage_).subspan(10)).u16(sum);
    } else {
        writer.u32(0x60000000u | kTrafficClass << 20 | mark);
        writer.u16(kAdvertisementSize);
        writer.u8(kCarpProtocol);
        writer.u8(kHopLimit);
        writer.bytes(source.bytes());
        writer.bytes(destination.bytes());
    }
    writer.bytes(payload);
    size_ = static_cast<std::uint8_t>(writer.size());
}

}  // namespace carpd
