#include "carp/pool_memory.h"

#include "carp/test_pools.h"

namespace carpd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class PoolMemoryTest : public Pools {
 protected:
    // Another daemon goes on with these groups a moment later; `done` has what it wants done.
    void upgrade(std::vector<GroupConfig> groups, LinkStatus link = good_link()) {
        const NodeMemory memory = node.memory();
        now += milliseconds(3);
        node = Node{2};
        configure(std::move(groups));
        done.clear();
        node.resume(now, memory, std::vector{link}, out);
        settle();
    }
    std::size_t count_moves() const {
        return all<WithdrawAddresses>().size() + all<ReportTransition>().size() + all<ReportPool>().size() +
               all<SendAdvertisement>().size();
    }
};

// Host 3 is lost, so this one stands in for it, and its share is everybody's.
TEST_F(PoolMemoryTest, SharesStayWhereTheyAre) {
    start(pool(1));
    live(seconds(10), {{2, 2}, {3, 3}});
    live(seconds(10), {{2, 2}});
    ASSERT_EQ(state(3), State::master);
    const SetPool before = pool_is;
    ASSERT_EQ(before.at_home, 0b011u);
    upgrade(pool(1));
    EXPECT_EQ(pool_is.at_home, before.at_home);
    EXPECT_FALSE(settles());
    EXPECT_LE(pool_is.hand_over_until, now);
    EXPECT_EQ(all<InstallAddresses>().size(), 2u);
    EXPECT_EQ(count_moves(), 0u);
    EXPECT_TRUE(balancer().holder_of(0).is_self);
    EXPECT_EQ(balancer().holder_of(1).source, ip("192.0.2.2"));
    live(seconds(10), {{2, 2}});
    EXPECT_TRUE(all<ReportTransition>().empty());
    EXPECT_EQ(pool_is.at_home, before.at_home);
    hear(3, 3, 0);  // it is back, as if nothing had been
    EXPECT_EQ(pool_is.at_home, 0b111u);
    EXPECT_TRUE(settles());
}

TEST_F(PoolMemoryTest, TheBsdsHashStaysToo) {
    start(pool(1, BalanceHash::bsd));
    live(seconds(10), {{2, 2}, {2, 3}});
    upgrade(pool(1, BalanceHash::bsd));
    EXPECT_EQ(balancer().holder_of(2).source, ip("192.0.2.2"));
    EXPECT_FALSE(settles());
    EXPECT_EQ(count_moves(), 0u);
}

TEST_F(PoolMemoryTest, SettlingEndsInItsTime) {
    start(pool(1));
    live(seconds(10), {{2, 2}, {2, 3}});
    hear(3, 3, 0);
    const Instant until = pool_is.settling_until;
    ASSERT_EQ(until, now + Balancer::kSettling);
    upgrade(pool(1));
    EXPECT_EQ(pool_is.settling_until, until);
    live(until - seconds(1) - now, {{2, 2}, {3, 3}});
    EXPECT_TRUE(settles());
    live(seconds(2), {{2, 2}, {3, 3}});
    EXPECT_EQ(pool_is.settling_until, Instant::min());
}

// Rule N8: connections with the MASTER of before stay there.
TEST_F(PoolMemoryTest, WhoseLeaseMayLastIsRemembered) {
    start(pool(1));
    live(seconds(10), {{2, 2}, {3, 3}});
    upgrade(pool(1));
    hear(2, 3, 0);
    EXPECT_TRUE(settles());
}

TEST_F(PoolMemoryTest, AnotherPoolSettles) {
    start(pool(1));
    live(seconds(10), {{2, 2}, {3, 3}});
    upgrade(pool(1, BalanceHash::bsd));
    EXPECT_TRUE(settles());
    EXPECT_EQ(state(1), State::master);
}

// What the network does meanwhile counts as at any other time.
TEST_F(PoolMemoryTest, ALinkThatIsGoneMeanwhileIsAShareLost) {
    start(pool(1));
    live(seconds(10), {{2, 2}});
    ASSERT_EQ(state(3), State::master);
    LinkStatus down = good_link();
    down.running = false;
    upgrade(pool(1), down);
    EXPECT_EQ(all<WithdrawAddresses>().size(), 2u);
    EXPECT_FALSE(balancer().holder_of(0).is_self);
    EXPECT_EQ(pool_is.at_home, 0b111u) << "nobody is known to have it";
}

TEST_F(PoolMemoryTest, ProbesKeepTheirBeat) {
    start(pool(1));
    live(seconds(10), {{2, 2}, {3, 3}});
    done.clear();
    while (all<SendFloodProbe>().empty()) live(milliseconds(100), {{2, 2}, {3, 3}});
    const Instant last = now;
    live(seconds(2), {{2, 2}, {3, 3}});
    upgrade(pool(1));
    while (all<SendFloodProbe>().empty()) live(milliseconds(100), {{2, 2}, {3, 3}});
    EXPECT_LE(now, last + PoolPeers::kProbeInterval + milliseconds(200));
}

// Rules N10, N12: neither a host's pool nor its missing probes are news once more.
TEST_F(PoolMemoryTest, WhatWasSaidOfHostsIsNotSaidAgain) {
    start(pool(1));
    live(seconds(20), {{2, 2}}, own_mark());
    live(seconds(6), {{3, 3}}, static_cast<std::uint16_t>(own_mark() + 1));
    ASSERT_EQ(news(), (std::vector{PoolNews::probes_missing, PoolNews::pool_differs}));
    const auto peers = balancer().peers().peers(now);
    upgrade(pool(1));
    const auto peers_after = balancer().peers().peers(now);
    ASSERT_EQ(peers_after.size(), peers.size());
    for (std::size_t i = 0; i < peers.size(); ++i) {
        EXPECT_EQ(peers_after[i].address, peers[i].address);
        EXPECT_EQ(peers_after[i].pool, peers[i].pool);
        EXPECT_EQ(peers_after[i].probes, peers[i].probes);
    }
    live(seconds(3), {{2, 2}}, own_mark());
    EXPECT_TRUE(news().empty());
}

TEST_F(PoolMemoryTest, WhatIsRememberedAgainIsTheSame) {
    start(pool(1));
    live(seconds(12), {{2, 2}, {3, 3}}, own_mark());
    hear(2, 3, 0);
    const NodeMemory memory = node.memory();
    node = Node{2};
    configure(pool(1));
    node.resume(now, memory, std::vector{good_link()}, out);
    EXPECT_EQ(node.memory(), memory);
}

// Rule N7: what still comes for a share that was let go, only the driver that let it go can take.
TEST_F(PoolMemoryTest, AHandOverUnderWayIsToBeWaitedFor) {
    for (const BalanceHash hash : {BalanceHash::weighted, BalanceHash::bsd}) {
        node = Node{1};
        start(pool(1, hash));
        live(seconds(10), {{2, 2}});
        ASSERT_EQ(state(3), State::master);
        pass(kHandOver);
        EXPECT_LE(node.hands_over_until(), now);
        done.clear();
        hear(3, 3, 0);
        EXPECT_EQ(all<WithdrawAddresses>().at(0).hand_over_until, now + kHandOver);
        EXPECT_EQ(node.hands_over_until(), now + kHandOver);
    }
}

}  // namespace
}  // namespace carpd
