#include "crypto/hmac_sha1.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nettle/hmac.h>

#include <numeric>

#include "tests/captures/captures.h"

namespace carpd {
namespace {

using testing::ElementsAreArray;

Bytes text(std::string_view s) {
    return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

TEST(HmacSha1, Rfc2202) {
    HmacSha1 hmac(text("Jefe"));
    hmac.update(text("what do ya want for nothing?"));
    EXPECT_THAT(hmac.finish(),
                ElementsAreArray(captures::from_hex("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")));
}

TEST(HmacSha1, EveryVectorOfTheProtocol) {
    for (const captures::Vector& v : captures::vectors()) {
        SCOPED_TRACE(v.id);
        HmacSha1 hmac(v.key());
        hmac.update(v.message);
        EXPECT_THAT(hmac.finish(), ElementsAreArray(v.digest));
    }
}

TEST(HmacSha1, ZeroFillingTheKeyChangesNothing) {
    const captures::Vector v = captures::vector("TV1");
    HmacSha1 bare(text(v.password));
    bare.update(v.message);
    EXPECT_THAT(bare.finish(), ElementsAreArray(v.digest));
}

TEST(HmacSha1, ACopyGoesOnFromWhereItWasTaken) {
    const captures::Vector v = captures::vector("TV4");
    HmacSha1 beginning(v.key());
    beginning.update(Bytes(v.message).first(v.message.size() - 8));
    for (int packet = 0; packet < 2; ++packet) {
        HmacSha1 copy = beginning;
        copy.update(Bytes(v.message).last(8));
        EXPECT_THAT(copy.finish(), ElementsAreArray(v.digest));
    }
}

TEST(HmacSha1, IsWhatNettleMakesOfEveryLength) {
    std::array<std::uint8_t, 200> bytes;
    std::iota(bytes.begin(), bytes.end(), std::uint8_t{1});
    for (const std::size_t key_size : {0, 1, 20, 63, 64, 65, 128}) {
        for (std::size_t size = 0; size <= bytes.size(); ++size) {
            const Bytes key = Bytes(bytes).first(key_size), message = Bytes(bytes).first(size);
            hmac_sha1_ctx context;
            hmac_sha1_set_key(&context, key.size(), key.data());
            hmac_sha1_update(&context, message.size(), message.data());
            Sha1Digest expected;
            hmac_sha1_digest(&context, expected.size(), expected.data());

            HmacSha1 hmac(key);
            hmac.update(message.first(size / 3));
            hmac.update(message.subspan(size / 3));
            ASSERT_EQ(hmac.finish(), expected) << key_size << ' ' << size;
        }
    }
}

TEST(EqualInConstantTime, SeesEveryBit) {
    const Sha1Digest digest{0x52, 0x0f, 0x99};
    EXPECT_TRUE(equal_in_constant_time(digest, digest));
    for (std::size_t bit = 0; bit < 8 * digest.size(); ++bit) {
        Sha1Digest other = digest;
        other[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
        EXPECT_FALSE(equal_in_constant_time(digest, other)) << bit;
    }
}

}  // namespace
}  // namespace carpd
