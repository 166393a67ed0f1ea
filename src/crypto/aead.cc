#include "crypto/aead.h"

#include <nettle/gcm.h>
#include <nettle/hkdf.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>

#include <cstring>

namespace carpd {

Secret extract_secret(Bytes salt, Bytes key) {
    hmac_sha256_ctx context;
    hmac_sha256_set_key(&context, salt.size(), salt.data());
    Secret secret;
    hkdf_extract(&context, reinterpret_cast<nettle_hash_update_func*>(hmac_sha256_update),
                 reinterpret_cast<nettle_hash_digest_func*>(hmac_sha256_digest), secret.size(), key.size(),
                 key.data(), secret.data());
    return secret;
}

Secret expand_secret(const Secret& secret, std::string_view label) {
    hmac_sha256_ctx context;
    hmac_sha256_set_key(&context, secret.size(), secret.data());
    Secret expanded;
    hkdf_expand(&context, reinterpret_cast<nettle_hash_update_func*>(hmac_sha256_update),
                reinterpret_cast<nettle_hash_digest_func*>(hmac_sha256_digest), expanded.size(), label.size(),
                reinterpret_cast<const std::uint8_t*>(label.data()), expanded.size(), expanded.data());
    return expanded;
}

struct Aead::Context {
    gcm_aes256_ctx gcm;
};

Aead::Aead(const Secret& key) : context_(std::make_unique<Context>()) {
    gcm_aes256_set_key(&context_->gcm, key.data());
}
Aead::~Aead() = default;
Aead::Aead(Aead&&) noexcept = default;
Aead& Aead::operator=(Aead&&) noexcept = default;

namespace {

void begin(gcm_aes256_ctx& gcm, std::uint64_t number, Bytes clear) {
    std::uint8_t nonce[GCM_IV_SIZE] = {};
    ByteWriter(std::span(nonce).last(8)).u64(number);
    gcm_aes256_set_iv(&gcm, sizeof nonce, nonce);
    gcm_aes256_update(&gcm, clear.size(), clear.data());
}

}  // namespace

void Aead::seal(std::uint64_t number, Bytes clear, std::span<std::uint8_t> body) const {
    CARPD_ASSERT(body.size() >= kTagSize);
    gcm_aes256_ctx& gcm = context_->gcm;
    const std::size_t size = body.size() - kTagSize;
    begin(gcm, number, clear);
    gcm_aes256_encrypt(&gcm, size, body.data(), body.data());
    gcm_aes256_digest(&gcm, kTagSize, body.data() + size);
}

bool Aead::open(std::uint64_t number, Bytes clear, std::span<std::uint8_t> body) const {
    if (body.size() < kTagSize) return false;
    gcm_aes256_ctx& gcm = context_->gcm;
    const std::size_t size = body.size() - kTagSize;
    std::uint8_t tag[kTagSize];
    begin(gcm, number, clear);
    gcm_aes256_decrypt(&gcm, size, body.data(), body.data());
    gcm_aes256_digest(&gcm, kTagSize, tag);
    if (memeql_sec(tag, body.data() + size, kTagSize)) return true;
    begin(gcm, number, clear);  // back to what it was
    gcm_aes256_encrypt(&gcm, size, body.data(), body.data());
    return false;
}

}  // namespace carpd
