// IP packets that carry an advertisement (docs/protocol/carp.md §1.2): protocol 112, hop limit 255, no
// options.
#pragma once

#include <array>
#include <cstdint>

#include "base/addresses.h"
#include "base/expected.h"
#include "wire/advertisement.h"
#include "wire/drop_reason.h"

namespace carpd {

inline constexpr std::uint8_t kCarpProtocol = 112;
inline constexpr std::uint8_t kHopLimit = 255;

// 224.0.0.18 or ff02::12, shared with VRRP.
IpAddress carp_multicast_group(Family family);

// What a received packet says of itself; `payload` points into the caller's bytes.
struct IpPacket {
    IpAddress source, destination;
    std::uint8_t hop_limit = 0;
    // What CARP has no use for: IPv4's identification, the lower 16 bits of IPv6's flow label (rule N10).
    std::uint16_t mark = 0;
    Bytes payload;
};

// `bytes` begins with the IP header. Link-layer padding behind the packet's own length is cut off (rule R2).
Expected<IpPacket, DropReason> parse_ip_packet(Bytes bytes);

// The header of a packet with a payload of this size; both addresses of one family. DSCP CS7 (0xE0),
// don't-fragment, hop limit 255 (rule W5).
void write_ip_header(ByteWriter& writer, const IpAddress& source, const IpAddress& destination,
                     std::size_t payload_size, std::uint16_t mark);

// A whole IP packet around an advertisement, at most 40 + 36 bytes, without allocation.
class AdvertisementPacket {
 public:
    // Both addresses of one family.
    AdvertisementPacket(const IpAddress& source, const IpAddress& destination,
                        const AdvertisementBytes& payload, std::uint16_t mark = 0);
    Bytes bytes() const { return Bytes(storage_).first(size_); }

 private:
    std::array<std::uint8_t, 40 + kAdvertisementSize> storage_{};
    std::uint8_t size_ = 0;
};

}  // namespace carpd
