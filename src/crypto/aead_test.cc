#include "crypto/aead.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/captures/captures.h"

namespace carpd {
namespace {

using captures::from_hex;
using testing::ElementsAreArray;
using testing::Not;
using Buffer = std::vector<std::uint8_t>;

// RFC 5869, appendix A.1, of whose 42 bytes ours are the first.
TEST(Hkdf, Rfc5869) {
    const Secret secret = extract_secret(from_hex("000102030405060708090a0b0c"),
                                         from_hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"));
    EXPECT_THAT(secret, ElementsAreArray(
                            from_hex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5")));
    EXPECT_THAT(
        expand_secret(secret, "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9"),
        ElementsAreArray(from_hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf")));
}

Buffer with_room(Buffer text) {
    text.resize(text.size() + Aead::kTagSize);
    return text;
}

// Test cases 13 and 14 of "The Galois/Counter Mode of Operation" (McGrew and Viega), whose nonce is zero.
TEST(Aead, PublishedVectors) {
    const Aead aead(Secret{});
    Buffer nothing = with_room({});
    aead.seal(0, {}, nothing);
    EXPECT_THAT(nothing, ElementsAreArray(from_hex("530f8afbc74536b9a963b4f1c4cb738b")));
    Buffer zeros = with_room(Buffer(16));
    aead.seal(0, {}, zeros);
    EXPECT_THAT(zeros, ElementsAreArray(from_hex("cea7403d4d606b6e074ec5d3baf39d18"
                                                 "d0d1c8a799996bf0265b98b5d48ab919")));
}

TEST(Aead, OpensWhatItSealedAndNothingElse) {
    Secret key{};
    key[0] = 1;
    const Aead aead(key), other(Secret{});
    const Buffer clear{1, 2, 3}, text{4, 5, 6, 7, 8};
    Buffer sealed = with_room(text);
    aead.seal(7, clear, sealed);
    EXPECT_THAT(Bytes(sealed).first(text.size()), Not(ElementsAreArray(text)));

    const auto opens = [&](const Aead& by, std::uint64_t number, const Buffer& header, Buffer body) {
        const Buffer before = body;
        const bool open = by.open(number, header, body);
        if (open) {
            EXPECT_THAT(Bytes(body).first(text.size()), ElementsAreArray(text));
        } else {
            EXPECT_EQ(body, before);
        }
        return open;
    };
    EXPECT_TRUE(opens(aead, 7, clear, sealed));
    EXPECT_FALSE(opens(other, 7, clear, sealed));
    EXPECT_FALSE(opens(aead, 8, clear, sealed));
    EXPECT_FALSE(opens(aead, 7, {1, 2, 4}, sealed));
    EXPECT_FALSE(opens(aead, 7, clear, Buffer(sealed.begin(), sealed.end() - 1)));
    EXPECT_FALSE(opens(aead, 7, clear, Buffer(15)));
    for (std::size_t i = 0; i < sealed.size(); ++i) {
        Buffer damaged = sealed;
        damaged[i] ^= 1;
        EXPECT_FALSE(opens(aead, 7, clear, damaged)) << i;
    }
}

}  // namespace
}  // namespace carpd
