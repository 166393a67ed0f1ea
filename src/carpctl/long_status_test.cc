#include "carpctl/long_status.h"

#include <gtest/gtest.h>

namespace carpd {
namespace {

using Json = nlohmann::ordered_json;

TEST(LongStatus, HasWhatTheWholeTreeHas) {
    const std::string line =
        R"({"ok":true,"kept":[{"name":"\"groups\":["}],"groups":[{"name":"a]}\"\\","hosts":[{"id":1},[]]},)"
        R"({"name":"b"}],"pools":[],"host":{"name":"fw1"},"tracks":[{"groups":["a"]}]})";
    const LongStatus status(line);
    Json whole = Json::parse(line);
    ASSERT_EQ(status.size(), 2u);
    for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(status.group(i), whole.at("groups")[i]);
    whole["groups"] = Json::array();
    EXPECT_EQ(status.rest(), whole);
}

TEST(LongStatus, MayHaveNoGroups) {
    EXPECT_EQ(LongStatus(R"({"groups":[],"host":1})").size(), 0u);
    EXPECT_EQ(LongStatus(R"({"ok":false})").rest().at("ok"), false);
}

TEST(LongStatus, RefusesWhatIsNoJson) {
    for (const char* line : {"", "{", R"({"groups":[)", R"({"groups":[{"a":"b)", R"({"groups":[]]})"})
        EXPECT_THROW(LongStatus{line}, Json::exception) << line;
    EXPECT_THROW(LongStatus(R"({"groups":[{x}]})").group(0), Json::exception);
}

}  // namespace
}  // namespace carpd
