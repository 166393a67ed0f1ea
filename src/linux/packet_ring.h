// Memory that a packet socket shares with the kernel (packet_mmap): packets come and go without a system call
// for each. Of use where thousands of advertisements a second are most of what a process does. CarpSocket has
// one of each kind for what it hears and says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/bytes.h"

struct sockaddr_ll;
struct tpacket2_hdr;

namespace carpd {

// The memory itself: frames of one size, which do not cross the borders of blocks.
class PacketRing {
 public:
    // Of `option`, PACKET_RX_RING or PACKET_TX_RING; nothing if the kernel refuses, errno says why.
    static std::optional<PacketRing> map(int fd, int option, std::size_t frame_size, std::size_t blocks);

    std::size_t size() const { return frames_; }
    tpacket2_hdr* frame(std::size_t number) const;

 private:
    static constexpr std::size_t kBlockSize = 64 * 1024;
    struct Unmap {
        std::size_t size;
        void operator()(std::uint8_t* memory) const;
    };
    std::unique_ptr<std::uint8_t[], Unmap> memory_;
    std::size_t frame_size_ = 0, frames_ = 0;
};

// What a socket receives.
class ReceiveRing {
 public:
    // `fd`, a packet socket that is not bound yet, outlives the ring. Packets of at most kLength bytes lie in
    // it; longer ones, of up to kMostLength, are fetched from the socket's queue.
    static std::optional<ReceiveRing> open(int fd);
    static constexpr std::size_t kLength = 80, kMostLength = 2048;

    // The next packet, which stays where it is until release(); nothing when none waits, or only after
    // release().
    struct Packet {
        Bytes bytes;
        const sockaddr_ll* sender;
    };
    std::optional<Packet> next();
    // Gives the places of all packets back to the kernel.
    void release();

 private:
    ReceiveRing(int fd, PacketRing ring);
    Bytes fetch_long(Bytes beginning, std::size_t size);

    int fd_;
    PacketRing ring_;
    std::size_t first_ = 0, taken_ = 0;  // frames that are not given back
    std::unique_ptr<std::uint8_t[]> long_packet_;
    bool has_long_packet_ = false;
};

// What a socket sends.
class SendRing {
 public:
    // `fd`, a packet socket, outlives the ring.
    static std::optional<SendRing> open(int fd);
    static constexpr std::size_t kLength = 96;  // the longest frame

    // Whether there is a place for a frame behind those that were put, or a slow card still has it.
    bool has_place() const;
    void put(Bytes frame);
    // Sends what was put to `destination`. Returns how many of them, from the first, were handed to the
    // network; the one after them was refused, and the others were not tried. All are forgotten.
    std::size_t flush(const sockaddr_ll& destination);

 private:
    SendRing(int fd, PacketRing ring) : fd_(fd), ring_(std::move(ring)) {}

    int fd_;
    PacketRing ring_;
    std::size_t head_ = 0, put_ = 0;  // the kernel looks at head_ next
};

}  // namespace carpd
