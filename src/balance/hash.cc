#include "balance/hash.h"

#include <algorithm>

#include "crypto/hmac_sha1.h"

namespace carpd {

namespace {

std::uint32_t big_endian(const std::uint8_t* bytes) {
    return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 |
           bytes[3];
}

std::uint32_t little_endian(const std::uint8_t* bytes) {
    return std::uint32_t{bytes[3]} << 24 | std::uint32_t{bytes[2]} << 16 | std::uint32_t{bytes[1]} << 8 |
           bytes[0];
}

// The BSDs read the words of the digest as their processor has them; hosts of one pool must agree, and nearly
// all of today's are little-endian (rule N2).
std::uint32_t word(const Sha1Digest& digest, std::size_t index) {
    return little_endian(digest.data() + 4 * index);
}

// Bob Jenkins's mix of three words (his hash of 1996, "lookup2").
std::uint32_t jenkins_mix(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
    constexpr int kShifts[3][3] = {{13, 8, 13}, {12, 16, 5}, {3, 10, 15}};
    for (const auto& [first, second, third] : kShifts) {
        a = (a - b - c) ^ (c >> first);
        b = (b - c - a) ^ (a << second);
        c = (c - a - b) ^ (b >> third);
    }
    return c;
}

// Of the key as HMAC pads it, and the bytes 2 and 1.
Sha1Digest digest_of(const std::array<std::uint8_t, 20>& key) {
    std::array<std::uint8_t, 66> message;
    message.fill(0x36);
    for (std::size_t i = 0; i < key.size(); ++i) message[i] ^= key[i];
    message[64] = 2;
    message[65] = 1;
    return sha1(message);
}

}  // namespace

std::uint32_t hash_of(const IpAddress& source, const IpAddress& destination) {
    std::uint32_t h = 0;
    for (const IpAddress& address : {source, destination})
        for (std::size_t i = 0; i < address.bytes().size(); i += 4)
            h ^= big_endian(address.bytes().data() + i);
    return h;
}

ArpHash::ArpHash(const std::array<std::uint8_t, 20>& key) {
    const Sha1Digest digest = digest_of(key);
    b_ = word(digest, 0) ^ word(digest, 1);
    c_ = (word(digest, 2) ^ word(digest, 3)) + little_endian(key.data());
}

std::uint32_t ArpHash::of(const MacAddress& asker) const {
    const auto& mac = asker.bytes;
    return jenkins_mix(0x9e3779b9 + little_endian(mac.data()), b_ + (std::uint32_t{mac[5]} << 8) + mac[4],
                       c_);
}

std::uint32_t weighted_hash_of(const MacAddress& asker) {
    const auto& mac = asker.bytes;
    return big_endian(mac.data()) ^ (std::uint32_t{mac[4]} << 24 | std::uint32_t{mac[5]} << 16);
}

}  // namespace carpd
