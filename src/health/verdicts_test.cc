#include "health/verdicts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace carpd {
namespace {

using testing::ElementsAre;
using News = Verdicts::News;

TrackConfig track(const std::string& name) {
    TrackConfig config;
    config.name = name;
    config.subject = FileCheck{"/run/ready"};
    return config;
}

TrackVerdict verdict(bool passed) {
    TrackVerdict verdict;
    verdict.known = true;
    verdict.passed = passed;
    return verdict;
}

std::vector<std::string> failing(const Verdicts& verdicts) {
    std::vector<std::string> names;
    for (const FailingTrack& t : verdicts.failing()) names.push_back(t.name);
    return names;
}

TEST(Verdicts, WithoutAResultATrackFailsAtTheStartAndPassesWhenAddedLater) {
    Verdicts verdicts;
    verdicts.configure({track("a")});
    EXPECT_THAT(failing(verdicts), ElementsAre("a"));
    verdicts.configure({track("a"), track("b")});
    EXPECT_THAT(failing(verdicts), ElementsAre("a"));
    EXPECT_EQ(verdicts.set("a", verdict(true)), News::first);
    EXPECT_THAT(failing(verdicts), ElementsAre());
    EXPECT_EQ(verdicts.set("b", verdict(false)), News::first);
    EXPECT_THAT(failing(verdicts), ElementsAre("b"));
}

TEST(Verdicts, AStartWithoutTracksIsAStart) {
    Verdicts verdicts;
    verdicts.configure({});
    verdicts.configure({track("a")});
    EXPECT_THAT(failing(verdicts), ElementsAre());
}

TEST(Verdicts, SaysWhatIsNews) {
    Verdicts verdicts;
    verdicts.configure({track("a")});
    EXPECT_EQ(verdicts.set("nobody", verdict(true)), News::unknown_track);
    EXPECT_EQ(verdicts.set("a", TrackVerdict{}), News::none);
    EXPECT_EQ(verdicts.set("a", verdict(false)), News::first);
    EXPECT_EQ(verdicts.set("a", verdict(false)), News::none);
    EXPECT_EQ(verdicts.set("a", verdict(true)), News::changed);
    // A helper that was started again knows nothing yet.
    EXPECT_EQ(verdicts.set("a", TrackVerdict{}), News::none);
    EXPECT_TRUE(verdicts.entries()[0].passed());
}

TEST(Verdicts, AReloadKeepsWhatIsKnownAndTakesTheNewEffect) {
    Verdicts verdicts;
    verdicts.configure({track("a"), track("b")});
    verdicts.set("a", verdict(false));
    verdicts.set("b", verdict(false));
    TrackConfig changed = track("a");
    changed.withdraw = true;
    changed.demote = 7;
    changed.groups = {"lan"};
    verdicts.configure({changed});
    EXPECT_THAT(verdicts.failing(), ElementsAre(FailingTrack{"a", 7, true, {"lan"}}));
    verdicts.configure({changed, track("b")});  // b is new again
    EXPECT_THAT(failing(verdicts), ElementsAre("a"));
}

}  // namespace
}  // namespace carpd
