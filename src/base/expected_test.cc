#include "base/expected.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace carpd {
namespace {

using Result = Expected<std::string, int>;

TEST(Expected, HoldsAValueOrTheReasonWhyNot) {
    Result value = std::string("yes");
    EXPECT_TRUE(value);
    EXPECT_EQ(*value, "yes");
    EXPECT_EQ(value->size(), 3u);
    *value = "changed";
    EXPECT_EQ(value.value(), "changed");

    const Result refused = Unexpected{7};
    EXPECT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error(), 7);
}

TEST(Expected, ValueAndErrorMayBeOfOneType) {
    const Expected<int, int> value = 1, refused = Unexpected{1};
    EXPECT_TRUE(value);
    EXPECT_FALSE(refused);
}

TEST(Expected, MovesItsValue) {
    Expected<std::unique_ptr<int>, int> value = std::make_unique<int>(3);
    const std::unique_ptr<int> taken = std::move(*value);
    EXPECT_EQ(*taken, 3);
}

TEST(ExpectedDeathTest, AskingForTheOtherHalfIsABrokenInvariant) {
    Result refused = Unexpected{7}, value = std::string("yes");
    EXPECT_DEATH(static_cast<void>(*refused), "broken invariant");
    EXPECT_DEATH(static_cast<void>(value.error()), "broken invariant");
}

}  // namespace
}  // namespace carpd
