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
        return {{"time", "2026-11-27T" + time + "+00:00"},
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
    history_["changes"] =
        Json::array({transition("02:00:00.500", "init", "backup", "link is up", 1000),
                     transition("03:00:04.250", "backup", "master", "master timed out", 3'603'750),
                     transition("03:10:00.000", "master", "backup", "yields", 595'750)});
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

// From 03:30:10 to 03:10:00 or a little later: 03:15 and 03:30 were there twice.
TEST_F(ExplainPast, TakesATimeThatWasThereTwiceForTheSecond) {
    history_["changes"] = {transition("02:00:00.500", "init", "backup", "link is up", 1000),
                           transition("03:30:00.000", "backup", "master", "master timed out", 5'399'500),
                           transition("03:10:00.000", "master", "backup", "yields", 10'000),
                           transition("03:20:00.000", "backup", "master", "master left", 600'000)};
    const Reasons twice = at(kThree + 15 * 60);
    ASSERT_THAT(twice, SizeIs(3));
    EXPECT_EQ(twice[0].text,
              "BACKUP at 2026-11-27 04:15:00, since 2026-11-27 04:10:00: lan: master -> backup (yields).");
    EXPECT_EQ(twice[1].code, "clock_set_back");
    EXPECT_THAT(twice[1].text,
                HasSubstr("set back from 2026-11-27 04:30:00 or later to 2026-11-27 04:10:00"));
    EXPECT_EQ(twice[2].text, "Then, at 2026-11-27 04:20:00: lan: backup -> master (master left).");
    EXPECT_THAT(at(kThree + 5 * 60), SizeIs(2));
    EXPECT_EQ(at(kThree + 5 * 60)[0].code, "backup");
    const Reasons once = at(kThree + 35 * 60);
    ASSERT_THAT(once, SizeIs(1));
    EXPECT_THAT(once[0].text, HasSubstr("MASTER at 2026-11-27 04:35:00, since 2026-11-27 04:20:00"));
}

TEST_F(ExplainPast, KnowsTheStateBeforeTheFirstChange) {
    history_["changes"] =
        Json::array({transition("03:00:04.000", "backup", "master", "master timed out", 60'000)});
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
    history_["changes"] =
        Json::array({transition("02:00:00.000", "backup", "master", "master timed out", 1000),
                     rival("2026-11-27T02:58:59.000Z"), rival("2026-11-27T02:59:30.000Z")});
    const Reasons reasons = at(kThree);
    ASSERT_THAT(reasons, SizeIs(2));
    EXPECT_EQ(reasons[1].text, "2026-11-27 03:59:30  lan: another MASTER");
}

TEST_F(ExplainPast, CountsInTheZoneThatEachChangeNames) {
    history_["changes"] = Json::array({transition("02:00:00.000", "init", "backup", "link is up", 1000)});
    history_["changes"][0]["time"] = "2026-11-27T04:00:04.000+01:00";  // 03:00:04 UTC
    EXPECT_THAT(at(kThree + 4)[0].text, HasSubstr("since 2026-11-27 04:00:04"));
    EXPECT_EQ(at(kThree + 3)[0].code, "init");
}

// carpd was killed with its supervisor at an unknown time, stopped in order, and lost its engine.
class ExplainRuns : public ExplainPast {
 protected:
    ExplainRuns() {
        const auto run = [](const char* time, const char* event, Json gap) {
            return Json{{"time", std::string("2026-11-27T") + time + "Z"},
                        {"event", event},
                        {"group", nullptr},
                        {"not_running_ms", gap},
                        {"text", std::string("carpd was ") + event}};
        };
        history_["changes"] =
            Json::array({transition("00:10:00.000", "backup", "master", "master timed out", 1000),
                         transition("00:20:00.000", "master", "backup", "yields", 600'000),
                         run("01:00:00.000", "started", nullptr),
                         transition("01:00:00.100", "init", "backup", "started", 0),
                         transition("01:30:00.000", "backup", "init", "carpd stops", 1'799'900),
                         run("01:30:00.000", "stopped", nullptr), run("02:00:00.000", "started", nullptr),
                         transition("02:00:00.100", "init", "backup", "started", 0),
                         transition("02:00:03.000", "backup", "master", "master timed out", 2900),
                         run("03:00:10.000", "started", 10'000),
                         transition("03:00:10.100", "init", "backup", "started", 0)});
    }
    // Seconds before or after 03:00 UTC.
    std::string code(int seconds) { return at(kThree + seconds)[0].code; }
};

TEST_F(ExplainRuns, ATimeBetweenAStopAndAStart) {
    EXPECT_EQ(code(-5401), "backup") << "until it stopped";
    const Reasons reasons = at(kThree - 4800);  // 01:40 UTC
    ASSERT_THAT(reasons, SizeIs(1));
    EXPECT_EQ(reasons[0].code, "not_running");
    EXPECT_EQ(reasons[0].text,
              "carpd did not run at 2026-11-27 02:40:00: it was stopped at 2026-11-27 02:30:00 and "
              "started again at 2026-11-27 03:00:00.");
}

TEST_F(ExplainRuns, AnEngineThatDied) {
    const Reasons before = at(kThree - 2);
    ASSERT_THAT(before, SizeIs(2));
    EXPECT_EQ(before[0].code, "master");
    EXPECT_EQ(before[1].text, "Then, at 2026-11-27 04:00:10: carpd was started.");
    EXPECT_EQ(at(kThree + 5)[0].text,
              "carpd's engine did not run at 2026-11-27 04:00:05: it ended at 2026-11-27 "
              "04:00:00 and started again at 2026-11-27 04:00:10.");
    EXPECT_EQ(code(10), "backup");
}

TEST_F(ExplainRuns, AnEndThatNobodyTold) {
    EXPECT_EQ(code(-9600), "backup") << "until the last change";  // 00:20 UTC
    EXPECT_EQ(
        at(kThree - 9000)[0].text,
        "Nothing is known of 2026-11-27 01:30:00: carpd told of a change at 2026-11-27 01:20:00 for the last "
        "time, and was started again at 2026-11-27 02:00:00; when it ended in between it could not say.");
}

TEST_F(ExplainRuns, SaysWhereKnowledgeBegins) {
    EXPECT_EQ(at(kThree - 3 * 3600)[0].text,
              "Nothing is known of 2026-11-27 01:00:00: what carpd remembers begins at "
              "2026-11-27 01:10:00; its log may say more.");
    history_["changes"].erase(0);
    history_["changes"].erase(0);  // now it begins with carpd's start
    EXPECT_THAT(at(kThree - 3 * 3600)[0].text, HasSubstr("begins at 2026-11-27 02:00:00"));
    const Json json = past_json({status_, history_, kThree + 7200}, kThree - 4800);
    EXPECT_EQ(json["groups"][0]["state"], nullptr);
    EXPECT_EQ(json["groups"][0]["reasons"][0]["code"], "not_running");
}

TEST_F(ExplainPast, TellsPrograms) {
    const Json json = past_json({status_, history_, kThree + 7200}, kThree);
    EXPECT_EQ(json["at"], kThree);
    EXPECT_EQ(json["groups"][0]["state"], nullptr);
    EXPECT_EQ(json["groups"][0]["reasons"][0]["code"], "unknown");
}

}  // namespace
}  // namespace carpd
