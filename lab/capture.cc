#include "lab/capture.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sys/socket.h>

#include <cstring>
#include <ctime>
#include <fstream>

#include "lab/error.h"
#include "wire/beacon.h"

namespace carpd::lab {

namespace {

constexpr std::uint8_t kIcmpV6 = 58;
constexpr int kBufferSize = 32 << 20;

// ARP, or IPv6 with next header 58 or 112, or IPv4 with protocol 112.
const sock_filter kControlFrames[] = {
    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_ARP, 8, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 2),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kCarpProtocol, 5, 4),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 3),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 20),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kIcmpV6, 2, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kCarpProtocol, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, 0),
    BPF_STMT(BPF_RET | BPF_K, 65535),
};

void filter_control(int socket) {
    sock_fprog program{static_cast<unsigned short>(std::size(kControlFrames)),
                       const_cast<sock_filter*>(kControlFrames)};
    check(setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), "SO_ATTACH_FILTER");
}

std::chrono::nanoseconds since_epoch(const timespec& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

// The kernel stamps packets with the wall clock; the lab's time is the monotonic one.
Span wall_clock_offset() {
    timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    return since_epoch(wall) - Clock::now().time_since_epoch();
}

Time stamp_of(msghdr& message, Span offset) {
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_TIMESTAMPNS) continue;
        timespec time;
        std::memcpy(&time, CMSG_DATA(c), sizeof time);
        return Time(since_epoch(time) - offset);
    }
    return Clock::now();
}

IpAddress address_at(Bytes packet, std::size_t offset, std::size_t size) {
    if (packet.size() < offset + size) return {};
    return IpAddress::from_bytes(packet.subspan(offset, size));
}

}  // namespace

// ---- CapturedFrame

MacAddress CapturedFrame::mac_at(std::size_t offset) const {
    MacAddress mac;
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), 6, mac.bytes.begin());
    return mac;
}

bool CapturedFrame::is_ipv4(std::uint8_t protocol) const {
    return ethertype() == ETH_P_IP && payload().size() >= 20 && payload()[9] == protocol;
}

bool CapturedFrame::is_ipv6(std::uint8_t next_header) const {
    return ethertype() == ETH_P_IPV6 && payload().size() >= 40 && payload()[6] == next_header;
}

bool CapturedFrame::claims_by_arp(const IpAddress& address) const {
    return is_arp() && address_at(payload(), 14, 4) == address;
}

bool CapturedFrame::claims_by_neighbor_advertisement(const IpAddress& address) const {
    return is_ipv6(kIcmpV6) && payload().size() >= 64 && payload()[40] == 136 &&
           address_at(payload(), 48, 16) == address;
}

bool CapturedFrame::has_beacon() const {
    const auto packet = parse_ip_packet(payload());
    return packet && is_beacon(packet->payload);
}

IpAddress CapturedFrame::ip_source() const {
    if (ethertype() == ETH_P_IP) return address_at(payload(), 12, 4);
    return ethertype() == ETH_P_IPV6 ? address_at(payload(), 8, 16) : IpAddress();
}

IpAddress CapturedFrame::ip_destination() const {
    if (ethertype() == ETH_P_IP) return address_at(payload(), 16, 4);
    return ethertype() == ETH_P_IPV6 ? address_at(payload(), 24, 16) : IpAddress();
}

// ---- Capture

Capture::Capture(Host& host, What what, const std::string& interface)
    : host_(host), socket_(host.lab().switch_space().socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0)) {
    const int on = 1;
    check(setsockopt(socket_.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on), "SO_TIMESTAMPNS");
    check(setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kBufferSize, sizeof kBufferSize),
          "SO_RCVBUFFORCE");
    if (what == What::control) filter_control(socket_.get());
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = host.port(interface).index();
    check(bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
}

const std::vector<CapturedFrame>& Capture::frames() {
    const Span offset = wall_clock_offset();
    while (true) {
        std::uint8_t bytes[2048];
        alignas(cmsghdr) char control[128];
        sockaddr_ll from{};
        iovec data{bytes, sizeof bytes};
        msghdr message{&from, sizeof from, &data, 1, control, sizeof control, 0};
        const ssize_t size = recvmsg(socket_.get(), &message, 0);
        if (size < 0 && errno != ENETDOWN) break;  // ENETDOWN: the cable was cut once; there may be more
        if (size < 14) continue;
        frames_.push_back(
            {stamp_of(message, offset), from.sll_pkttype != PACKET_OUTGOING, {bytes, bytes + size}});
    }
    return frames_;
}

std::vector<CapturedFrame> Capture::sent(bool (CapturedFrame::*kind)() const) {
    std::vector<CapturedFrame> result;
    for (const CapturedFrame& frame : frames())
        if (frame.sent && (frame.*kind)()) result.push_back(frame);
    return result;
}

std::string Capture::write_pcap() {
    const std::string path = fmt::format("{}/{}.pcap", host_.lab().folder(), host_.name());
    std::ofstream file(path, std::ios::binary);
    const auto u32 = [&](std::uint32_t value) {
        file.write(reinterpret_cast<const char*>(&value), sizeof value);
    };
    for (std::uint32_t value : {0xa1b23c4du, 0x00040002u, 0u, 0u, 65535u, 1u})
        u32(value);  // nanoseconds, Ethernet
    for (const CapturedFrame& frame : frames()) {
        const Span time = frame.time.time_since_epoch();
        u32(static_cast<std::uint32_t>(time / 1s));
        u32(static_cast<std::uint32_t>((time % 1s).count()));
        for (int i : {0, 1}) (void)i, u32(static_cast<std::uint32_t>(frame.bytes.size()));
        file.write(reinterpret_cast<const char*>(frame.bytes.data()),
                   static_cast<std::streamsize>(frame.bytes.size()));
    }
    return path;
}

std::string decode_with_tcpdump(const std::string& pcap) {
    const Result result = run({{"tcpdump", "-nn", "-vv", "-e", "-T", "carp", "-r", pcap}});
    return result.output + result.errors;
}

}  // namespace carpd::lab
