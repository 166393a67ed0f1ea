// Hosts that keep what peers tell until they become MASTER (C1, C2 of docs/protocol/sync.md).
#include <gtest/gtest.h>

#include "sync/host.h"
#include "sync/test_hosts.h"

namespace carpd {
namespace {

using namespace std::chrono_literals;
using namespace test_hosts;

struct Committing : AnyWorld {
    explicit Committing(int seed = 0) : AnyWorld(seed) {
        commit_at_takeover = true;
        max_flows = 100'000;
        for (std::size_t i = 0; i < nodes.size(); ++i) start(i);
        run(1s);
        nodes[0].host->set_master(now, true);
    }
    void begin(std::uint32_t flows) {
        for (std::uint32_t number = 0; number < flows; ++number) pass(0, number);
        run(1s);
    }
    std::map<Name, Kernel::Entry>& kernel(std::size_t i) { return nodes[i].kernel.flows; }
};

struct Commit : testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Seeds, Commit, testing::Range(0, 12));

TEST_P(Commit, ABackupsKernelHasNothingUntilItBecomesMaster) {
    Committing world(GetParam());
    churn_for(world, 0, 100);
    calm(world);
    EXPECT_TRUE(world.kernel(1).empty());
    EXPECT_EQ(world[1].incomplete(world.now), SyncIncomplete::no);
    const auto flows = flows_of(world, 0);
    ASSERT_EQ(world[1].session(0).inbox().table().size(), flows.size());
    world.kill(0);
    world.run(30ms);
    world[1].set_master(world.now, true);
    EXPECT_FALSE(world[1].is_committed());
    world.run(1us);
    EXPECT_TRUE(world[1].is_committed());
    EXPECT_EQ(flows_of(world, 1), flows);
    world.run(1100ms);
    EXPECT_EQ(world[1].own().size(), flows.size());
    churn_for(world, 1, 100);
    calm(world);
    world.expect_committed(1);
}

// Nobody's kernel keeps what its owner says has ended, whoever was MASTER when it was written.
TEST_P(Commit, MastersComeAndGo) {
    Committing world(GetParam());
    std::size_t master = 0;
    for (int round = 0; round < 8; ++round) {
        churn_for(world, master, 30);
        const std::size_t next = world.below(2);
        if (world.below(3) == 0) {
            world.run(2s);  // what it told nobody, nobody owns then (W6)
            world.start(master);
            world[next].set_master(world.now, true);
            world.run(2s);  // what ends before it hears of it stays in its kernel
        }
        if (next == master) continue;
        const auto flows = flows_of(world, master);
        world.run(100ms);
        world[master].set_master(world.now, false);
        world[next].set_master(world.now, true);
        world.run(500ms);
        EXPECT_TRUE(world[next].is_committed());
        master = next;
    }
    calm(world, 20s);
    world.expect_committed(master);
    for (std::uint32_t number = 0; number < 300; ++number) world.finish(master, number);
    world.run(1s);
    for (std::size_t i = 0; i < world.nodes.size(); ++i) EXPECT_TRUE(world.kernel(i).empty()) << i;
}

TEST(SyncHostCommit, GoesToTheKernelInSlices) {
    Committing world;
    world.begin(20'000);
    world.nodes[1].makes_changes = false;
    world[1].set_master(world.now, true);
    world.run(50ms);
    EXPECT_GE(world[1].changes().size(), SyncHost::kMostChanges);
    EXPECT_LE(world[1].changes().size(), SyncHost::kMostChanges + 2100);
    for (const FlowChange& change : world[1].changes()) EXPECT_EQ(change.kind, FlowChange::Kind::create);
    EXPECT_FALSE(world[1].is_committed());
    world.nodes[1].makes_changes = true;
    for (int i = 0; i < 2; ++i) world.run(1ms);
    EXPECT_TRUE(world[1].is_committed());
    world[0].set_master(world.now, false);
    calm(world);
    world.expect_committed(1);
}

TEST(SyncHostCommit, EndsWhenTheHostIsMasterNoMore) {
    Committing world;
    world.begin(20'000);
    world.nodes[1].makes_changes = false;
    world[1].set_master(world.now, true);
    world.run(1ms);
    world[1].set_master(world.now, false);
    world.nodes[1].makes_changes = true;
    world[0].set_master(world.now, false);
    world[0].set_master(world.now, true);
    calm(world);
    EXPECT_GT(world.kernel(1).size(), 0u);
    EXPECT_LT(world.kernel(1).size(), 12'000u);
    EXPECT_TRUE(world[1].is_committed());
    world.expect_committed(0);
}

TEST(SyncHostCommit, WhileMasterOfSomethingNewsGoesToTheKernelAtOnce) {
    Committing world;
    world[1].set_master(world.now, true);
    world.begin(100);
    EXPECT_EQ(world.kernel(1).size(), 100u);
    world[1].set_master(world.now, false);
    for (std::uint32_t number = 100; number < 200; ++number) world.pass(0, number);
    for (std::uint32_t number = 0; number < 50; ++number) world.pass(0, number, 4);
    for (std::uint32_t number = 90; number < 110; ++number) world.finish(0, number);
    world.run(1s);
    EXPECT_EQ(flows_of(world, 1).size(), 90u);
    world.expect_committed(0);  // what has ended isn't there
    for (const auto& [name, entry] : world.kernel(1))
        EXPECT_EQ(entry.flow.state, world.kernel(0).at(name).flow.state);
}

TEST(SyncHostCommit, OnlyWhatIsInTheKernelIsRefreshed) {
    Committing world;
    world.timeout = 30;
    world[1].set_master(world.now, true);
    world.begin(20);
    world[1].set_master(world.now, false);
    for (std::uint32_t number = 20; number < 40; ++number) world.pass(0, number);
    for (int i = 0; i < 10; ++i) {
        for (std::uint32_t number = 0; number < 40; ++number) world.refresh(0, number);
        world.run(20s);
    }
    EXPECT_EQ(flows_of(world, 1).size(), 20u);
    EXPECT_GE(world[1].counters().refreshed, 20u);
    const auto refreshed = world[1].counters().refreshed;
    world[1].resync(world.now);
    world.run(100ms);
    EXPECT_EQ(flows_of(world, 1).size(), 20u);
    EXPECT_EQ(world[1].counters().refreshed, refreshed);
}

TEST(SyncHostCommit, WhatIsInTheKernelIsKnownOverARestartOfItsOwner) {
    Committing world;
    world[1].set_master(world.now, true);
    world.begin(100);
    world[1].set_master(world.now, false);
    world.start(0);
    world[0].set_master(world.now, true);
    for (std::uint32_t number = 0; number < 10; ++number) world.finish(0, number);
    for (std::uint32_t number = 200; number < 210; ++number) world.pass(0, number);
    calm(world);
    for (std::uint32_t number = 10; number < 20; ++number) world.finish(0, number);
    world.run(1s);
    EXPECT_EQ(flows_of(world, 1).size(), 80u);
    world.expect_committed(0);
}

TEST(SyncHostCommit, WhatAnEarlierLifeWroteGoesWhenItEnds) {
    Committing world;
    world[1].set_master(world.now, true);
    world.begin(100);
    world[1].set_master(world.now, false);
    world.start(1);
    calm(world);
    for (std::uint32_t number = 0; number < 40; ++number) world.finish(0, number);
    world.run(1s);
    EXPECT_EQ(flows_of(world, 1).size(), 60u);
    world.kill(0);
    world[1].set_master(world.now, true);
    world.run(1s);
    EXPECT_EQ(world[1].own().size(), 60u);
    world.expect_committed(1);
}

TEST(SyncHostCommit, WhatItsOwnerLeftLongAgoHasEnded) {
    Committing world;
    world.timeout = 30;
    for (std::uint32_t number = 0; number < 10; ++number) world.pass(0, number);
    world.timeout = 120;
    for (std::uint32_t number = 10; number < 20; ++number) world.pass(0, number);
    world.run(1s);
    world.kill(0);
    world.run(75s);
    world[1].set_master(world.now, true);
    world.run(100ms);
    EXPECT_EQ(flows_of(world, 1).size(), 10u);
    EXPECT_EQ(world[1].own().size(), 10u);
    for (const auto& [name, entry] : world.kernel(1)) {
        EXPECT_LE(entry.ends - world.now, 46s);
        EXPECT_GT(entry.ends - world.now, 40s);
    }
    world.run(50s);
    EXPECT_TRUE(world.kernel(1).empty());
}

TEST(SyncHostCommit, FlushForgetsWhatWasKeptBack) {
    Committing world;
    world.begin(100);
    EXPECT_TRUE(world[1].flush(world.now));
    EXPECT_EQ(world[1].incomplete(world.now), SyncIncomplete::differs);
    world.run(3s);
    EXPECT_TRUE(world.kernel(1).empty());
    EXPECT_EQ(world[1].incomplete(world.now), SyncIncomplete::no);
    EXPECT_EQ(world[1].session(0).inbox().table().size(), 100u);
}

TEST(SyncHostCommit, HostsThatWriteAtOnceAreCommittedWhenTheKernelHasAll) {
    World world(2, 1);
    world.run(1s);
    world[0].set_master(world.now, true);
    world.nodes[1].makes_changes = false;
    world.pass(0, 1);
    world.run(100ms);
    EXPECT_FALSE(world[1].is_committed());
    world[1].set_master(world.now, true);
    EXPECT_FALSE(world[1].is_committed());
    world[1].changes_done(1);
    EXPECT_TRUE(world[1].is_committed());
}

}  // namespace
}  // namespace carpd
