#include "base/bytes.h"

#include <gtest/gtest.h>

#include <array>

namespace carpd {
namespace {

TEST(Bytes, ReadsWhatWasWritten) {
    std::array<std::uint8_t, 17> buffer{};
    ByteWriter writer(buffer);
    writer.u8(0x01);
    writer.u16(0xa203);
    writer.u32(0x04050607);
    writer.u64(0xf8090a0b0c0d0e0f);
    const std::uint8_t tail[] = {0x10, 0x11};
    writer.bytes(tail);
    EXPECT_EQ(writer.size(), buffer.size());
    const std::array<std::uint8_t, 17> expected = {1,  0xa2, 3,  4,  5,  6,  7,  0xf8, 9,
                                                   10, 11,   12, 13, 14, 15, 16, 17};
    EXPECT_EQ(buffer, expected);
    EXPECT_EQ(read_u16(buffer, 1), 0xa203);
    EXPECT_EQ(read_u64(buffer, 7), 0xf8090a0b0c0d0e0f);
}

TEST(BytesDeathTest, RunningOverTheEndIsABrokenInvariant) {
    std::array<std::uint8_t, 3> buffer{};
    EXPECT_DEATH(ByteWriter(buffer).u32(1), "broken invariant");
    EXPECT_DEATH(ByteWriter(buffer).bytes(std::array<std::uint8_t, 4>{}), "broken invariant");
    EXPECT_DEATH(read_u16(buffer, 2), "broken invariant");
    EXPECT_DEATH(read_u64(buffer, 0), "broken invariant");
}

}  // namespace
}  // namespace carpd
