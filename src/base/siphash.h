// SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012; one round for each word,
// three at the end, as hash tables use it). With a secret key nobody outside can choose inputs that collide;
// with a key that everybody knows it is a good 64-bit digest. Not a signature: that is crypto/.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace carpd {

struct SipKey {
    std::uint64_t first = 0, second = 0;
};

class SipState {
 public:
    constexpr explicit SipState(const SipKey& key)
        : v0_(key.first ^ 0x736f6d6570736575),
          v1_(key.second ^ 0x646f72616e646f6d),
          v2_(key.first ^ 0x6c7967656e657261),
          v3_(key.second ^ 0x7465646279746573) {}

    constexpr void word(std::uint64_t m) {
        v3_ ^= m;
        round();
        v0_ ^= m;
    }
    constexpr std::uint64_t finish() {
        v2_ ^= 0xff;
        round();
        round();
        round();
        return v0_ ^ v1_ ^ v2_ ^ v3_;
    }

 private:
    constexpr void round() {
        v0_ += v1_;
        v1_ = std::rotl(v1_, 13) ^ v0_;
        v0_ = std::rotl(v0_, 32);
        v2_ += v3_;
        v3_ = std::rotl(v3_, 16) ^ v2_;
        v0_ += v3_;
        v3_ = std::rotl(v3_, 21) ^ v0_;
        v2_ += v1_;
        v1_ = std::rotl(v1_, 17) ^ v2_;
        v2_ = std::rotl(v2_, 32);
    }

    std::uint64_t v0_, v1_, v2_, v3_;
};

constexpr std::uint64_t siphash(const SipKey& key, Bytes bytes) {
    SipState state(key);
    const std::uint8_t* at = bytes.data();
    for (std::size_t left = bytes.size(); left >= 8; left -= 8, at += 8) {
        std::uint64_t word = 0;
        for (int i = 0; i < 8; ++i) word |= static_cast<std::uint64_t>(at[i]) << 8 * i;
        state.word(word);
    }
    std::uint64_t last = static_cast<std::uint64_t>(bytes.size()) << 56;
    for (std::size_t i = 0; i < bytes.size() % 8; ++i) last |= static_cast<std::uint64_t>(at[i]) << 8 * i;
    state.word(last);
    return state.finish();
}

}  // namespace carpd
