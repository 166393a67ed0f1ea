#include "web/changes.h"

#include <gtest/gtest.h>

namespace carpd {
namespace {

std::string line(int number) {
    return R"({"event":"transition","group":"lan","number":)" + std::to_string(number) + "}";
}

TEST(Changes, KeepsTheLast) {
    Changes changes;
    EXPECT_EQ(changes.list(), "[]");
    const int count = static_cast<int>(Changes::kMost) + 3;
    for (int i = 0; i < count; ++i) changes.add(line(i));
    const Json list = Json::parse(changes.list());
    ASSERT_EQ(list.size(), Changes::kMost);
    EXPECT_EQ(list.front().at("number"), 3);
    EXPECT_EQ(list.back().at("number"), count - 1);
}

// After a connection was lost some of the history was heard before.
TEST(Changes, AddsOfAHistoryWhatIsNew) {
    Changes changes;
    changes.add(line(1));
    changes.add(line(2));
    EXPECT_TRUE(changes.add_history(R"({"ok":true,"schema":1,"changes":[)" + line(2) + "," + line(3) + "]}"));
    EXPECT_EQ(changes.list(), "[" + line(1) + "," + line(2) + "," + line(3) + "]");
}

TEST(Changes, RefusesWhatIsNoHistory) {
    Changes changes;
    for (const char* answer : {"", "x", "[]", "{}", R"({"ok":false,"error":"x"})", R"({"changes":1})"})
        EXPECT_FALSE(changes.add_history(answer)) << answer;
    EXPECT_EQ(changes.list(), "[]");
}

}  // namespace
}  // namespace carpd
