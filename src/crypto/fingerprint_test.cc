#include "crypto/fingerprint.h"

#include <gtest/gtest.h>

#include <array>
#include <string_view>

namespace carpd {
namespace {

Bytes bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// printf 'carpd keys3cret' | sha256sum; printf 'carpds3cret' | sha256sum
TEST(Fingerprint, IsTheBeginningOfASha256) {
    EXPECT_EQ(key_fingerprint(bytes("s3cret")), "e677");
    EXPECT_EQ(fingerprint(bytes("s3cret")), "51118380");
    EXPECT_NE(key_fingerprint(bytes("s3cret")), key_fingerprint(bytes("s3crets")));
}

}  // namespace
}  // namespace carpd
