#include "crypto/hmac_sha1.h"

#include <nettle/sha1.h>

#include <algorithm>
#include <cstring>

namespace carpd {

Sha1Digest sha1(Bytes message) {
    sha1_ctx context;
    sha1_init(&context);
    sha1_update(&context, message.size(), message.data());
    Sha1Digest digest;
    sha1_digest(&context, digest.size(), digest.data());
    return digest;
}

HmacSha1::HmacSha1(Bytes key) {
    Block padded{};
    if (key.size() <= kBlock) {
        std::copy(key.begin(), key.end(), padded.begin());
    } else {
        const Sha1Digest digest = sha1(key);
        std::copy(digest.begin(), digest.end(), padded.begin());
    }
    inner_ = hash_first_block(padded, 0x36);
    outer_ = hash_first_block(padded, 0x5c);
}

HmacSha1::State HmacSha1::hash_first_block(const Block& key, std::uint8_t pad) {
    State state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    Block block;
    std::transform(key.begin(), key.end(), block.begin(),
                   [pad](std::uint8_t byte) { return static_cast<std::uint8_t>(byte ^ pad); });
    nettle_sha1_compress(state.data(), block.data());
    return state;
}

void HmacSha1::update(Bytes message) {
    while (!message.empty()) {
        const std::size_t used = length_ % kBlock;
        const Bytes part = message.first(std::min(message.size(), kBlock - used));
        std::copy(part.begin(), part.end(), block_.begin() + static_cast<std::ptrdiff_t>(used));
        length_ += static_cast<std::uint32_t>(part.size());
        message = message.subspan(part.size());
        if (length_ % kBlock == 0) nettle_sha1_compress(inner_.data(), block_.data());
    }
}

// Pads a message of `length` bytes behind the key's block, the last of which are in `block`.
Sha1Digest HmacSha1::finish(State state, Block block, std::uint64_t length) {
    constexpr std::size_t kLengthAt = kBlock - 8;
    std::size_t used = length % kBlock;
    block[used++] = 0x80;
    std::fill(block.begin() + static_cast<std::ptrdiff_t>(used), block.end(), std::uint8_t{0});
    if (used > kLengthAt) {
        nettle_sha1_compress(state.data(), block.data());
        block.fill(0);
    }
    ByteWriter(std::span(block).subspan(kLengthAt)).u64(8 * (kBlock + length));
    nettle_sha1_compress(state.data(), block.data());
    Sha1Digest digest;
    ByteWriter writer(digest);
    for (const std::uint32_t word : state) writer.u32(word);
    return digest;
}

Sha1Digest HmacSha1::finish() {
    const Sha1Digest inner = finish(inner_, block_, length_);
    Block block;
    std::copy(inner.begin(), inner.end(), block.begin());
    return finish(outer_, block, inner.size());
}

bool equal_in_constant_time(const Sha1Digest& a, const Sha1Digest& b) {
    std::uint64_t x[3] = {}, y[3] = {};
    std::memcpy(x, a.data(), a.size());
    std::memcpy(y, b.data(), b.size());
    return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2])) == 0;
}

}  // namespace carpd
