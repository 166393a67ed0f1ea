// Hosts that are driven as processes drive them, over a network that loses and reorders. After quiet every
// kernel holds what the owners own; a host that takes over loses no flow; what ended goes.
#include "sync/host.h"

#include <gtest/gtest.h>

#include "sync/merge.h"
#include "sync/test_hosts.h"

namespace carpd {
namespace {

using namespace std::chrono_literals;
using namespace test_hosts;

struct SyncHosts : testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Seeds, SyncHosts, testing::Range(0, 6));

TEST_P(SyncHosts, EveryKernelComesToHoldWhatTheOwnersOwn) {
    AnyWorld world(GetParam());
    world.run(1s);
    world[0].set_master(world.now, true);
    churn_for(world, 0, 300);
    calm(world);
    world.expect_equal();
    EXPECT_GT(world[1].session(0).inbox().table().size(), 50u);
    EXPECT_EQ(world[0].incomplete(world.now), SyncIncomplete::no);
    EXPECT_EQ(world[1].incomplete(world.now), SyncIncomplete::no);
    EXPECT_TRUE(world[0].is_drained());

    for (std::uint32_t number = 0; number < 300; ++number) world.finish(0, number);
    world.run(1s);
    for (const auto& node : world.nodes) EXPECT_TRUE(node.kernel.flows.empty());
}

TEST_P(SyncHosts, WhoeverTakesOverOwnsTheFlowsOfTheDead) {
    AnyWorld world(GetParam());
    world.run(1s);
    world[0].set_master(world.now, true);
    churn_for(world, 0, 100);
    calm(world);
    const auto flows = flows_of(world, 1);
    world.kill(0);
    world.run(30ms);
    world[1].set_master(world.now, true);
    EXPECT_EQ(world.nodes[1].kernel.flows.size(), flows.size());
    world.run(1100ms);  // until it is known to be down
    EXPECT_EQ(world[1].own().size(), flows.size());
    churn_for(world, 1, 100);
    calm(world);
    world.expect_equal();
}

TEST_P(SyncHosts, AMasterThatReturnsEmptyTakesNothingAway) {
    AnyWorld world(GetParam());
    world.run(1s);
    world[0].set_master(world.now, true);
    churn_for(world, 0, 100);
    calm(world);
    world.kill(0);
    world.nodes[0].kernel.flows.clear();
    if (GetParam() % 3) world.run(Duration(world.below(2'000'000'000)));
    world[1].set_master(world.now, true);
    const auto flows = flows_of(world, 1);
    world.run(Duration(world.below(2'000'000'000)));
    world.start(0);
    EXPECT_EQ(world[0].incomplete(world.now), SyncIncomplete::starting);
    for (int i = 0; i < 40; ++i) {
        world.run(100ms);
        ASSERT_EQ(flows_of(world, 1), flows);
        if (world[0].incomplete(world.now) == SyncIncomplete::no) {
            ASSERT_EQ(flows_of(world, 0), flows);
        }
    }
    world.expect_equal();
    world[1].set_master(world.now, false);
    world[0].set_master(world.now, true);
    world.run(1s);
    EXPECT_EQ(world[0].own().size(), flows.size());
    EXPECT_EQ(world[1].own().size(), 0u);
    churn_for(world, 0, 50);
    calm(world);
    world.expect_equal();
}

TEST_P(SyncHosts, AMasterThatReturnsWithItsKernelGivesItsFlowsUp) {
    AnyWorld world(GetParam());
    world.run(1s);
    world[0].set_master(world.now, true);
    churn_for(world, 0, 100);
    calm(world);
    world.kill(0);
    world.run(1500ms);
    world[1].set_master(world.now, true);
    churn_for(world, 1, 30);
    const auto live = flows_of(world, 1);
    world.start(0);
    for (int i = 0; i < 40; ++i) {
        world.run(100ms);
        ASSERT_EQ(flows_of(world, 1), live);
    }
    for (const std::uint32_t number : live) EXPECT_TRUE(world.has(0, number));
    EXPECT_EQ(world[0].own().size(), 0u);  // what it only finds in its kernel isn't its own
    world[1].set_master(world.now, false);
    world[0].set_master(world.now, true);
    calm(world);
    for (const std::uint32_t number : live) EXPECT_TRUE(world.has(0, number) && world.has(1, number));
    world.expect_equal();
}

TEST_P(SyncHosts, TwoMastersAfterAPartitionAgreeWhenItHeals) {
    AnyWorld world(GetParam());
    world.run(1s);
    world[0].set_master(world.now, true);
    churn_for(world, 0, 60);
    world.separate(0, 1);
    world.run(1500ms);
    world[1].set_master(world.now, true);
    churn_for(world, 1, 30);
    churn_for(world, 0, 30, 200);
    world.cut.clear();
    world.run(Duration(world.below(300'000'000)));
    const auto live = flows_of(world, 1);
    const std::size_t loser = static_cast<std::size_t>(GetParam()) / 2 % 2;
    world[loser].set_master(world.now, false);
    calm(world, 20s);
    world.expect_equal();
    for (const std::uint32_t number : live) EXPECT_TRUE(world.has(0, number) && world.has(1, number));
    EXPECT_GT(world[1 - loser].term(), world[loser].term());
}

TEST_P(SyncHosts, ADumpRepairsLostEvents) {
    AnyWorld world(GetParam());
    world.run(1s);
    world[0].set_master(world.now, true);
    churn_for(world, 0, 50);
    world.nodes[0].hears_events = false;
    churn_for(world, 0, 50);
    world.churn(0, 1);
    world.run(1ms);
    EXPECT_EQ(world[0].incomplete(world.now), SyncIncomplete::overrun);
    EXPECT_GT(world[0].counters().lost_events, 50u);
    world.nodes[0].hears_events = true;
    calm(world);
    world.expect_equal();
    EXPECT_GT(world[0].counters().swept, 0u);
    EXPECT_EQ(world[0].incomplete(world.now), SyncIncomplete::no);
}

// The backup with its machine.
TEST_P(SyncHosts, EitherSideMayRestartAtAnyTime) {
    AnyWorld world(GetParam());
    world.run(1s);
    world[0].set_master(world.now, true);
    for (int round = 0; round < 6; ++round) {
        churn_for(world, 0, 30);
        const std::size_t who = world.below(2);
        if (who == 1) world.nodes[1].kernel.flows.clear();
        world.start(who);
        if (who == 0) world[0].set_master(world.now, true);
    }
    calm(world, 20s);
    world.expect_equal();
}

TEST(SyncHost, OutagesOfTheLinkHeal) {
    World world(3, 5);
    world.run(1s);
    world[0].set_master(world.now, true);
    for (int round = 0; round < 4; ++round) {
        churn_for(world, 0, 20);
        if (round % 2)
            world.cut = {{0, 1}};
        else
            world.separate(0, 1);
        churn_for(world, 0, 1 + static_cast<int>(world.below(800)), 100);
        world.cut.clear();
    }
    calm(world);
    world.expect_equal();
}

TEST(SyncHost, AHostIsIncompleteUntilItHasHeardAllPeersOrIsAlone) {
    World world(2, 1);
    world.kill(1);
    EXPECT_EQ(world[0].incomplete(world.now), SyncIncomplete::starting);
    world.run(2900ms);
    EXPECT_EQ(world[0].incomplete(world.now), SyncIncomplete::starting);
    world.run(200ms);
    EXPECT_EQ(world[0].incomplete(world.now), SyncIncomplete::no);
    world[0].set_master(world.now, true);
    for (std::uint32_t number = 0; number < 5000; ++number) world.pass(0, number);
    world.run(1s);
    world.start(1);
    world.run(2ms);
    EXPECT_EQ(world[1].incomplete(world.now), SyncIncomplete::receiving);
    world.run(1s);
    EXPECT_EQ(world[1].incomplete(world.now), SyncIncomplete::no);
    world.expect_equal();
}

TEST(SyncHost, AFlowThatPassesAnotherHostIsThatHostsFromThenOn) {
    World world(2, 1);
    world.run(1s);
    world[1].set_master(world.now, true);
    world.pass(0, 3);
    world.run(100ms);
    EXPECT_EQ(world[0].own().size(), 1u);
    world.pass(1, 3, 4);
    world.run(100ms);
    EXPECT_EQ(world[0].own().size(), 0u);
    EXPECT_EQ(world[1].own().size(), 1u);
    EXPECT_EQ(world[1].counters().claimed, 1u);
    EXPECT_EQ(world[0].counters().given_up, 1u);
    world.expect_equal();
    world.finish(1, 3);
    world.run(100ms);
    EXPECT_FALSE(world.has(0, 3));
}

TEST(SyncHost, OnTheLowerHostAFlowIsGivenBackToTheMaster) {
    World world(2, 1);
    world.run(1s);
    world[1].set_master(world.now, true);
    world.pass(1, 3);
    world.run(100ms);
    world.pass(0, 3, 4);  // an answer that took the other way
    world.run(100ms);
    EXPECT_GT(world[1].counters().kept, 0u);
    EXPECT_EQ(world[0].own().size(), 0u);
    world.expect_equal();
    EXPECT_EQ(std::get<TcpState>(world.nodes[1].kernel.flows.begin()->second.flow.state.protocol).state, 4);
}

TEST(SyncHost, WhoKeepsAFlowSaysSoThoughItLearnsNothing) {
    World world(2, 1);
    world.run(1s);
    world[1].set_master(world.now, true);
    world.pass(1, 3);
    world.run(2s);
    world.pass(0, 3);
    world.run(100ms);
    EXPECT_EQ(world[0].counters().claimed, 1u);
    EXPECT_EQ(world[0].own().size(), 0u);
    world.expect_equal();
}

// Of two groups one moves, and nothing but refreshed timeouts tells which flows are its.
struct Moves : testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(From, Moves, testing::Range<std::size_t>(0, 2));

TEST_P(Moves, AFlowWhoseTrafficMovedWithAGroupFollowsIt) {
    const std::size_t from = GetParam(), to = 1 - from;
    World world(3, 1);
    world.timeout = 120;
    world.run(1s);
    world[0].set_master(world.now, true);
    world.run(1s);
    world[1].set_master(world.now, true);
    for (std::uint32_t number = 0; number < 20; ++number) world.pass(from, number);
    world.run(10s);
    world[to].take_over(world.now);
    EXPECT_FALSE(world[to].wants_dump());
    for (int i = 0; i < 40; ++i) {
        for (std::uint32_t number = 0; number < 20; ++number) world.refresh(number < 10 ? from : to, number);
        world.run(10s);
        if (i == 2) {
            EXPECT_EQ(world[to].counters().claimed, 10u);
        }
        ASSERT_EQ(flows_of(world, to, 20).size(), 20u) << i;
    }
    EXPECT_EQ(world[from].own().size(), 10u);
    EXPECT_EQ(world[to].own().size(), 10u);
    EXPECT_EQ(world[to].counters().claimed, 10u);
    EXPECT_EQ(world[from].counters().claimed, 0u);
    world.expect_equal();
}

TEST(SyncHost, WhatNobodyTookOverGoesWhenAnotherIsMaster) {
    World world(3, 1);
    world.run(1s);
    world[0].set_master(world.now, true);
    world.cut = {{0, 1}};  // what 1 never hears
    for (std::uint32_t number = 0; number < 50; ++number) world.pass(0, number);
    world.run(100ms);
    world.kill(0);
    world.run(400s);
    EXPECT_EQ(world.nodes[2].kernel.flows.size(), 50u);  // nobody is MASTER
    world[1].set_master(world.now, true);
    world.run(2s);
    EXPECT_TRUE(world.nodes[2].kernel.flows.empty());
    EXPECT_EQ(world[2].session(0).inbox().previous(), nullptr);
    world.expect_equal();
}

TEST(SyncHost, WhatIsTakenOverStaysHowLongEverItsOwnerIsAway) {
    World world(3, 1);
    world.run(1s);
    world[0].set_master(world.now, true);
    for (std::uint32_t number = 0; number < 50; ++number) world.pass(0, number);
    world.run(100ms);
    world.kill(0);
    world[1].set_master(world.now, true);
    world.run(200s);
    EXPECT_EQ(world[2].session(0).inbox().previous()->size(), 50u);
    world.run(200s);
    EXPECT_EQ(world[2].session(0).inbox().previous(), nullptr);
    EXPECT_EQ(world.nodes[2].kernel.flows.size(), 50u);
    world.expect_equal();
}

TEST(SyncHost, WhatADumpDoesNotShowEndsInSlices) {
    World world(2, 1);
    world.max_flows = 20'000;
    for (std::size_t i = 0; i < 2; ++i) world.start(i);
    world.run(1s);
    world[0].set_master(world.now, true);
    for (std::uint32_t number = 0; number < 6000; ++number) world.pass(0, number);
    world.run(1s);
    world.nodes[0].kernel.flows.clear();
    world[0].on_lost_events(world.now, 1);
    ASSERT_TRUE(world[0].wants_dump());
    world[0].begin_dump(world.now);
    world[0].end_dump(world.now);
    world[0].on_timer(world.now);
    EXPECT_EQ(world[0].incomplete(world.now), SyncIncomplete::overrun);
    EXPECT_GT(world[0].own().size(), 1000u);
    EXPECT_LT(world[0].own().size(), 6000u);
    world.pass(0, 7000);
    world.pass(0, 5999);
    world.run(1s);
    EXPECT_EQ(world[0].own().size(), 2u);
    EXPECT_EQ(world[0].incomplete(world.now), SyncIncomplete::no);
    world.expect_equal();
}

TEST(SyncHost, ALiveFlowStaysOnThePeerLongerThanItsTimeout) {
    World world(2, 1);
    world.timeout = 30;
    world.run(1s);
    world[0].set_master(world.now, true);
    for (std::uint32_t number = 0; number < 50; ++number) world.pass(0, number);
    for (int i = 0; i < 30; ++i) {
        world.run(10s);
        for (std::uint32_t number = 0; number < 25; ++number) world.refresh(0, number);
        ASSERT_EQ(flows_of(world, 1, 25).size(), 25u);
    }
    EXPECT_GT(world[1].counters().refreshed, 0u);
    EXPECT_EQ(world.nodes[1].kernel.flows.size(), 25u);
    world.expect_equal();

    world.kill(0);  // and nobody takes over
    world.run(62s);
    EXPECT_TRUE(world.nodes[1].kernel.flows.empty());
    // What ended meanwhile isn't brought back by taking over later.
    world[1].set_master(world.now, true);
    world.run(1s);
    EXPECT_EQ(world[1].own().size(), 0u);
}

TEST(SyncHost, WhatWasRemovedFromAPeersKernelComesBack) {
    World world(2, 1);
    world.run(1s);
    world[0].set_master(world.now, true);
    for (std::uint32_t number = 0; number < 20; ++number) world.pass(0, number);
    world.timeout = 432'000;
    world.run(1s);
    world.nodes[1].kernel.most = 10;
    for (std::uint32_t number = 100; number < 110; ++number) world.pass(0, number);
    world.run(1s);
    EXPECT_GE(world[1].counters().failed[0], 10u);
    EXPECT_FALSE(world.has(1, 105));
    world.nodes[1].kernel.most = 100;
    world.run(17s);
    world.expect_equal();
}

TEST(SyncHost, WhatAnOperatorRemovedComesBack) {
    World world(2, 1);
    world.run(1s);
    world[0].set_master(world.now, true);
    for (std::uint32_t number = 0; number < 20; ++number) world.pass(0, number);
    world.run(1s);
    for (std::uint32_t number = 0; number < 20; ++number) world.finish(1, number);
    world.run(17s);
    EXPECT_EQ(world[1].counters().foreign_ended, 20u);
    world.expect_equal();
}

TEST(SyncHost, AMasterThatReturnsBeforeAnybodyMissedItTakesNothingAway) {
    World world(2, 1);
    world.run(1s);
    world[0].set_master(world.now, true);
    for (std::uint32_t number = 0; number < 20; ++number) world.pass(0, number);
    world.run(1s);
    world.kill(0);
    world.run(100ms);
    world.start(0);
    world.run(2s);
    EXPECT_EQ(flows_of(world, 1).size(), 20u);
    EXPECT_EQ(world[1].incomplete(world.now), SyncIncomplete::no);
    world[1].set_master(world.now, true);
    world.run(1s);
    EXPECT_EQ(world[1].own().size(), 20u);
    world.expect_equal();
}

// A host whose flow 3 is told, and a dump of its kernel that has begun.
class Dump : public ::testing::Test {
 protected:
    void SetUp() override {
        world.run(1s);
        world[0].set_master(world.now, true);
        begin();
    }
    void begin() {
        world.pass(0, 3, 2);
        world.run(100ms);
        as_it_was = world.nodes[0].kernel.flows.begin()->second.flow;
        world[0].begin_dump(world.now);
    }
    void end() { world[0].end_dump(world.now); }
    void show(const Flow& flow) { world[0].on_event(world.now, {Kind::listed, flow, true, true, true}); }

    World world{2, 1};
    Flow as_it_was;
};

TEST_F(Dump, IsOlderThanTheEventsThatCameWhileItRan) {
    world.pass(0, 3, 3);
    world.run(100ms);
    show(as_it_was);
    end();
    world.run(1s);
    world.expect_equal();
}

TEST_F(Dump, BringsNothingBackThatEndedWhileItRan) {
    world.finish(0, 3);
    world.run(100ms);
    show(as_it_was);
    end();
    world.run(1s);
    EXPECT_EQ(world[0].own().size(), 0u);
    EXPECT_EQ(flows_of(world, 1).size(), 0u);
    begin();  // and it may begin again
    show(as_it_was);
    end();
    EXPECT_EQ(world[0].own().size(), 1u);
}

TEST_F(Dump, IsRepeatedIfMoreEndedThanIsRemembered) {
    const auto end_flows = [&](std::uint32_t from, std::uint32_t to) {
        for (std::uint32_t number = from; number < to; ++number)
            world[0].on_event(world.now, {Kind::ended, {sample_identity(number), {}}, false, false, false});
    };
    end_flows(100, 100 + (1u << 16));
    EXPECT_FALSE(world[0].wants_dump());
    end_flows(100 + (1u << 16), 101 + (1u << 16));
    EXPECT_TRUE(world[0].wants_dump());
}

TEST(SyncHost, AFlowThatADumpShowsToBeAnotherOneStaysOurs) {
    World world(2, 1);
    world.run(1s);
    world[0].set_master(world.now, true);
    world.pass(1, 3);
    world.run(100ms);
    world.pass(0, 3, 4);
    world.run(1us);  // and the peer has it still
    ASSERT_EQ(world[0].own().size(), 1u);
    Flow flow = world.nodes[0].kernel.flows.begin()->second.flow;
    flow.identity.helper = {'f', 't', 'p'};
    world[0].begin_dump(world.now);
    world[0].on_event(world.now, {Kind::listed, flow, true, true, true});
    world[0].end_dump(world.now);
    EXPECT_EQ(world[0].own().size(), 1u);
}

TEST(SyncHost, AMasterTakesOverWhatABackupStillHasWhenTheyMeetAgain) {
    World world(2, 1);
    world.run(1s);
    world[0].set_master(world.now, true);
    world.separate(0, 1);
    world.run(2s);
    for (std::uint32_t number = 0; number < 20; ++number) world.pass(0, number);
    world.run(100ms);
    world[1].set_master(world.now, true);
    world[0].set_master(world.now, false);
    world.cut.clear();
    world.run(1s);
    EXPECT_EQ(world[0].own().size(), 0u);
    EXPECT_EQ(world[1].own().size(), 20u);
    world.expect_equal();
}

TEST(SyncHost, IsBoundedByItsLimitOfFlows) {
    World world(2, 1);
    world.max_flows = 50;
    world.start(0);
    world.max_flows = 40;
    world.start(1);
    world.run(1s);
    world[0].set_master(world.now, true);
    for (std::uint32_t number = 0; number < 200; ++number) world.pass(0, number);
    world.run(1s);
    EXPECT_EQ(world[0].own().size(), 50u);
    EXPECT_GE(world[0].own().refused(), 150u);
    EXPECT_EQ(world.nodes[1].kernel.flows.size(), 40u);
    EXPECT_GT(world[1].session(0).inbox().counters().slot_too_high, 0u);
}

TEST(SyncHost, ChangesThatAKernelDoesNotTakeWaitInBounds) {
    World world(2, 1);
    world.max_flows = 20'000;
    world.start(0);
    world.start(1);
    world.run(1s);
    world[0].set_master(world.now, true);
    world.nodes[1].makes_changes = false;
    for (std::uint32_t number = 0; number < 12'000; ++number) world.pass(0, number);
    world.run(500ms);
    EXPECT_GE(world[1].changes().size(), SyncHost::kMostChanges);
    EXPECT_LE(world[1].changes().size(), SyncHost::kMostChanges + 1000);
    EXPECT_GT(world[1].counters().no_room, 0u);
    world.nodes[1].makes_changes = true;
    world.run(3s);
    world.expect_equal();
}

TEST(SyncHost, ForgetsTheLaterOfTwoPeersWithOneName) {
    World world(3, 1);
    world.run(1s);
    ASSERT_TRUE(world[0].session(0).is_up() && world[0].session(1).is_up());
    world.start(2, "fw1");
    world.run(5s);
    EXPECT_GT(world[0].counters().same_peer, 0u);
    EXPECT_TRUE(world[0].session(0).is_up());
}

TEST(SyncHost, ConnectionsThatNobodyAnsweredAreNotTold) {
    World world(2, 1);
    world.run(1s);
    world[0].set_master(world.now, true);
    world.pass(0, 3, 1);
    world.run(100ms);
    EXPECT_EQ(world[0].own().size(), 0u);
    EXPECT_GT(world[0].counters().not_told, 0u);
    world.pass(0, 3, 2);
    world.run(100ms);
    EXPECT_TRUE(world.has(1, 3));

    Flow flow{sample_identity(4), sample_state(0)};
    flow.state.protocol = TcpState{1, {}, {}};
    EXPECT_FALSE(is_worth_telling(flow));
    flow.identity.helper = {'f', 't', 'p'};
    EXPECT_TRUE(is_worth_telling(flow));
    flow.state.protocol = {};  // of an event that doesn't tell it, of a flow that nobody knows
    EXPECT_FALSE(is_worth_telling(flow));
}

TEST(SyncHost, AHostThatStopsInOrderLeavesItsFlows) {
    World world(2, 1);
    world.run(1s);
    world[0].set_master(world.now, true);
    for (std::uint32_t number = 0; number < 200; ++number) world.pass(0, number);
    world.run(1us);
    EXPECT_FALSE(world[0].is_drained());
    world[0].stop(world.now);
    world.run(50ms);
    EXPECT_TRUE(world[0].is_drained());
    EXPECT_TRUE(world[1].session(0).said()->leaving);
    world[1].set_master(world.now, true);
    world.kill(0);
    world.run(2s);
    EXPECT_EQ(world[1].own().size(), 200u);
    EXPECT_EQ(world.nodes[1].kernel.flows.size(), 200u);
}

TEST(Merge, NeverGoesBack) {
    constexpr std::uint8_t kStates[] = {1, 2, 3, 4, 7, 9};
    FlowState a = sample_state(0), b = a;
    a.status = 0x8 | 0x2;
    b.status = 0x8 | 0x4;
    for (const std::uint8_t ours : kStates)
        for (const std::uint8_t theirs : kStates) {
            std::get<TcpState>(a.protocol).state = ours;
            std::get<TcpState>(b.protocol).state = theirs;
            const FlowState merged = merge(a, b);
            const auto& tcp = std::get<TcpState>(merged.protocol);
            EXPECT_GE(tcp_progress(tcp), tcp_progress(std::get<TcpState>(a.protocol)));
            EXPECT_GE(tcp_progress(tcp), tcp_progress(std::get<TcpState>(b.protocol)));
            EXPECT_EQ(merged.status, 0x8u | 0x2 | 0x4);
            EXPECT_EQ(merge(merged, b), merged);
        }
}

}  // namespace
}  // namespace carpd
