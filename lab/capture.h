// What a host really sent or received, seen from the switch's side of its cable, with the kernel's
// timestamps.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/addresses.h"
#include "base/bytes.h"
#include "lab/lab.h"
#include "wire/ip_packet.h"

namespace carpd::lab {

struct CapturedFrame {
    Time time;
    bool sent;  // by the host; otherwise to it
    std::vector<std::uint8_t> bytes;

    MacAddress destination() const { return mac_at(0); }
    MacAddress source() const { return mac_at(6); }
    std::uint16_t ethertype() const { return read_u16(bytes, 12); }
    Bytes payload() const { return Bytes(bytes).subspan(14); }

    bool is_ipv4(std::uint8_t protocol) const;
    bool is_ipv6(std::uint8_t next_header) const;
    // An IP packet of protocol 112, either family, and none of those by which only hosts that run carpd see
    // each other.
    bool is_advertisement() const {
        return (is_ipv4(kCarpProtocol) || is_ipv6(kCarpProtocol)) && !has_beacon();
    }
    bool has_beacon() const;
    bool is_arp() const { return ethertype() == 0x0806 && bytes.size() >= 42; }
    // An ARP packet that says its sender has `address`: an answer or an announcement.
    bool claims_by_arp(const IpAddress& address) const;
    // A neighbour advertisement for `address`.
    bool claims_by_neighbor_advertisement(const IpAddress& address) const;
    bool claims(const IpAddress& address) const {
        return claims_by_arp(address) || claims_by_neighbor_advertisement(address);
    }
    // Source of an IPv4 or IPv6 packet; 0.0.0.0 for anything else.
    IpAddress ip_source() const;
    IpAddress ip_destination() const;

 private:
    MacAddress mac_at(std::size_t offset) const;
};

class Capture {
 public:
    // From now on. `control` leaves out everything but ARP, ICMPv6 and protocol 112.
    enum class What { control, everything };
    explicit Capture(Host& host, What what = What::control, const std::string& interface = "eth0");

    // Everything since the start.
    const std::vector<CapturedFrame>& frames();
    std::vector<CapturedFrame> sent(bool (CapturedFrame::*kind)() const);
    // A pcap file of what was captured so far, for tcpdump and tshark; returns its path.
    std::string write_pcap();

 private:
    Host& host_;
    UniqueFd socket_;
    std::vector<CapturedFrame> frames_;
};

// What `tcpdump -T carp -vv` makes of a pcap file.
std::string decode_with_tcpdump(const std::string& pcap);

}  // namespace carpd::lab
