// Byte order by hand: big-endian numbers in and out of byte arrays.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/assert.h"

namespace carpd {

using Bytes = std::span<const std::uint8_t>;

// Both parsers check a length before they read, so reading past the end is a broken invariant, not bad input.
constexpr std::uint16_t read_u16(Bytes bytes, std::size_t offset) {
    CARPD_ASSERT(offset + 2 <= bytes.size());
    return static_cast<std::uint16_t>(bytes[offset] << 8 | bytes[offset + 1]);
}

constexpr std::uint64_t read_u64(Bytes bytes, std::size_t offset) {
    CARPD_ASSERT(offset + 8 <= bytes.size());
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 8; ++i) value = value << 8 | bytes[offset + i];
    return value;
}

// Writes forward through a buffer that the caller sized; running over it is a broken invariant.
class ByteWriter {
 public:
    constexpr explicit ByteWriter(std::span<std::uint8_t> out) : out_(out) {}

    constexpr void u8(std::uint8_t value) {
        CARPD_ASSERT(size_ < out_.size());
        out_[size_++] = value;
    }
    constexpr void u16(std::uint16_t value) {
        u8(static_cast<std::uint8_t>(value >> 8));
        u8(static_cast<std::uint8_t>(value));
    }
    constexpr void u32(std::uint32_t value) {
        u16(static_cast<std::uint16_t>(value >> 16));
        u16(static_cast<std::uint16_t>(value));
    }
    constexpr void u64(std::uint64_t value) {
        u32(static_cast<std::uint32_t>(value >> 32));
        u32(static_cast<std::uint32_t>(value));
    }
    constexpr void bytes(Bytes value) {
        CARPD_ASSERT(value.size() <= out_.size() - size_);
        std::copy(value.begin(), value.end(), out_.begin() + static_cast<std::ptrdiff_t>(size_));
        size_ += value.size();
    }
    constexpr std::size_t size() const { return size_; }

 private:
    std::span<std::uint8_t> out_;
    std::size_t size_ = 0;
};

}  // namespace carpd
