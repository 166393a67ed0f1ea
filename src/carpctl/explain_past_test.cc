#include "carpctl/explain_past.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace carpd {
namespace {

using Json = nlohmann::ordered_json;
using testing::HasSubstr;
using testing::SizeIs;

constexpr std::time_t kThree = 1795748400;  // 2026-11-27T03:00:00Z

class ExplainPast : public testing::Test {
 protected:
    void SetUp() override {
        setenv("TZ", "UTC-1", 1);  // an hour ahead
        tzset();
    }
    void TearDown() override {
        unsetenv("TZ");
        tzset();
    }

    static Json transition(const std::string& time, const std::string& from, const std::string& to,
                           const std::string& why, int previous_ms) {
        return {{"time", "2026-11-27T" + time + "Z"},
                {"event", "transition"},
                {"group", "lan"},
                {"from", from},
                {"to", to},
                {"previous_ms", previous_ms},
                {"text", "lan: " + from + " -> " + to + " (" + why + ")"}};
    }

    Reasons at(std::time_t seconds) {
        return explain_past(status_["groups"][0], {status_, history_, kThree + 7200}, seconds);
    }

    Json status_{
        {"running_ms", 100'000'000},
        {"groups", {{{"name", "lan"}, {"state", "backup"}, {"since_ms", 3'600'000}, {"reason", "started"}}}}};
    Json history_{{"changes", Json::array()}};
};

TEST_F(ExplainPast, NamesTheStateItsCauseAndItsEnd) {
    history_["changes"] = {transition("02:00:00.500", "init", "backup", "link is up", 1000),
                           transition("03:00:04.250", "backup", "master", "master timed out", 3'603'750),
                           transition("03:10:00.000", "master", "backup", "yields", 595'750)};
    const Reasons before = at(kThree + 3);
    ASSERT_THAT(before, SizeIs(2));
    EXPECT_EQ(before[0].code, "backup");
    EXPECT_EQ(before[0].text,
              "BACKUP at 2026-11-27 04:00:03, since 2026-11-27 03:00:00: lan: init -> backup (link is up).");
    EXPECT_EQ(before[1].text, "Then, at 2026-11-27 04:00:04: lan: backup -> master (master timed out).");
    // All of the second that is named.
    EXPECT_EQ(at(kThree + 4)[0].code, "master");
    const Reasons after = at(kThree + 601);
    ASSERT_THAT(after, SizeIs(1));
    EXPECT_EQ(after[0].code, "backup");
}

TEST_F(ExplainPast, KnowsTheStateBeforeTheFirstChange) {
    history_["changes"] = {transition("03:00:04.000", "backup", "master", "master timed out", 60'000)};
    EXPECT_EQ(at(kThree)[0].code, "backup");
    EXPECT_THAT(at(kThree)[0].text, HasSubstr("why is not remembered any more"));
    EXPECT_EQ(at(kThree - 60)[0].code, "unknown");
}

TEST_F(ExplainPast, KnowsTheStateThatNeverChanged) {
    EXPECT_EQ(at(kThree + 3600)[0].text,
              "BACKUP at 2026-11-27 05:00:00, since 2026-11-27 05:00:00, and still is; the cause: started.");
    EXPECT_EQ(at(kThree)[0].code, "unknown");
    EXPECT_THAT(at(kThree)[0].text, HasSubstr("Nothing is known of 2026-11-27 04:00:00"));
}

TEST_F(ExplainPast, TellsWhatElseHappenedAround) {
    const auto rival = [](const char* time) {
        return Json{{"time", time}, {"event", "rival"}, {"group", "lan"}, {"text", "lan: another MASTER"}};
    };
    history_["changes"] = {transition("02:00:00.000", "backup", "master", "master timed out", 1000),
                           rival("2026-11-27T02:58:59.000Z"), rival("2026-11-27T02:59:30.000Z")};
    const Reasons reasons = at(kThree);
    ASSERT_THAT(reasons, SizeIs(2));
    EXPECT_EQ(reasons[1].text, "2026-11-27 03:59:30  lan: another MASTER");
}

TEST_F(ExplainPast, TellsPrograms) {
    const Json json = past_json({status_, history_, kThree + 7200}, kThree);
    EXPECT_EQ(json["at"], kThree);
    EXPECT_EQ(json["groups"][0]["state"], nullptr);
    EXPECT_EQ(json["groups"][0]["reasons"][0]["code"], "unknown");
}

}  // namespace
}  // namespace carpd
