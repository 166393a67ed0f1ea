#include "linux/packet_ring.h"

#include <linux/if_packet.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/assert.h"

namespace carpd {

namespace {

constexpr std::size_t kReceiveBlocks = 5;  // 2045 packets
constexpr std::size_t kSendBlocks = 2;     // 1024 frames
// The header, the sender, and up to 16 bytes of a link's header that a SOCK_DGRAM socket doesn't see.
constexpr std::size_t kReceiveFrame = TPACKET_ALIGN(TPACKET2_HDRLEN) + 16 + ReceiveRing::kLength;
constexpr std::size_t kSendOffset = TPACKET2_HDRLEN - sizeof(sockaddr_ll);
// struct virtio_net_hdr of <linux/virtio_net.h>, which is no C++.
struct VirtualCardHeader {
    std::uint8_t flags, gso_type;
    std::uint16_t header_length, gso_size, checksum_start, checksum_offset;
};
constexpr std::size_t kSendFrame = TPACKET_ALIGN(kSendOffset + sizeof(VirtualCardHeader) + SendRing::kLength);

std::uint32_t status_of(tpacket2_hdr* header) {
    return std::atomic_ref(header->tp_status).load(std::memory_order_acquire);
}
void set_status(tpacket2_hdr* header, std::uint32_t status) {
    std::atomic_ref(header->tp_status).store(status, std::memory_order_release);
}
std::uint8_t* bytes_of(tpacket2_hdr* header) {
    return reinterpret_cast<std::uint8_t*>(header);
}

}  // namespace

// ---- memory

void PacketRing::Unmap::operator()(std::uint8_t* memory) const {
    munmap(memory, size);
}

std::optional<PacketRing> PacketRing::map(int fd, int option, std::size_t frame_size, std::size_t blocks) {
    const std::size_t frames = blocks * (kBlockSize / frame_size);
    const int version = TPACKET_V2;
    const tpacket_req request{kBlockSize, static_cast<unsigned>(blocks), static_cast<unsigned>(frame_size),
                              static_cast<unsigned>(frames)};
    if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0 ||
        setsockopt(fd, SOL_PACKET, option, &request, sizeof request) != 0)
        return std::nullopt;
    const std::size_t size = blocks * kBlockSize;
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) return std::nullopt;
    PacketRing ring;
    ring.memory_ = {static_cast<std::uint8_t*>(memory), Unmap{size}};
    ring.frame_size_ = frame_size;
    ring.frames_ = frames;
    return ring;
}

tpacket2_hdr* PacketRing::frame(std::size_t number) const {
    const std::size_t of_a_block = kBlockSize / frame_size_, place = number % frames_;
    return reinterpret_cast<tpacket2_hdr*>(
        &memory_[place / of_a_block * kBlockSize + place % of_a_block * frame_size_]);
}

// ---- receiving

ReceiveRing::ReceiveRing(int fd, PacketRing ring)
    : fd_(fd), ring_(std::move(ring)), long_packet_(new std::uint8_t[kMostLength]) {}

std::optional<ReceiveRing> ReceiveRing::open(int fd) {
    const int on = 1;  // what doesn't fit in a frame waits in the socket's queue
    if (setsockopt(fd, SOL_PACKET, PACKET_COPY_THRESH, &on, sizeof on) != 0) return std::nullopt;
    auto ring = PacketRing::map(fd, PACKET_RX_RING, kReceiveFrame, kReceiveBlocks);
    if (!ring) return std::nullopt;
    return ReceiveRing(fd, std::move(*ring));
}

std::optional<ReceiveRing::Packet> ReceiveRing::next() {
    if (taken_ == ring_.size()) return std::nullopt;
    tpacket2_hdr* header = ring_.frame(first_ + taken_);
    const std::uint32_t status = status_of(header);
    if (!(status & TP_STATUS_USER)) return std::nullopt;
    Bytes bytes(bytes_of(header) + header->tp_net, header->tp_snaplen);
    if (status & TP_STATUS_COPY) {
        if (has_long_packet_) return std::nullopt;  // there is room for one
        bytes = fetch_long(bytes, header->tp_len);
    }
    ++taken_;
    return Packet{bytes,
                  reinterpret_cast<const sockaddr_ll*>(bytes_of(header) + TPACKET_ALIGN(sizeof *header))};
}

// They wait in the queue in the order of the ring.
Bytes ReceiveRing::fetch_long(Bytes beginning, std::size_t size) {
    const ssize_t received = recv(fd_, long_packet_.get(), kMostLength, MSG_DONTWAIT);
    if (received < 0 || static_cast<std::size_t>(received) != std::min(size, kMostLength)) return beginning;
    has_long_packet_ = true;
    return {long_packet_.get(), static_cast<std::size_t>(received)};
}

void ReceiveRing::release() {
    for (; taken_ > 0; --taken_) set_status(ring_.frame(first_++), TP_STATUS_KERNEL);
    has_long_packet_ = false;
}

// ---- sending

std::optional<SendRing> SendRing::open(int fd) {
    // The kernel would send pages of the ring, which costs more than to copy so few bytes. It copies what a
    // virtual card calls a header.
    const int on = 1;
    if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) != 0) return std::nullopt;
    auto ring = PacketRing::map(fd, PACKET_TX_RING, kSendFrame, kSendBlocks);
    if (!ring) return std::nullopt;
    return SendRing(fd, std::move(*ring));
}

bool SendRing::has_place() const {
    return put_ < ring_.size() && status_of(ring_.frame(head_ + put_)) == TP_STATUS_AVAILABLE;
}

void SendRing::put(Bytes frame) {
    CARPD_ASSERT(frame.size() <= kLength);
    tpacket2_hdr* header = ring_.frame(head_ + put_++);
    VirtualCardHeader how{};
    how.header_length = static_cast<std::uint16_t>(frame.size());
    std::uint8_t* place = bytes_of(header) + kSendOffset;
    std::memcpy(place, &how, sizeof how);
    std::copy(frame.begin(), frame.end(), place + sizeof how);
    header->tp_len = static_cast<std::uint32_t>(sizeof how + frame.size());
    set_status(header, TP_STATUS_SEND_REQUEST);
}

// A frame that was sent, or waits for the card, has another status.
std::size_t SendRing::flush(const sockaddr_ll& destination) {
    sendto(fd_, nullptr, 0, MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&destination),
           sizeof destination);
    std::size_t sent = 0;
    bool is_refused = false;
    for (std::size_t i = 0; i < put_; ++i) {
        tpacket2_hdr* header = ring_.frame(head_ + i);
        const std::uint32_t status = status_of(header);
        is_refused |= status == TP_STATUS_SEND_REQUEST || status == TP_STATUS_WRONG_FORMAT;
        if (is_refused)
            set_status(header, TP_STATUS_AVAILABLE);
        else
            ++sent;
    }
    head_ += sent;
    put_ = 0;
    return sent;
}

}  // namespace carpd
