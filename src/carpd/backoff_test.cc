#include "carpd/backoff.h"

#include <gtest/gtest.h>

namespace carpd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Backoff, DoublesFrom100MillisecondsTo10Seconds) {
    Backoff backoff;
    for (const int expected : {0, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000})
        EXPECT_EQ(backoff.after(milliseconds(1)), milliseconds(expected));
}

TEST(Backoff, BeginsAgainAfterAMinuteOfHealth) {
    Backoff backoff;
    for (int i = 0; i < 5; ++i) backoff.after(seconds(59));
    EXPECT_EQ(backoff.after(seconds(59)), milliseconds(1600));
    EXPECT_EQ(backoff.after(seconds(60)), milliseconds(0));
    EXPECT_EQ(backoff.after(seconds(0)), milliseconds(100));
}

}  // namespace
}  // namespace carpd
