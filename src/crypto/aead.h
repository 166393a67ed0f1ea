// What hides a datagram of state synchronisation and proves who made it: AES-256-GCM (NIST SP 800-38D), and
// HKDF with SHA-256 (RFC 5869), which makes its keys.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/bytes.h"

namespace carpd {

using Secret = std::array<std::uint8_t, 32>;

// HKDF-Extract and HKDF-Expand, to 32 bytes.
Secret extract_secret(Bytes salt, Bytes key);
Secret expand_secret(const Secret& secret, std::string_view label);

class Aead {
 public:
    static constexpr std::size_t kTagSize = 16;

    explicit Aead(const Secret& key);
    ~Aead();
    Aead(Aead&&) noexcept;
    Aead& operator=(Aead&&) noexcept;

    // Encrypts `body` where it stands; its last kTagSize bytes are room for the tag, which also covers
    // `clear`. `number` is never used twice with one key.
    void seal(std::uint64_t number, Bytes clear, std::span<std::uint8_t> body) const;
    // The reverse. False, and `body` is as it was, if another key, number or header made it, or none.
    bool open(std::uint64_t number, Bytes clear, std::span<std::uint8_t> body) const;

 private:
    struct Context;
    std::unique_ptr<Context> context_;
};

}  // namespace carpd
