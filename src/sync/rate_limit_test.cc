#include "sync/rate_limit.h"

#include <gtest/gtest.h>

namespace carpd {
namespace {

using std::chrono::milliseconds;

TEST(RateLimit, SoManyAtOnceAndThenOneInEachInterval) {
    RateLimit limit(3, milliseconds(100));
    Instant now{std::chrono::hours(5)};
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(limit.take(now));
    EXPECT_FALSE(limit.take(now));
    EXPECT_EQ(limit.free_at(), now + milliseconds(100));
    int taken = 0;
    for (int i = 0; i < 1000; ++i) taken += limit.take(now += milliseconds(1));
    EXPECT_EQ(taken, 10);
    now += std::chrono::hours(1);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(limit.take(now));
    EXPECT_FALSE(limit.take(now));
}

}  // namespace
}  // namespace carpd
