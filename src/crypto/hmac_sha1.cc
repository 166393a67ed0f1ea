#include "crypto/hmac_sha1.h"

#include <nettle/memops.h>

namespace carpd {

HmacSha1::HmacSha1(Bytes key) {
    hmac_sha1_set_key(&context_, key.size(), key.data());
}

void HmacSha1::update(Bytes message) {
    hmac_sha1_update(&context_, message.size(), message.data());
}

Sha1Digest HmacSha1::finish() {
    Sha1Digest digest;
    hmac_sha1_digest(&context_, digest.size(), digest.data());
    return digest;
}

bool equal_in_constant_time(const Sha1Digest& a, const Sha1Digest& b) {
    return memeql_sec(a.data(), b.data(), a.size()) != 0;
}

}  // namespace carpd
