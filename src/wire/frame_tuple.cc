#include "wire/frame_tuple.h"

namespace carpd {

namespace {

constexpr std::size_t kEthernet = 14, kIpv4 = 20, kIpv6 = 40;
constexpr std::uint16_t kIpv4Type = 0x0800, kIpv6Type = 0x86dd;
constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kDccp = 33, kIcmpv6 = 58, kSctp = 132, kUdpLite = 136;

struct Packet {
    FlowTuple tuple;
    Bytes payload;
};

std::optional<Packet> read_ipv4(Bytes ip) {
    constexpr std::uint16_t kFragmentOffset = 0x1fff;
    if (ip.size() < kIpv4) return std::nullopt;
    const std::size_t header = 4u * (ip[0] & 0x0f);
    if (ip[0] >> 4 != 4 || header < kIpv4 || header > ip.size()) return std::nullopt;
    if (read_u16(ip, 6) & kFragmentOffset) return std::nullopt;
    return Packet{
        {IpAddress::from_bytes(ip.subspan(12, 4)), IpAddress::from_bytes(ip.subspan(16, 4)), ip[9], 0, 0},
        ip.subspan(header)};
}

std::optional<Packet> read_ipv6(Bytes ip) {
    if (ip.size() < kIpv6 || ip[0] >> 4 != 6) return std::nullopt;
    return Packet{
        {IpAddress::from_bytes(ip.subspan(8, 16)), IpAddress::from_bytes(ip.subspan(24, 16)), ip[6], 0, 0},
        ip.subspan(kIpv6)};
}

bool is_echo(std::uint8_t protocol, std::uint8_t type) {
    return protocol == kIcmp ? type == 8 || type == 0 : type == 128 || type == 129;
}

}  // namespace

std::optional<FlowTuple> tuple_of_frame(Bytes frame) {
    if (frame.size() < kEthernet) return std::nullopt;
    const std::uint16_t type = read_u16(frame, 12);
    const Bytes ip = frame.subspan(kEthernet);
    auto packet = type == kIpv4Type ? read_ipv4(ip) : type == kIpv6Type ? read_ipv6(ip) : std::nullopt;
    if (!packet) return std::nullopt;
    auto& [tuple, payload] = *packet;
    switch (tuple.protocol) {
        case kTcp:
        case kUdp:
        case kDccp:
        case kSctp:
        case kUdpLite:
            if (payload.size() < 4) return std::nullopt;
            tuple.first = read_u16(payload, 0);
            tuple.second = read_u16(payload, 2);
            break;
        case kIcmp:
        case kIcmpv6:
            if (payload.size() < 6) return std::nullopt;
            if (!is_echo(tuple.protocol, payload[0])) break;
            tuple.first = read_u16(payload, 4);
            tuple.second = static_cast<std::uint16_t>(payload[0] << 8 | payload[1]);
            break;
        default: break;
    }
    return tuple;
}

}  // namespace carpd
