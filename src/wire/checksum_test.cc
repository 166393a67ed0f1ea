#include "wire/checksum.h"

#include <gtest/gtest.h>

namespace carpd {
namespace {

TEST(Checksum, ExampleOfRfc1071) {
    const std::uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    EXPECT_EQ(checksum(bytes), 0xffff - 0xddf2);
}

TEST(Checksum, AnOddLastByteCountsAsTheHighOne) {
    const std::uint8_t odd[] = {0x12, 0x34, 0x56}, even[] = {0x12, 0x34, 0x56, 0x00};
    EXPECT_EQ(checksum(odd), checksum(even));
}

TEST(Checksum, Extremes) {
    EXPECT_EQ(checksum(Bytes()), 0xffff);
    const std::vector<std::uint8_t> ones(64, 0xff);
    EXPECT_EQ(checksum(ones), 0);
}

TEST(Checksum, MayBeSummedInPieces) {
    const std::uint8_t bytes[] = {0xff, 0xfe, 0x80, 0x01, 0x12, 0x34};
    EXPECT_EQ(checksum_fold(checksum_sum(Bytes(bytes).subspan(2), checksum_sum(Bytes(bytes).first(2)))),
              checksum(bytes));
}

}  // namespace
}  // namespace carpd
