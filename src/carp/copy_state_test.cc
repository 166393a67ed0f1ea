#include "carp/copy_state.h"

#include <gtest/gtest.h>

namespace carpd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant kStart{std::chrono::hours(1)};
constexpr Duration kSettle = CopyState::kSettle;

CopyState wanted() {
    CopyState copy;
    copy.set_wanted(true);
    return copy;
}

TEST(CopyState, IsNoMatterWithoutSynchronisation) {
    CopyState copy;
    EXPECT_EQ(copy.demotion(kStart), 0);
    copy.heard(kStart, false);
    EXPECT_EQ(copy.demotion(kStart), 0);
    copy.set_wanted(true);
    EXPECT_EQ(copy.demotion(kStart), 240);
    copy.set_wanted(false);
    EXPECT_EQ(copy.demotion(kStart), 0);
}

TEST(CopyState, OfAnotherEngineStaysAsItWas) {
    for (const bool master : {false, true}) {
        for (const bool complete : {false, true}) {
            CopyState fit, demoted;
            fit.resume(kStart, complete, master, false);
            EXPECT_EQ(fit.demotion(kStart), complete || master ? 0 : 240);
            demoted.resume(kStart, complete, master, true);
            EXPECT_EQ(demoted.demotion(kStart), 240);
            EXPECT_EQ(demoted.demotion_ends(kStart), complete ? kStart + kSettle
                                                     : master ? kStart + CopyState::kTakeover
                                                              : kNever);
        }
    }
}

TEST(CopyState, DemotesUntilTheProcessSaysThatItIsComplete) {
    CopyState copy = wanted();
    EXPECT_EQ(copy.demotion(kStart), 240);
    copy.heard(kStart, false);
    EXPECT_EQ(copy.demotion(kStart), 240);
    copy.heard(kStart, true);
    EXPECT_EQ(copy.demotion(kStart + kSettle), 0);
    copy.heard(kStart, false);
    EXPECT_EQ(copy.demotion(kStart + kSettle), 240);
    copy.heard(kStart, true);
    copy.ended();
    EXPECT_EQ(copy.demotion(kStart), 240);
    // What one process said is nothing that the next one knows.
    copy.heard(kStart, true);
    copy.set_wanted(false);
    copy.set_wanted(true);
    EXPECT_EQ(copy.demotion(kStart), 240);
}

TEST(CopyState, BelievesNobodyWhoIsSilent) {
    CopyState copy = wanted();
    copy.heard(kStart, true);
    EXPECT_EQ(copy.demotion(kStart + milliseconds(2999)), 0);
    EXPECT_EQ(copy.demotion(kStart + seconds(3)), 240);
    copy.heard(kStart + seconds(4), true);
    EXPECT_EQ(copy.demotion(kStart + seconds(4) + kSettle), 0);
}

// Two hosts that start together are complete at nearly the same time: who is MASTER stays it (rule Y6).
TEST(CopyState, ABackupWaitsForAMasterThatIsCompleteToo) {
    CopyState master = wanted(), backup = wanted();
    master.set_master(kStart, true);
    for (CopyState* copy : {&master, &backup}) copy->heard(kStart, true);
    EXPECT_EQ(master.demotion(kStart), 0);
    EXPECT_EQ(backup.demotion(kStart), 240);
    backup.heard(kStart + milliseconds(400), true);  // no news
    EXPECT_EQ(backup.demotion(kStart + kSettle), 0);
    master.set_master(kStart + milliseconds(100), false);
    EXPECT_EQ(master.demotion(kStart + milliseconds(100)), 0);
}

// Rule Y4: what a MASTER has is the truth.
TEST(CopyState, DoesNotDemoteAMaster) {
    CopyState copy = wanted();
    copy.heard(kStart, true);
    copy.set_master(kStart, true);
    copy.ended();
    EXPECT_EQ(copy.demotion(kStart), 0);
    copy.heard(kStart, false);
    EXPECT_EQ(copy.demotion(kStart + seconds(60)), 0);
    copy.set_master(kStart + seconds(60), false);
    EXPECT_EQ(copy.demotion(kStart + seconds(60)), 240);
}

// But one that becomes MASTER while it lacks flows leaves the others time to relieve it.
TEST(CopyState, DemotesANewMasterForAMoment) {
    CopyState copy = wanted();
    copy.set_master(kStart, true);
    EXPECT_EQ(copy.demotion(kStart + milliseconds(2999)), 240);
    copy.set_master(kStart + seconds(2), true);  // no news
    EXPECT_EQ(copy.demotion(kStart + seconds(3)), 0);
    copy.set_master(kStart + seconds(4), false);
    EXPECT_EQ(copy.demotion(kStart + seconds(4)), 240);
    copy.set_master(kStart + seconds(5), true);
    EXPECT_EQ(copy.demotion(kStart + seconds(5)), 240);
    copy.heard(kStart + seconds(5), true);
    EXPECT_EQ(copy.demotion(kStart + seconds(5)), 0);
}

// It keeps its word: at that time the demotion ends, and not before.
TEST(CopyState, SaysWhenItsDemotionEnds) {
    CopyState backup = wanted();
    backup.heard(kStart, false);
    EXPECT_EQ(backup.demotion_ends(kStart), kNever);
    backup.heard(kStart, true);
    EXPECT_EQ(backup.demotion_ends(kStart), kStart + kSettle);
    EXPECT_EQ(backup.demotion(kStart + kSettle - milliseconds(1)), 240);
    EXPECT_EQ(backup.demotion(kStart + kSettle), 0);

    CopyState master = wanted();
    master.set_master(kStart, true);
    EXPECT_EQ(master.demotion_ends(kStart), kStart + CopyState::kTakeover);
    EXPECT_EQ(master.demotion(kStart + CopyState::kTakeover), 0);
}

TEST(CopyState, ConfiguringItDemotesNoMaster) {
    CopyState copy;
    copy.set_master(kStart, true);
    copy.set_wanted(true);
    EXPECT_EQ(copy.demotion(kStart), 0);
}

}  // namespace
}  // namespace carpd
