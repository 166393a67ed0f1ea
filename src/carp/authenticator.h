// The digest that keeps strangers out of the election: HMAC-SHA1 over version, type, vhid, the sorted address
// list and the counter (docs/protocol/carp.md §2, rules D1 to D4).
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/addresses.h"
#include "carp/types.h"
#include "crypto/hmac_sha1.h"

namespace carpd {

class Authenticator {
 public:
    // Everything but the counter is hashed here, once.
    Authenticator(const Key& key, Vhid vhid, std::span<const InterfaceAddress> addresses);

    // The digest of our advertisement with `counter`: link-local addresses left out, as OpenBSD does (rule
    // D3).
    Sha1Digest sign(std::uint64_t counter) const;
    // Whether a peer with our key and our addresses made `digest`, with or without its link-local addresses.
    bool verify(std::uint64_t counter, const Sha1Digest& digest) const;

 private:
    HmacSha1 without_link_local_;
    std::unique_ptr<const HmacSha1> with_link_local_;  // null: it would be the same
};

}  // namespace carpd
