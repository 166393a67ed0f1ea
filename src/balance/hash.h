// The hashes by which hosts that balance load agree who serves a client (docs/protocol/balance.md §2). The
// gate computes the same ones in the kernel (bpf/gate.bpf.c).
#pragma once

#include <array>
#include <cstdint>

#include "base/addresses.h"

namespace carpd {

// Of a packet: the same for both directions (rule N1). Both addresses of one family.
std::uint32_t hash_of(const IpAddress& source, const IpAddress& destination);

// Of who asks for an address by ARP or neighbour discovery, as the BSDs have it (rule N2).
class ArpHash {
 public:
    explicit ArpHash(const std::array<std::uint8_t, 20>& key);
    std::uint32_t of(const MacAddress& asker) const;
    // What comes of the key, for the gate: b begins with the first, c with the second.
    std::uint32_t b() const { return b_; }
    std::uint32_t c() const { return c_; }

 private:
    std::uint32_t b_, c_;
};

// The same of carpd's own variant (rule N3).
std::uint32_t weighted_hash_of(const MacAddress& asker);

// MurmurHash3's finalizer: every bit of h changes every bit of the result with probability 1/2 (rule N3).
constexpr std::uint32_t mix(std::uint32_t h) {
    h ^= h >> 16;
    h *= 0x85ebca6b;
    h ^= h >> 13;
    h *= 0xc2b2ae35;
    return h ^ (h >> 16);
}

}  // namespace carpd
