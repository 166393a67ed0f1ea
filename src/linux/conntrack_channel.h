// A socket that says many ctnetlink messages at once and hears what became of each.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "linux/conntrack_message.h"
#include "linux/unique_fd.h"

namespace carpd {

// The kernel performs messages in order, while they are sent. It answers to all that it refuses, but to what
// it did only where asked: for the last.
class ConntrackChannel {
 public:
    // Nothing if the kernel refuses it; errno says why.
    static std::optional<ConntrackChannel> open();

    std::uint32_t port() const { return port_; }

    // To be called kMost times at most before exchange(): where to write the next message (put_create() and
    // so on of conntrack_message.h) with which sequence number, and its length afterwards.
    static constexpr std::size_t kMost = 128;
    std::span<std::uint8_t> space() const;
    std::uint32_t sequence() const { return base_ + static_cast<std::uint32_t>(count_); }
    void written(std::size_t size);

    // Sends them. Returns for each, in order, the kernel's errno or 0; valid until the next exchange(). If
    // the kernel can't be talked to, that is the error of all.
    std::span<const int> exchange();

 private:
    ConntrackChannel(UniqueFd socket, std::uint32_t port);
    int hear(std::size_t count);

    UniqueFd socket_;
    std::uint32_t port_;
    std::uint32_t base_ = 1;  // the first message's sequence number
    std::unique_ptr<std::uint8_t[]> buffer_;
    std::size_t size_ = 0, last_ = 0, count_ = 0;
    std::array<int, kMost> errors_{};
};

}  // namespace carpd
