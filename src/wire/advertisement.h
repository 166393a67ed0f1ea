// The CARP advertisement: 36 bytes, the same for IPv4 and IPv6 (docs/protocol/carp.md §1, rules W1 to W4).
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-------+-------+---------------+---------------+---------------+
//   |ver = 2|type =1|     vhid      |    advskew    |  authlen = 7  |
//   +-------+-------+---------------+---------------+---------------+
//   |    demote     |    advbase    |           checksum            |
//   +---------------+---------------+-------------------------------+
//   |                        counter (64 bits)                      |
//   +---------------------------------------------------------------+
//   |                 HMAC-SHA1 digest (160 bits)                   |
//   +---------------------------------------------------------------+
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "base/expected.h"
#include "crypto/hmac_sha1.h"
#include "wire/drop_reason.h"

namespace carpd {

struct Advertisement {
    std::uint8_t vhid = 0;
    std::uint8_t advskew = 0;
    std::uint8_t demote = 0;
    std::uint8_t advbase = 0;
    std::uint64_t counter = 0;
    Sha1Digest digest{};

    // advbase and advskew both 255: the sender leaves, a backup should take over now (rule W4).
    bool is_bow_out() const { return advbase == 255 && advskew == 255; }
    // Its connections end with it (rule N9).
    bool is_sign_off() const { return is_bow_out() && demote == 255; }
    bool operator==(const Advertisement&) const = default;
};

inline constexpr std::size_t kAdvertisementSize = 36;
using AdvertisementBytes = std::array<std::uint8_t, kAdvertisementSize>;

// The bytes as every implementation sends them, checksum filled in.
AdvertisementBytes encode(const Advertisement& advertisement);

// `payload` is what follows the IP header; bytes behind the 36th are ignored (rule R6). Tells VRRP's
// look-alikes apart (rule R5). Whether the digest is right is the authenticator's question.
Expected<Advertisement, DropReason> decode_advertisement(Bytes payload);

}  // namespace carpd
