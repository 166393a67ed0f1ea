// What a helper expects is told like a flow, but lives as long as its helper wants, and no longer.
#include <gtest/gtest.h>

#include "sync/host.h"
#include "sync/test_hosts.h"

namespace carpd {
namespace {

using namespace std::chrono_literals;
using namespace test_hosts;

// Another connection between the hosts of flow `master`.
Flow expectation_of(std::uint32_t master, std::uint32_t timeout) {
    Flow flow;
    flow.identity.master = sample_identity(master).original;
    flow.identity.original = *flow.identity.master;
    flow.identity.original.first = 0;
    flow.identity.original.second = 50000;
    flow.identity.reply = flow.identity.original.inverse();
    flow.identity.mask = {IpAddress::parse("255.255.255.255").value()};
    flow.state.timeout = timeout;
    flow.state.protocol = ExpectationState{};
    return flow;
}

// Host 0 is MASTER, and flow 1 passes it.
struct Expectations : testing::Test {
    Expectations() : world(2, 1) {
        world.run(1s);
        world[0].set_master(world.now, true);
        world.pass(0, 1);
        world.run(100ms);
    }
    void expect_flow(std::uint32_t timeout) {
        flow = expectation_of(1, timeout);
        world.nodes[0].kernel.put(world.now, flow);
        world.nodes[0].kernel.tell(Kind::created, flow);
        world.run(100ms);
    }
    // It is used, or its helper takes it back.
    void end(std::size_t i) {
        world.nodes[i].kernel.flows.erase(name_of(flow.identity));
        world.nodes[i].kernel.tell(Kind::ended, flow);
        world.run(100ms);
    }
    const Kernel::Entry* in_kernel(std::size_t i) {
        const auto it = world.nodes[i].kernel.flows.find(name_of(flow.identity));
        return it == world.nodes[i].kernel.flows.end() ? nullptr : &it->second;
    }

    World world;
    Flow flow;
};

TEST_F(Expectations, AreInThePeersKernelUntilTheyEnd) {
    expect_flow(30);
    ASSERT_TRUE(in_kernel(1));
    EXPECT_EQ(in_kernel(1)->flow, flow) << "not the 60 s that flows have at least";
    end(0);
    EXPECT_FALSE(in_kernel(1));
}

TEST_F(Expectations, OfFlowsThatAreNotToldAreNotToldEither) {
    const Flow other = expectation_of(2, 300);
    world.nodes[0].kernel.put(world.now, other);
    world.nodes[0].kernel.tell(Kind::created, other);
    world.run(100ms);
    EXPECT_EQ(world[0].counters().not_told, 1u);
    EXPECT_EQ(world[0].own().size(), 1u);
}

// Nothing refreshes one, and if both kernels end it at a time, the peer doesn't write it again.
TEST_F(Expectations, EndInTime) {
    expect_flow(50);
    for (int second = 0; second < 48; ++second) {
        world.run(1s);
        ASSERT_TRUE(in_kernel(1));
    }
    world.run(3s);
    EXPECT_FALSE(in_kernel(0));
    for (int second = 0; second < 40; ++second) {
        ASSERT_FALSE(in_kernel(1));
        world.run(1s);
    }
    EXPECT_EQ(world[1].counters().refreshed, 0u);
}

TEST_F(Expectations, EndOnAPeerBeforeItsOwnerSaysSo) {
    expect_flow(300);
    end(1);
    world.run(40s);
    EXPECT_FALSE(in_kernel(1));
    EXPECT_EQ(world[1].counters().foreign_ended, 1u);
}

TEST_F(Expectations, AreTriedAgainWhenTheirMasterIsThere) {
    const auto master = world.nodes[1].kernel.flows.extract(name_of(sample_identity(1)));
    expect_flow(300);
    EXPECT_FALSE(in_kernel(1));
    EXPECT_EQ(world[1].counters().failed[static_cast<std::size_t>(FlowChangeFailure::full)], 1u);
    world.run(20s);
    EXPECT_FALSE(in_kernel(1));
    world.nodes[1].kernel.put(world.now, master.mapped().flow);
    world.run(20s);
    EXPECT_TRUE(in_kernel(1));
}

// What a dump says of the time that is left is news.
TEST_F(Expectations, DumpsTellTheTimeThatIsLeft) {
    expect_flow(300);
    world.run(100s);
    world[0].resync(world.now);
    world.run(100ms);
    const auto& told = world[1].session(0).inbox().table();
    EXPECT_LE(state_of(told.state(1)).timeout, 200u);
    EXPECT_NEAR(static_cast<double>((in_kernel(1)->ends - in_kernel(0)->ends) / 1ms), 0, 2000);
}

TEST_F(Expectations, AreTheirsWhoTakesOver) {
    expect_flow(300);
    world.kill(0);
    world[1].set_master(world.now, true);
    world.run(2s);
    EXPECT_EQ(world[1].own().size(), 2u);
    ASSERT_TRUE(in_kernel(1));
    end(1);
    EXPECT_EQ(world[1].own().size(), 1u);
}

// Its data connection begins before the new MASTER has worked out what is its own.
TEST_F(Expectations, AreNotOwnedIfTheyWereUsedMeanwhile) {
    expect_flow(300);
    world.kill(0);
    world.nodes[0].kernel.flows.clear();
    world[1].set_master(world.now, true);
    end(1);
    world.start(0);
    world.run(5s);
    EXPECT_EQ(world[1].own().size(), 1u);
    EXPECT_EQ(world[1].counters().taken_over, 1u);  // its master
    EXPECT_FALSE(in_kernel(1));
    EXPECT_FALSE(in_kernel(0));
    EXPECT_TRUE(world.has(0, 1));
}

}  // namespace
}  // namespace carpd
