// HMAC-SHA1 (RFC 2104), thin over nettle, and a comparison that takes the same time wherever the bytes
// differ.
#pragma once

#include <nettle/hmac.h>

#include <array>
#include <cstdint>

#include "base/bytes.h"

namespace carpd {

using Sha1Digest = std::array<std::uint8_t, 20>;

// A running HMAC. Copying one copies what was hashed so far, which is how a message's constant beginning (and
// the key block) is hashed once and used for every packet.
class HmacSha1 {
 public:
    explicit HmacSha1(Bytes key);
    void update(Bytes message);
    // Ends the message; the object may only be assigned to afterwards.
    Sha1Digest finish();

 private:
    hmac_sha1_ctx context_;
};

// Whether two digests are equal, in constant time.
bool equal_in_constant_time(const Sha1Digest& a, const Sha1Digest& b);

}  // namespace carpd
