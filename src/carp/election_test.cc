#include "carp/election.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "carp/demotion.h"
#include "carp/sent_counters.h"

namespace carpd {
namespace {

std::vector<Standing> grid() {
    std::vector<Standing> all;
    for (int base : {0, 1, 2, 3, 10, 254})
        for (int skew : {0, 1, 2, 100, 240, 254})
            for (int demote : {0, 1, 2, 240, 255})
                all.push_back({AdvBase{static_cast<std::uint8_t>(base)},
                               AdvSkew{static_cast<std::uint8_t>(skew)}, static_cast<std::uint8_t>(demote)});
    return all;
}

const Standing kGood{AdvBase{1}, AdvSkew{0}, 0};
const Standing kWorse{AdvBase{1}, AdvSkew{100}, 0};
const Standing kBowOut{AdvBase{255}, AdvSkew{255}, 0};

Verdict as_master(const Standing& ours, const Standing& theirs, Tie tie = Tie::ours) {
    return judge(State::master, ours, theirs, false, tie).verdict;
}
Verdict as_backup(const Standing& ours, const Standing& theirs, bool preempt) {
    return judge(State::backup, ours, theirs, preempt, Tie::ours).verdict;
}

// Two masters hear each other: exactly one stays, whatever their standings; in a tie, the one with the lower
// source.
TEST(ElectionGrid, OfTwoMastersExactlyOneYields) {
    for (const Standing& a : grid())
        for (const Standing& b : grid()) {
            const bool a_yields = as_master(a, b, Tie::ours) == Verdict::yield;
            const bool b_yields = as_master(b, a, Tie::theirs) == Verdict::yield;
            EXPECT_NE(a_yields, b_yields)
                << "a " << int{a.advbase.seconds} << "/" << int{a.advskew.value} << "/" << int{a.demote}
                << " b " << int{b.advbase.seconds} << "/" << int{b.advskew.value} << "/" << int{b.demote};
        }
}

// A backup that takes over on hearing the master is stronger in the master's eyes too, so the two don't take
// turns. The one exception is rule E4: a master slower than the backup's own timer can't keep it quiet
// whatever the rules say (protocol rule E4), and a demoted backup then takes over and yields again. The
// configuration is at fault.
TEST(ElectionGrid, ATakeOverIsNotAnsweredByTheOldMaster) {
    int exceptions = 0;
    for (const Standing& master : grid())
        for (const Standing& backup : grid())
            for (bool preempt : {false, true}) {
                const Decision d = judge(State::backup, backup, master, preempt, Tie::ours);
                if (d.verdict != Verdict::take_over) continue;
                if (as_master(master, backup, Tie::ours) == Verdict::yield) continue;
                EXPECT_EQ(d.cause, Cause::master_too_slow);
                EXPECT_GT(backup.demote, master.demote);
                ++exceptions;
            }
    EXPECT_GT(exceptions, 0);
}

// Somebody who yielded doesn't take over again at the winner's next advertisement.
TEST(ElectionGrid, AYieldIsNotTakenBack) {
    for (const Standing& loser : grid())
        for (const Standing& winner : grid())
            for (Tie tie : {Tie::ours, Tie::theirs}) {
                if (as_master(loser, winner, tie) != Verdict::yield) continue;
                for (bool preempt : {false, true}) {
                    const Decision d = judge(State::backup, loser, winner, preempt, tie);
                    EXPECT_TRUE(d.verdict == Verdict::hold || d.cause == Cause::master_too_slow);
                }
            }
}

TEST(ElectionGrid, WithoutPreemptOnlyDemotionSlownessOrABowOutWakesABackup) {
    const std::set<Cause> allowed = {Cause::master_more_demoted, Cause::master_too_slow,
                                     Cause::master_bowed_out};
    for (const Standing& ours : grid())
        for (const Standing& theirs : grid()) {
            const Decision d = judge(State::backup, ours, theirs, false, Tie::ours);
            EXPECT_TRUE(d.verdict == Verdict::hold || allowed.count(d.cause));
        }
}

TEST(ElectionGrid, ABowOutIsTakenAsOneByEverybody) {
    for (Standing ours : grid())
        for (int demote : {0, 1, 255}) {
            Standing leaving = kBowOut;
            leaving.demote = static_cast<std::uint8_t>(demote);
            for (bool preempt : {false, true})
                EXPECT_EQ(judge(State::backup, ours, leaving, preempt, Tie::ours),
                          (Decision{Verdict::take_over, Cause::master_bowed_out}));
            EXPECT_EQ(as_master(ours, leaving), Verdict::hold) << "it is leaving already";
        }
}

TEST(Election, E2TakesOverFromAMoreDemotedMasterWithoutPreempt) {
    Standing demoted = kGood;
    demoted.demote = 1;
    EXPECT_EQ(judge(State::backup, kWorse, demoted, false, Tie::ours),
              (Decision{Verdict::take_over, Cause::master_more_demoted}));
}

TEST(Election, E3PreemptsOnlyWhenAllowedAndBetter) {
    EXPECT_EQ(as_backup(kGood, kWorse, false), Verdict::hold);
    EXPECT_EQ(as_backup(kGood, kWorse, true), Verdict::take_over);
    EXPECT_EQ(as_backup(kWorse, kGood, true), Verdict::hold);
    EXPECT_EQ(as_backup(kGood, kGood, true), Verdict::hold);
    Standing demoted = kGood;
    demoted.demote = 1;
    EXPECT_EQ(as_backup(demoted, kWorse, true), Verdict::hold);
}

TEST(Election, E4TakesOverFromAMasterTooSlowToKeepUsQuiet) {
    const Standing ours{AdvBase{1}, AdvSkew{100}, 0};
    EXPECT_EQ(as_backup(ours, {AdvBase{3}, AdvSkew{100}, 0}, false), Verdict::hold);
    EXPECT_EQ(as_backup(ours, {AdvBase{3}, AdvSkew{101}, 0}, false), Verdict::take_over);
    EXPECT_EQ(as_backup(ours, {AdvBase{4}, AdvSkew{0}, 0}, false), Verdict::take_over);
    // At advbase 0 the timer decides, as on OpenBSD.
    EXPECT_EQ(as_backup({AdvBase{0}, AdvSkew{1}, 0}, {AdvBase{4}, AdvSkew{0}, 0}, false), Verdict::hold);
}

TEST(Election, E10LeavesATieToTheCopyThatDecides) {
    EXPECT_EQ(as_master(kGood, kGood, Tie::ours), Verdict::reassert);
    EXPECT_EQ(as_master(kGood, kGood, Tie::theirs), Verdict::yield);
    EXPECT_EQ(as_master(kGood, kGood, Tie::elsewhere), Verdict::hold);
}

// What is said of a decision never contradicts it.
TEST(ElectionGrid, AnObstacleIsThereWhereABackupHolds) {
    for (const Standing& ours : grid())
        for (const Standing& theirs : grid())
            for (bool preempt : {false, true})
                for (bool may_preempt : {false, true}) {
                    const Verdict verdict = as_backup(ours, theirs, preempt && may_preempt);
                    const Obstacle why = obstacle(ours, theirs, preempt, may_preempt);
                    EXPECT_EQ(verdict == Verdict::take_over, why == Obstacle::none);
                    // Only what has to do with preempting may change with it.
                    const bool waits = why == Obstacle::no_preempt || why == Obstacle::preempt_delay;
                    EXPECT_EQ(waits,
                              why != Obstacle::none && as_backup(ours, theirs, true) == Verdict::take_over);
                }
}

TEST(Election, AnObstacleSaysWhy) {
    const Standing demoted{AdvBase{1}, AdvSkew{240}, 10};
    EXPECT_EQ(obstacle(kWorse, kGood, true, true), Obstacle::faster);
    EXPECT_EQ(obstacle(kGood, kGood, true, true), Obstacle::equal);
    EXPECT_EQ(obstacle(kGood, kWorse, false, true), Obstacle::no_preempt);
    EXPECT_EQ(obstacle(kGood, kWorse, true, false), Obstacle::preempt_delay);
    EXPECT_EQ(obstacle(kGood, kWorse, true, true), Obstacle::none);
    EXPECT_EQ(obstacle(demoted, kWorse, true, true), Obstacle::less_demoted);
    EXPECT_EQ(obstacle(demoted, demoted, true, true), Obstacle::equal);
    EXPECT_EQ(obstacle(kWorse, demoted, false, false), Obstacle::none);
    std::set<std::string_view> identifiers;
    for (int i = 0; i <= static_cast<int>(Obstacle::held); ++i)
        identifiers.insert(to_identifier(static_cast<Obstacle>(i)));
    EXPECT_EQ(identifiers.size(), static_cast<std::size_t>(Obstacle::held) + 1);
}

TEST(Election, EveryCauseHasItsOwnWords) {
    std::set<std::string_view> identifiers, phrases;
    for (int i = 0; i <= static_cast<int>(Cause::addresses_refused); ++i) {
        identifiers.insert(to_identifier(static_cast<Cause>(i)));
        phrases.insert(to_string(static_cast<Cause>(i)));
    }
    EXPECT_EQ(identifiers.size(), static_cast<std::size_t>(Cause::addresses_refused) + 1);
    EXPECT_EQ(phrases.size(), identifiers.size());
    EXPECT_EQ(identifiers.count("unknown"), 0u);
}

TEST(Timers, FollowTheProtocolsTable) {
    using std::chrono::microseconds;
    const auto down = [](int base, int skew) {
        return std::chrono::duration_cast<microseconds>(master_down_interval(
            AdvBase{static_cast<std::uint8_t>(base)}, AdvSkew{static_cast<std::uint8_t>(skew)}));
    };
    EXPECT_EQ(down(1, 0), microseconds(3'000'000));
    EXPECT_EQ(down(1, 100), microseconds(3'390'625));
    EXPECT_EQ(down(1, 240), microseconds(3'937'500));
    EXPECT_EQ(down(0, 2), microseconds(23'437));
    EXPECT_EQ(down(0, 0), microseconds(11'718));
    EXPECT_EQ(advertisement_interval(AdvBase{0}, AdvSkew{0}), Duration(3'906'250));
    EXPECT_EQ(advertisement_interval(AdvBase{1}, AdvSkew{128}), std::chrono::milliseconds(1500));
}

TEST(Demotion, IsTheClampedSumOfItsContributions) {
    DemotionCounter demotion;
    EXPECT_TRUE(demotion.set("operator", 10));
    EXPECT_TRUE(demotion.set("send_error", 240));
    EXPECT_EQ(demotion.value(), 250);
    EXPECT_TRUE(demotion.set("operator", 100));
    EXPECT_EQ(demotion.value(), 255);
    EXPECT_FALSE(demotion.set("operator", 200)) << "still 255";
    EXPECT_TRUE(demotion.set("operator", -255));
    EXPECT_EQ(demotion.value(), 0) << "never below 0";
    EXPECT_FALSE(demotion.set("send_error", 0));
    EXPECT_EQ(demotion.contributions().size(), 1u);
    EXPECT_FALSE(demotion.set("operator", 0));
    EXPECT_TRUE(demotion.contributions().empty());
}

TEST(SentCounters, KnowsItsOwnForEverAndNobodyElses) {
    SentCounters counters(0x0123456789abcdef);
    std::vector<std::uint64_t> sent;
    for (int i = 0; i < 1000; ++i) sent.push_back(counters.take());
    EXPECT_EQ(std::set<std::uint64_t>(sent.begin(), sent.end()).size(), sent.size());
    for (std::uint64_t counter : sent) {
        EXPECT_TRUE(counters.is_ours(counter));
        // ucarp and FreeBSD go on from what they heard (protocol/carp.md §1.5).
        for (std::uint64_t adopted = 1; adopted < 100; ++adopted)
            EXPECT_FALSE(counters.is_ours(counter + adopted));
    }
    EXPECT_FALSE(counters.is_ours(counters.last() + SentCounters::kStep)) << "not sent yet";
}

TEST(SentCounters, NeverSendsZeroNorAnEcho) {
    SentCounters wraps(std::uint64_t{0} - 2 * SentCounters::kStep);
    for (int i = 0; i < 5; ++i) EXPECT_NE(wraps.take(), 0u);

    SentCounters echo(7);
    echo.heard(7);
    EXPECT_EQ(echo.take(), 7 + SentCounters::kStep);
    echo.heard(7 + 2 * SentCounters::kStep);
    EXPECT_EQ(echo.take(), 7 + 3 * SentCounters::kStep);
}

}  // namespace
}  // namespace carpd
