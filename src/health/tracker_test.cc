#include "health/tracker.h"

#include <gtest/gtest.h>

namespace carpd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Step = Tracker::Step;

class TrackerTest : public testing::Test {
 protected:
    static TrackConfig config() {
        TrackConfig config;
        config.name = "uplink";
        config.subject = FileCheck{"/run/ready"};
        return config;  // every 2 s, 1 s at most, rise 2, fall 3
    }
    // Lets the next check happen, at its time.
    void check(bool passed, const std::string& why = "") {
        now_ = std::max(now_, tracker_.next_deadline());
        ASSERT_EQ(tracker_.on_timer(now_), Step::start);
        tracker_.on_result(now_, {passed, why});
    }
    bool passed() const { return tracker_.verdict().passed; }

    Instant now_{seconds(100)};
    Tracker tracker_{config(), now_};
};

TEST_F(TrackerTest, TheFirstResultDecidesAtOnce) {
    EXPECT_FALSE(tracker_.verdict().known);
    check(true, "is there");
    EXPECT_TRUE(tracker_.verdict().known);
    EXPECT_TRUE(passed());
    EXPECT_EQ(tracker_.verdict().why, "is there");
    EXPECT_EQ(tracker_.verdict().since, now_);
    EXPECT_EQ(tracker_.verdict().changes, 0u);

    Tracker other(config(), now_);
    other.on_timer(now_);
    other.on_result(now_, {false, "is missing"});
    EXPECT_TRUE(other.verdict().known);
    EXPECT_FALSE(other.verdict().passed);
}

TEST_F(TrackerTest, LaterItTakesSeveralInARow) {
    check(true);
    check(false), check(false);
    EXPECT_TRUE(passed());
    check(true);  // begins anew
    check(false), check(false);
    EXPECT_TRUE(passed());
    check(false, "is missing");
    EXPECT_FALSE(passed());
    EXPECT_EQ(tracker_.verdict().why, "is missing");
    EXPECT_EQ(tracker_.verdict().since, now_);
    check(true), check(false), check(true);
    EXPECT_FALSE(passed());
    check(true);
    EXPECT_TRUE(passed());
    EXPECT_EQ(tracker_.verdict().changes, 2u);
    EXPECT_EQ(tracker_.verdict().passes, 5u);
    EXPECT_EQ(tracker_.verdict().failures, 6u);
}

TEST_F(TrackerTest, ChecksKeepTheirBeat) {
    ASSERT_EQ(tracker_.on_timer(now_), Step::start);
    tracker_.on_result(now_ + milliseconds(700), {true, ""});
    EXPECT_EQ(tracker_.next_deadline(), now_ + seconds(2));
    EXPECT_EQ(tracker_.on_timer(now_ + milliseconds(1999)), Step::nothing);
    EXPECT_EQ(tracker_.on_timer(now_ + seconds(2)), Step::start);
}

TEST_F(TrackerTest, AnOverdueResultIsAFailureAndOneThatComesLaterIsNothing) {
    ASSERT_EQ(tracker_.on_timer(now_), Step::start);
    EXPECT_EQ(tracker_.next_deadline(), now_ + seconds(1));
    EXPECT_EQ(tracker_.on_timer(now_ + milliseconds(999)), Step::nothing);
    EXPECT_EQ(tracker_.on_timer(now_ + seconds(1)), Step::cancel);
    EXPECT_TRUE(tracker_.verdict().known);
    EXPECT_FALSE(passed());
    EXPECT_EQ(tracker_.verdict().why, "no answer within 1 s");
    tracker_.on_result(now_ + seconds(1), {true, ""});
    EXPECT_EQ(tracker_.verdict().passes, 0u);
    EXPECT_EQ(tracker_.on_timer(now_ + seconds(2)), Step::start);
}

TEST_F(TrackerTest, AfterALongSleepItChecksOnce) {
    check(true);
    now_ += seconds(3600);
    ASSERT_EQ(tracker_.on_timer(now_), Step::start);
    tracker_.on_result(now_, {true, ""});
    EXPECT_EQ(tracker_.next_deadline(), now_ + seconds(2));
}

TEST_F(TrackerTest, HurriesButNotWithoutEnd) {
    check(true);
    const Instant checked_at = now_;
    tracker_.hurry(now_ + milliseconds(1));
    EXPECT_EQ(tracker_.next_deadline(), checked_at + Tracker::kShortestGap);
    tracker_.hurry(now_ + milliseconds(50));
    EXPECT_EQ(tracker_.next_deadline(), checked_at + Tracker::kShortestGap);
    check(true);
    tracker_.hurry(now_ + seconds(1));
    EXPECT_EQ(tracker_.next_deadline(), now_ + seconds(1));
    tracker_.hurry(now_ + milliseconds(1500));  // never later than it was
    EXPECT_EQ(tracker_.next_deadline(), now_ + seconds(1));
}

TEST_F(TrackerTest, WhatChangesDuringACheckIsLookedAtAfterIt) {
    ASSERT_EQ(tracker_.on_timer(now_), Step::start);
    tracker_.hurry(now_ + milliseconds(10));
    EXPECT_EQ(tracker_.next_deadline(), now_ + seconds(1));  // the running check's end
    tracker_.on_result(now_ + milliseconds(20), {true, ""});
    EXPECT_EQ(tracker_.next_deadline(), now_ + Tracker::kShortestGap);
    EXPECT_EQ(tracker_.on_timer(now_ + Tracker::kShortestGap), Step::start);
    tracker_.on_result(now_ + Tracker::kShortestGap, {true, ""});
    EXPECT_EQ(tracker_.next_deadline(), now_ + Tracker::kShortestGap + seconds(2));
}

TEST_F(TrackerTest, AnotherConfigurationKeepsTheVerdict) {
    check(false, "is missing");
    TrackConfig changed = config();
    changed.interval = seconds(5);
    changed.rise = 1;
    tracker_.reconfigure(changed);
    EXPECT_EQ(tracker_.next_deadline(), now_ + seconds(5));
    EXPECT_TRUE(tracker_.verdict().known);
    EXPECT_FALSE(passed());
    check(true);
    EXPECT_TRUE(passed());
}

}  // namespace
}  // namespace carpd
