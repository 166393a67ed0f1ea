#include "carpctl/when.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace carpd {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(When, SpansHaveUnits) {
    EXPECT_EQ(parse_span("90"), seconds(90));
    EXPECT_EQ(parse_span("90s"), seconds(90));
    EXPECT_EQ(parse_span("30m"), minutes(30));
    EXPECT_EQ(parse_span("2h"), hours(2));
    EXPECT_EQ(parse_span("366d"), hours(24 * 366));
    for (const char* wrong :
         {"", "h", "0", "-5", "5 h", "2w", "1.5h", "367d", "99999999999999999999", "1h30m"})
        EXPECT_EQ(parse_span(wrong), std::nullopt) << wrong;
}

class Until : public testing::Test {
 protected:
    // A country whose clocks go back an hour in the night to 25 October 2026.
    void SetUp() override { setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1), tzset(); }
    void TearDown() override { unsetenv("TZ"), tzset(); }
    static std::time_t at(int month, int day, int hour, int minute) {
        std::tm time{};
        time.tm_year = 126, time.tm_mon = month - 1, time.tm_mday = day, time.tm_hour = hour;
        time.tm_min = minute, time.tm_isdst = -1;
        return std::mktime(&time);
    }
};

TEST_F(Until, AClocksTimeIsTheNextOne) {
    EXPECT_EQ(parse_until("04:00", at(11, 27, 3, 30)), minutes(30));
    EXPECT_EQ(parse_until("04:00", at(11, 27, 4, 0)), hours(24));
    EXPECT_EQ(parse_until("03:59:30", at(11, 27, 4, 0)), hours(24) - seconds(30));
    EXPECT_EQ(parse_until("04:00", at(12, 31, 22, 0)), hours(6));
    EXPECT_EQ(parse_until("04:00", at(10, 24, 22, 0)), hours(7)) << "clocks go back";
}

TEST_F(Until, ADaysTimeIsThatOne) {
    EXPECT_EQ(parse_until("2026-11-28 04:00", at(11, 27, 4, 0)), hours(24));
    EXPECT_EQ(parse_until("2026-11-28T04:00:30", at(11, 28, 4, 0)), seconds(30));
    for (const char* wrong : {"2026-11-26 04:00", "2030-01-01 00:00", "2026-13-01 04:00", "25:00", "4 pm", "",
                              "04:00 tomorrow", "2026-11-28"})
        EXPECT_EQ(parse_until(wrong, at(11, 27, 4, 0)), std::nullopt) << wrong;
}

TEST_F(Until, APastTimeIsTheLastOne) {
    EXPECT_EQ(parse_past("03:12", at(11, 27, 3, 30)), at(11, 27, 3, 12));
    EXPECT_EQ(parse_past("03:30", at(11, 27, 3, 30)), at(11, 27, 3, 30));
    EXPECT_EQ(parse_past("03:12:04", at(11, 27, 3, 12)), at(11, 26, 3, 12) + 4);
    EXPECT_EQ(parse_past("2026-11-26 23:00", at(11, 27, 4, 0)), at(11, 26, 23, 0));
    for (const char* wrong : {"2026-11-28 04:00", "2024-01-01 00:00", "25:00", "", "yesterday"})
        EXPECT_EQ(parse_past(wrong, at(11, 27, 4, 0)), std::nullopt) << wrong;
}

}  // namespace
}  // namespace carpd
