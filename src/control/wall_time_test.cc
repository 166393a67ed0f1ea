#include "control/wall_time.h"

#include <gtest/gtest.h>

namespace carpd {
namespace {

TEST(WallTime, IsReadInAnyZone) {
    constexpr std::int64_t kTime = 1'795'749'124'567;  // 2026-11-27T03:12:04.567Z
    for (const char* same : {"2026-11-27T03:12:04.567Z", "2026-11-27T03:12:04.567+00:00",
                             "2026-11-27T04:12:04.567+01:00", "2026-11-26T23:42:04.567-03:30"})
        EXPECT_EQ(parse_wall_time(same), kTime) << same;
    EXPECT_EQ(parse_wall_time("1970-01-01T00:00:00.000Z"), 0);
    EXPECT_EQ(parse_wall_time("2024-02-29T00:00:00.001Z"), 1'709'164'800'001);
}

TEST(WallTime, RefusesWhatIsNone) {
    for (const char* wrong :
         {"", "now", "2026-11-27", "2026-11-27T03:12:04Z", "2026-11-27T03:12:04.567",
          "2026-11-27 03:12:04.567Z", "2026-13-27T03:12:04.567Z", "2026-02-29T03:12:04.567Z",
          "2026-11-27T24:12:04.567Z", "2026-11-27T03:60:04.567Z", "2026-11-27T03:12:04.567+24:00",
          "2026-11-27T03:12:04.567+0100", "2026-11-27T03:12:04.567Zulu", "-026-11-27T03:12:04.567Z"})
        EXPECT_FALSE(parse_wall_time(wrong)) << wrong;
}

}  // namespace
}  // namespace carpd
