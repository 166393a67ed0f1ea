// The IP packet in a captured frame, whatever link it was captured on.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/expected.h"
#include "wire/capture_file.h"

namespace carpd {

struct LinkFrame {
    Bytes ip;            // begins with the IP header; what follows the packet is still there
    std::uint16_t vlan;  // the id of the innermost tag; 0: none
    bool is_outgoing;    // the host that captured it sent it, as far as the link's header says
};

// Whether frames of this link can be read.
bool is_readable(LinkType link);

// Of a readable link. Nothing where there is no IPv4 or IPv6 packet of protocol 112 in it.
std::optional<LinkFrame> carp_in_frame(LinkType link, Bytes frame);

// What goes before an IP packet in a frame of LinkType::linux_cooked2.
struct CookedHeader {
    std::uint16_t protocol;     // of Ethernet
    std::uint32_t interface;    // its index
    std::uint16_t hardware;     // ARPHRD_*
    std::uint8_t packet_type;   // PACKET_*
    std::uint8_t address_size;  // of the sender's, up to 8
    std::array<std::uint8_t, 8> address;
    std::optional<std::uint16_t> vlan;  // the tag that the kernel took out

    static constexpr std::size_t kLongest = 24;
    // Returns how much of `out` it took.
    std::size_t write(std::span<std::uint8_t, kLongest> out) const;
};

}  // namespace carpd
