// HMAC-SHA1 (RFC 2104) over nettle's SHA-1, and a comparison that takes the same time wherever the bytes
// differ.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"

namespace carpd {

using Sha1Digest = std::array<std::uint8_t, 20>;

// A running HMAC. Copying one copies what was hashed so far, which is how a message's constant beginning (and
// the key, in both of its places) is hashed once and used for every packet: what is left then is one block of
// SHA-1 for the message's end and one for the outer hash. Nettle's own context would take three times the
// memory, which thousands of groups notice.
class HmacSha1 {
 public:
    explicit HmacSha1(Bytes key);
    void update(Bytes message);
    // Ends the message; the object may only be assigned to afterwards.
    Sha1Digest finish();

 private:
    static constexpr std::size_t kBlock = 64;
    using State = std::array<std::uint32_t, 5>;
    using Block = std::array<std::uint8_t, kBlock>;

    static State hash_first_block(const Block& key, std::uint8_t pad);
    static Sha1Digest finish(State state, Block block, std::uint64_t length);

    State inner_, outer_;
    Block block_{};             // what the next whole block begins with
    std::uint32_t length_ = 0;  // of the message so far, in bytes
};

// SHA-1 by itself.
Sha1Digest sha1(Bytes message);

// Whether two digests are equal, in constant time.
bool equal_in_constant_time(const Sha1Digest& a, const Sha1Digest& b);

}  // namespace carpd
