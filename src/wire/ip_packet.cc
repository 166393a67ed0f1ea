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

void write_ip_header(ByteWriter& writer, const IpAddress& source, const IpAddress& destination,
                     std::size_t payload_size, std::uint16_t mark) {
    CARPD_ASSERT(source.family() == destination.family());
    if (source.family() == Family::ipv6) {
        writer.u32(0x60000000u | kTrafficClass << 20 | mark);
        writer.u16(static_cast<std::uint16_t>(payload_size));
        writer.u8(kCarpProtocol);
        writer.u8(kHopLimit);
        writer.bytes(source.bytes());
        writer.bytes(destination.bytes());
        return;
    }
    std::array<std::uint8_t, kIpv4HeaderSize> header{};
    ByteWriter ipv4(header);
    ipv4.u8(0x45);
    ipv4.u8(kTrafficClass);
    ipv4.u16(static_cast<std::uint16_t>(kIpv4HeaderSize + payload_size));
    ipv4.u16(mark);    // identification: of no use with don't-fragment
    ipv4.u16(0x4000);  // don't fragment
    ipv4.u8(kHopLimit);
    ipv4.u8(kCarpProtocol);
    ipv4.u16(0);
    ipv4.bytes(source.bytes());
    ipv4.bytes(destination.bytes());
    ByteWriter(std::span(header).subspan(10)).u16(checksum(header));
    writer.bytes(header);
}

AdvertisementPacket::AdvertisementPacket(const IpAddress& source, const IpAddress& destination,
                                         const AdvertisementBytes& payload, std::uint16_t mark) {
    ByteWriter writer(storage_);
    write_ip_header(writer, source, destination, payload.size(), mark);
    writer.bytes(payload);
    size_ = static_cast<std::uint8_t>(writer.size());
}

}  // namespace carpd
