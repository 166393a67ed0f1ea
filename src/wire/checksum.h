// The Internet checksum (RFC 1071).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace carpd {

// Sum of 16-bit big-endian words to continue with; an odd last byte counts as the high one.
constexpr std::uint32_t checksum_sum(Bytes bytes, std::uint32_t sum = 0) {
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += read_u16(bytes, i);
    if (bytes.size() % 2 != 0) sum += static_cast<std::uint32_t>(bytes.back()) << 8;
    return sum;
}

// What goes into a checksum field that was zero while summing; 0 over data that holds a right checksum.
constexpr std::uint16_t checksum_fold(std::uint32_t sum) {
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

constexpr std::uint16_t checksum(Bytes bytes) {
    return checksum_fold(checksum_sum(bytes));
}

}  // namespace carpd
