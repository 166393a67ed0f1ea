// What an operator asks of a host: to look at all flows, to have them anew, to forget them.
#include <gtest/gtest.h>

#include "sync/host.h"
#include "sync/test_hosts.h"

namespace carpd {
namespace {

using namespace std::chrono_literals;
using namespace test_hosts;

// Host 0 is MASTER of so many flows, and 1 owns another.
struct Pair : World {
    explicit Pair(std::uint32_t flows) : World(2, 1) {
        max_flows = 100'000;
        for (std::size_t i = 0; i < 2; ++i) start(i);
        run(1s);
        nodes[0].host->set_master(now, true);
        for (std::uint32_t number = 0; number < flows; ++number) pass(0, number);
        pass(1, 50'000);
        run(2s);
    }
    Kernel& kernel(std::size_t i) { return nodes[i].kernel; }
    SyncIncomplete incomplete(std::size_t i) { return nodes[i].host->incomplete(now); }
    std::uint64_t asked_of(std::size_t i) {
        return nodes[i].host->session(0).outbox().counters().buckets_asked;
    }
};

// ---- resync

TEST(Resync, WritesWhatOurKernelLostAndFindsWhatIsGone) {
    Pair world(1000);
    for (std::uint32_t number = 0; number < 1000; number += 3) {
        world.kernel(1).flows.erase(name_of(sample_identity(number)));
        world.kernel(0).flows.erase(name_of(sample_identity(number + 1)));
    }
    world[1].resync(world.now);
    world.run(500ms);
    EXPECT_TRUE(world.has(1, 0) && world.has(1, 999));
    EXPECT_EQ(world.asked_of(0), kBuckets);
    EXPECT_EQ(world.incomplete(1), SyncIncomplete::no);
    EXPECT_TRUE(world.has(1, 1));
    world[0].resync(world.now);
    world.run(500ms);
    EXPECT_FALSE(world.has(1, 1));
    world.expect_equal();
    EXPECT_EQ(world.asked_of(0), kBuckets);
}

TEST(Resync, AsksUntilItIsHeard) {
    Pair world(100);
    world.cut = {{1, 0}};
    world[1].resync(world.now);
    world.run(300ms);
    EXPECT_EQ(world.asked_of(0), 0u);
    world.cut.clear();
    world.run(900ms);
    EXPECT_EQ(world.asked_of(0), kBuckets);
    world.run(20s);
    EXPECT_EQ(world.asked_of(0), kBuckets);
}

TEST(Resync, WhatTakesLongWaitsInBounds) {
    Pair world(20'000);
    world.kernel(1).flows.clear();
    world.nodes[1].makes_changes = false;
    world[1].resync(world.now);
    world.run(500ms);
    EXPECT_GE(world[1].changes().size(), SyncHost::kMostChanges);
    EXPECT_LE(world[1].changes().size(), SyncHost::kMostChanges + 2100);
    EXPECT_FALSE(world[1].is_committed());
    world.nodes[1].makes_changes = true;
    world.pass(1, 50'000);
    world.run(500ms);
    EXPECT_TRUE(world[1].is_committed());
    world.expect_equal();
}

// ---- flush

TEST(Flush, RemovesWhatPeersToldAndAsksForIt) {
    Pair world(1000);
    world.separate(0, 1);
    EXPECT_TRUE(world[1].flush(world.now));
    EXPECT_EQ(world.incomplete(1), SyncIncomplete::differs);
    world.run(10ms);
    EXPECT_EQ(flows_of(world, 1, 1000).size(), 0u);
    EXPECT_TRUE(world.has(1, 50'000));
    EXPECT_EQ(world.incomplete(1), SyncIncomplete::differs);
    world.cut.clear();
    world.run(1500ms);
    world.expect_equal();
    world.run(1s);
    EXPECT_EQ(world.incomplete(1), SyncIncomplete::no);
    EXPECT_EQ(world.asked_of(0), kBuckets);
}

TEST(Flush, IsRefusedByWhoIsMaster) {
    Pair world(10);
    world.start(1);
    world[0].set_master(world.now, false);
    world[1].set_master(world.now, true);
    EXPECT_FALSE(world[1].flush(world.now));
    world.run(1s);
    EXPECT_EQ(flows_of(world, 1, 10).size(), 10u);
    EXPECT_EQ(world.asked_of(0), 0u);
}

TEST(Flush, OfAPeerThatIsGoneNothingStays) {
    Pair world(5000);
    world.kill(0);
    world.run(2s);
    EXPECT_EQ(flows_of(world, 1, 5000).size(), 5000u);
    EXPECT_TRUE(world[1].flush(world.now));
    world.run(10ms);
    EXPECT_EQ(flows_of(world, 1, 5000).size(), 0u);
    EXPECT_TRUE(world.has(1, 50'000));
    EXPECT_EQ(world.incomplete(1), SyncIncomplete::no);
}

TEST(Flush, TakesChangesAsTheKernelMakesThem) {
    Pair world(20'000);
    world.nodes[1].makes_changes = false;
    EXPECT_TRUE(world[1].flush(world.now));
    world.run(200ms);
    EXPECT_GE(world[1].changes().size(), SyncHost::kMostChanges);
    EXPECT_LE(world[1].changes().size(), SyncHost::kMostChanges + 2100);
    world.nodes[1].makes_changes = true;
    world.pass(1, 50'000);
    world.run(15s);
    world.expect_equal();
    EXPECT_EQ(world.incomplete(1), SyncIncomplete::no);
}

TEST(Flush, EndsWhenTheHostBecomesMaster) {
    Pair world(20'000);
    world.nodes[1].makes_changes = false;
    EXPECT_TRUE(world[1].flush(world.now));
    world.run(1ms);
    EXPECT_LT(world[1].session(0).inbox().table().size(), 20'000u);
    EXPECT_GT(world[1].session(0).inbox().table().size(), 10'000u);
    world[1].set_master(world.now, true);
    world[0].set_master(world.now, false);
    world.nodes[1].makes_changes = true;
    world.run(3s);
    EXPECT_GT(world[1].own().size(), 10'000u);
    world.expect_equal();
}

TEST(Flush, GoesOnThroughANewSession) {
    Pair world(20'000);
    world.nodes[1].makes_changes = false;
    EXPECT_TRUE(world[1].flush(world.now));
    world.run(1ms);
    world.kill(0);
    world.run(500ms);
    world.start(0);
    world[0].set_master(world.now, true);
    world.nodes[1].makes_changes = true;
    world.run(15s);
    world.expect_equal();
    EXPECT_EQ(world.incomplete(1), SyncIncomplete::no);
}

TEST(Flush, AFlowThatTwoPeersOwnIsLeftToTheOneWhoHasItStill) {
    World world(3, 1);
    world.run(1s);
    world[0].set_master(world.now, true);
    for (std::uint32_t number = 0; number < 100; ++number) world.pass(0, number);
    world.run(100ms);
    world.separate(0, 1);
    world.run(1500ms);
    for (std::uint32_t number = 0; number < 100; ++number) world.pass(1, number);
    world.run(100ms);
    EXPECT_EQ(world[2].session(0).inbox().table().size(), 100u);
    EXPECT_EQ(world[2].session(1).inbox().table().size(), 100u);
    EXPECT_TRUE(world[2].flush(world.now));
    world.run(2500ms);
    EXPECT_EQ(flows_of(world, 2, 100).size(), 100u);
    EXPECT_EQ(world[2].incomplete(world.now), SyncIncomplete::no);
}

// ---- the walk

using Seen = std::map<Name, std::optional<std::size_t>>;

Seen walk(World& world, std::size_t host, std::size_t most) {
    Seen seen;
    FlowCursor cursor;
    bool is_more = true;
    while (is_more) {
        std::size_t visited = 0;
        is_more = world[host].walk(cursor, most, [&](const Flow& flow, std::optional<std::size_t> owner) {
            EXPECT_TRUE(seen.emplace(name_of(flow.identity), owner).second);
            ++visited;
        });
        EXPECT_LE(visited, most);
    }
    return seen;
}

TEST(Walk, VisitsEveryFlowOnceAndNamesItsOwner) {
    World world(3, 1);
    EXPECT_TRUE(walk(world, 1, 1).empty());
    world.run(1s);
    for (std::uint32_t number = 0; number < 300; ++number) world.pass(number % 3, number);
    world.run(1s);
    for (std::uint32_t number = 0; number < 300; number += 5) world.finish(number % 3, number);
    world.run(100ms);
    world.kill(2);
    world.run(2s);
    for (const std::size_t most : {1u, 7u, 100'000u}) {
        const Seen seen = walk(world, 1, most);
        EXPECT_EQ(seen.size(), 240u);
        for (std::uint32_t number = 0; number < 300; ++number) {
            const auto it = seen.find(name_of(sample_identity(number)));
            ASSERT_EQ(it != seen.end(), number % 5 != 0) << number;
            if (it == seen.end()) continue;
            const std::optional<std::size_t> owners[] = {0, {}, 1};
            EXPECT_EQ(it->second, owners[number % 3]);
        }
    }
}

TEST(Walk, EndsWhateverHappensMeanwhile) {
    World world(2, 3);
    world.run(1s);
    world[0].set_master(world.now, true);
    for (std::uint32_t number = 0; number < 500; ++number) world.pass(0, number);
    world.run(1s);
    FlowCursor cursor;
    std::size_t visited = 0;
    for (int round = 0;; ++round) {
        ASSERT_LT(round, 500);
        if (!world[1].walk(cursor, 10, [&](const Flow&, std::optional<std::size_t>) { ++visited; })) break;
        if (round % 20 == 10) world.start(0);
        if (round == 30) world[1].set_master(world.now, true);
        if (round % 20 == 17) world[1].flush(world.now);
        churn_for(world, 0, 5, 500);
    }
    EXPECT_GT(visited, 0u);
    FlowCursor beyond{77, 5};
    EXPECT_FALSE(world[1].walk(beyond, 10, [](const Flow&, std::optional<std::size_t>) { FAIL(); }));
}

}  // namespace
}  // namespace carpd
