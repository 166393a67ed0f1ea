// Which packet numbers of a stream were received: the last 4096 of them (docs/protocol/sync.md, K7). Each is
// let through once; what is older than these, or not above the number with which the stream was accepted,
// is not let through at all.
#pragma once

#include <array>
#include <cstdint>

#include "wire/sync_datagram.h"

namespace carpd {

class ReplayWindow {
 public:
    static constexpr PacketNumber kSize = 4096;

    // Begins with `number`, which is received.
    explicit ReplayWindow(PacketNumber number) : floor_(number), highest_(number) { set(number); }

    PacketNumber highest() const { return highest_; }

    bool is_new(PacketNumber number) const {
        if (number > highest_) return true;
        return number > floor_ && highest_ - number < kSize && !received(number);
    }

    // Of a new number, whose datagram is authentic.
    void add(PacketNumber number) {
        if (number > highest_) {
            // The words between hold numbers that are too old by now.
            const PacketNumber words = number / 64 - highest_ / 64;
            for (PacketNumber i = 1; i <= words && i <= kWords; ++i) word(highest_ / 64 + i) = 0;
            highest_ = number;
        }
        set(number);
    }

    // Bit i: number - i was received. Numbers within the window.
    std::uint64_t received_from(PacketNumber number) const {
        const PacketNumber place = number % 64;
        const std::uint64_t newer = word(number / 64) >> (63 - place);
        if (place == 63 || number < 64) return newer;
        return newer | word(number / 64 - 1) << (place + 1);
    }

 private:
    // One more than is full, for the window begins and ends within a word.
    static constexpr PacketNumber kWords = kSize / 64 + 1;

    std::uint64_t& word(PacketNumber index) { return words_[index % kWords]; }
    const std::uint64_t& word(PacketNumber index) const { return words_[index % kWords]; }
    bool received(PacketNumber number) const { return word(number / 64) << number % 64 >> 63; }
    void set(PacketNumber number) { word(number / 64) |= std::uint64_t{1} << (63 - number % 64); }

    PacketNumber floor_, highest_;
    std::array<std::uint64_t, kWords> words_{};  // the lowest number of each is its highest bit
};

}  // namespace carpd
