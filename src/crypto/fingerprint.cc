#include "crypto/fingerprint.h"

#include <nettle/sha2.h>

#include <array>
#include <string_view>

namespace carpd {

namespace {

// `purpose` keeps it apart from whatever else is hashed of the same bytes.
std::string first_digits(std::string_view purpose, Bytes bytes, std::size_t digits) {
    constexpr const char* kDigits = "0123456789abcdef";
    sha256_ctx context;
    sha256_init(&context);
    sha256_update(&context, purpose.size(), reinterpret_cast<const std::uint8_t*>(purpose.data()));
    sha256_update(&context, bytes.size(), bytes.data());
    std::array<std::uint8_t, SHA256_DIGEST_SIZE> digest;
    sha256_digest(&context, digest.size(), digest.data());
    std::string text;
    for (std::size_t i = 0; i < digits; ++i) text += kDigits[(digest[i / 2] >> (i % 2 == 0 ? 4 : 0)) & 0xf];
    return text;
}

}  // namespace

std::string key_fingerprint(Bytes key) {
    return first_digits("carpd key", key, 4);
}

std::string fingerprint(Bytes bytes) {
    return first_digits("carpd", bytes, 8);
}

}  // namespace carpd
