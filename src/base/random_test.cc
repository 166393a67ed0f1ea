#include "base/random.h"

#include <gtest/gtest.h>

namespace carpd {
namespace {

// The published outputs of splitmix64: a seed must mean the same run everywhere and for ever.
TEST(Random, IsSplitmix64) {
    Random random(1234567);
    EXPECT_EQ(random.next(), 6457827717110365317u);
    EXPECT_EQ(random.next(), 3203168211198807973u);
    EXPECT_EQ(random.next(), 9817491932198370423u);
}

}  // namespace
}  // namespace carpd
