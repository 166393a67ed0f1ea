#include "carp/balancer.h"

#include <gtest/gtest.h>

#include "carp/test_pools.h"

namespace carpd {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST_F(Pools, TheDriverIsToldOfEachPoolAtTheStart) {
    configure(pool(1));
    const auto sets = all<SetPool>();
    ASSERT_EQ(sets.size(), 1u);
    EXPECT_EQ(sets[0].at_home, 0b111u);
    EXPECT_LE(sets[0].settling_until, now);
    EXPECT_EQ(node.pool(0), node.pool(2));
    EXPECT_EQ(balancer().config().leader(), 1);
}

TEST_F(Pools, AStandInsSecondCarpnodeIsAway) {
    start(pool(1));
    live(seconds(10), {{2, 2}, {3, 3}});
    EXPECT_EQ(state(1), State::master);
    EXPECT_EQ(pool_is.at_home, 0b111u);
    EXPECT_TRUE(balancer().holder_of(0).is_self);
    EXPECT_EQ(balancer().holder_of(2).source, ip("192.0.2.3"));

    live(seconds(4), {{2, 2}, {2, 3}});  // 3 is lost
    EXPECT_EQ(pool_is.at_home, 0b011u);
    EXPECT_EQ(balancer().shares().at_home(), 0b011u);
    live(seconds(1), {{2, 2}, {3, 3}});  // it is back
    EXPECT_EQ(pool_is.at_home, 0b111u);
}

TEST_F(Pools, WhatThisHostStandsInForIsAwayBeforeItAnswers) {
    start(pool(1));
    live(seconds(10), {{2, 2}, {3, 3}});
    done.clear();
    live(seconds(10), {{2, 2}});
    ASSERT_EQ(state(3), State::master);
    EXPECT_EQ(pool_is.at_home, 0b011u);
    // Pump performs SetPool first in its round: they must be asked for at once.
    bool is_set = false;
    for (const Action& action : done) {
        is_set = is_set || std::holds_alternative<SetPool>(action);
        if (std::holds_alternative<AnnounceAddresses>(action)) ADD_FAILURE() << "announced (N5)";
        const auto* transition = std::get_if<ReportTransition>(&action);
        if (transition && transition->to == State::master) {
            EXPECT_FALSE(is_set);
        }
    }
    EXPECT_TRUE(is_set);
}

// A check withdraws it here, and the pool's other carpnodes go on.
TEST_F(Pools, WhoHasACarpnodeThatIsWithdrawnHereIsKnown) {
    start(pool(1));
    FailingTrack track;
    track.name = "disk";
    track.withdraw = true;
    track.groups = {"web:3"};
    node.handle_failing_tracks(now, {track}, out);
    live(seconds(5), {{2, 2}, {2, 3}});
    ASSERT_EQ(state(3), State::init);
    EXPECT_EQ(pool_is.at_home, 0b011u);
    EXPECT_EQ(balancer().holder_of(2).source, ip("192.0.2.2"));
    EXPECT_GT(node.group(2)->counters().dropped[DropReason::not_running], 0u);
}

TEST_F(Pools, WithTheBsdsHashEverythingIsAtHome) {
    start(pool(1, BalanceHash::bsd));
    live(seconds(10), {{2, 2}, {2, 3}});
    EXPECT_EQ(pool_is.at_home, 0b111u);
}

TEST_F(Pools, ACarpnodeWithoutAMasterIsAtHome) {
    start(pool(1));
    live(seconds(5), {{2, 2}, {2, 3}});
    ASSERT_EQ(pool_is.at_home, 0b011u);
    sends = false;
    hear(2, 3, 255);
    EXPECT_EQ(balancer().holder_of(2).source, std::nullopt);
    EXPECT_FALSE(balancer().holder_of(2).is_self) << "nobody knows of it";
    EXPECT_EQ(pool_is.at_home, 0b111u);
}

TEST_F(Pools, ConnectionsStayWhereAShareMovesFromAHostThatLives) {
    start(pool(1));
    live(seconds(10), {{2, 2}, {2, 3}});
    ASSERT_FALSE(settles());
    hear(3, 3, 0);  // comes home
    EXPECT_EQ(pool_is.settling_until, now + Balancer::kSettling);
    live(Balancer::kSettling - seconds(1), {{2, 2}, {3, 3}});
    EXPECT_TRUE(settles());
    live(seconds(2), {{2, 2}, {3, 3}});
    EXPECT_EQ(pool_is.settling_until, Instant::min());
}

// Rule N7: until the other one serves for sure, and no longer than the lease.
TEST_F(Pools, WhoYieldsAShareServesItDuringTheHandOver) {
    start(pool(1));
    live(seconds(10), {{2, 2}});
    ASSERT_EQ(state(3), State::master);
    done.clear();
    hear(3, 3, 0);
    EXPECT_EQ(state(3), State::backup);
    EXPECT_EQ(all<WithdrawAddresses>().at(0).hand_over_until, now + kHandOver);
    EXPECT_EQ(pool_is.hand_over_until, now + kHandOver) << "with weights shares move, too";
    node.stop(now, out);
    settle();
    EXPECT_LE(all<WithdrawAddresses>().at(1).hand_over_until, now) << "it can't serve any more";
}

TEST_F(Pools, NothingSettlesWhereAHostWasLost) {
    start(pool(1));
    live(seconds(10), {{2, 2}, {3, 3}});
    live(milliseconds(3500), {{2, 2}});  // 3 is lost; nobody has taken over
    hear(2, 3, 100);
    EXPECT_EQ(pool_is.at_home, 0b011u);
    EXPECT_FALSE(settles());
}

TEST_F(Pools, NothingSettlesWhereAHostSignsOff) {
    start(pool(1));
    live(seconds(10), {{2, 2}, {3, 3}});
    hear(3, 3, 255, 255);
    ASSERT_EQ(state(3), State::master);
    EXPECT_EQ(pool_is.at_home, 0b011u);
    EXPECT_FALSE(settles());
}

// All that hear a bow-out take over, and all but one yield.
TEST_F(Pools, WhoWasMasterForAMomentIsNotWhomConnectionsCameFrom) {
    start(pool(1));
    live(seconds(10), {{2, 2}, {3, 3}});
    hear(3, 3, 255, 255);
    ASSERT_EQ(state(3), State::master);
    hear(2, 3, 50);
    ASSERT_EQ(state(3), State::backup);
    EXPECT_EQ(balancer().holder_of(2).source, ip("192.0.2.2"));
    EXPECT_FALSE(settles());
    live(seconds(5), {{2, 2}, {2, 3}});
    hear(3, 3, 0);
    EXPECT_TRUE(settles());
}

TEST_F(Pools, ItSettlesWhereAHostComesHomeThatHasJustStarted) {
    start(pool(1));
    hear(2, 1, 100);
    ASSERT_EQ(state(1), State::master);
    EXPECT_TRUE(settles());
}

TEST_F(Pools, ItSettlesWhereAHostBowsOutAndLives) {
    start(pool(1));
    live(seconds(10), {{2, 2}, {3, 3}});
    hear(3, 3, 255, 0);
    ASSERT_EQ(state(3), State::master);
    EXPECT_TRUE(settles());
}

TEST_F(Pools, ItSettlesWhereThisHostYields) {
    start(pool(2));
    live(seconds(10), {{3, 3}});
    ASSERT_EQ(state(1), State::master);
    hear(1, 1, 0);
    EXPECT_EQ(state(1), State::backup);
    EXPECT_TRUE(settles());
    EXPECT_EQ(pool_is.at_home, 0b111u);
}

// Two that advertise at a time: who will yield is still heard once.
TEST_F(Pools, WhoWillYieldDoesNotCount) {
    start(pool(1));
    live(seconds(10), {{2, 2}, {2, 3}});
    hear(3, 3, 0);
    hear(2, 3, 100);  // was on the way
    EXPECT_EQ(balancer().holder_of(2).source, ip("192.0.2.3"));
    EXPECT_EQ(pool_is.at_home, 0b111u);
}

TEST_F(Pools, HostsWithoutAnAddressOfTheirOwnAreNotToldApart) {
    start(pool(1));
    live(seconds(10), {{100, 2}, {100, 3}});  // the pool's address
    hear(100, 2, 50);
    EXPECT_EQ(pool_is.at_home, 0b111u);
}

TEST_F(Pools, AStopSignsOff) {
    start(pool(1));
    live(seconds(10), {{2, 2}, {3, 3}});
    done.clear();
    node.stop(now, out);
    settle();
    const auto sent = all<SendAdvertisement>();
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_TRUE(decode_advertisement(parse_ip_packet(sent[0].packet.bytes())->payload)->is_sign_off());
}

TEST_F(Pools, ABowOutThatIsNoneDoesNotSignOff) {
    start(pool(1));
    live(seconds(10), {{2, 2}, {3, 3}});
    node.handle_demotion(now, 0, "test", 255, out);
    settle();
    done.clear();
    node.handle_request(now, 0, State::backup, out);
    settle();
    const auto sent = all<SendAdvertisement>();
    ASSERT_FALSE(sent.empty());
    const auto said = decode_advertisement(parse_ip_packet(sent[0].packet.bytes())->payload);
    EXPECT_TRUE(said->is_bow_out());
    EXPECT_FALSE(said->is_sign_off());
}

TEST_F(Pools, OtherWeightsSettle) {
    start(pool(1));
    live(seconds(10), {{2, 2}, {3, 3}});
    done.clear();
    configure(pool(1));
    EXPECT_TRUE(all<SetPool>().empty());

    auto other = pool(1);
    BalanceConfig balance = *other[0].balance;
    balance.carpnodes[0].weight = 5;
    const SharedValue<BalanceConfig> shared(balance);
    for (GroupConfig& group : other) group.balance = shared;
    configure(other);
    EXPECT_EQ(all<SetPool>().size(), 1u);
    EXPECT_TRUE(settles());
    EXPECT_GT(balancer().shares().parts_of(0), 2500u);
    EXPECT_EQ(balancer().holder_of(1).source, ip("192.0.2.2")) << "what was known is forgotten";
}

TEST_F(Pools, BehindArpBalancingNothingSettles) {
    start(pool(1, BalanceHash::weighted, Balancing::arp));
    live(seconds(10), {{2, 2}, {2, 3}});
    hear(3, 3, 0);
    EXPECT_FALSE(settles());
}

// ---- whether hosts agree

using Pool = PoolPeers::Pool;
using Probes = PoolPeers::Probes;

TEST_F(Pools, AdvertisementsCarryTheFingerprint) {
    start(pool(1));
    live(seconds(4), {{2, 2}, {3, 3}});
    const auto sent = all<SendAdvertisement>();
    ASSERT_FALSE(sent.empty());
    EXPECT_EQ(parse_ip_packet(sent[0].packet.bytes())->mark, own_mark());
}

TEST_F(Pools, AHostWithAnotherPoolIsSaidOnceAndWhenItAgrees) {
    start(pool(1));
    live(seconds(3), {{2, 2}}, 77);
    EXPECT_TRUE(news().empty());
    EXPECT_EQ(peer().pool, Pool::unknown);
    live(seconds(20), {{2, 2}}, 77);
    EXPECT_EQ(news(), std::vector{PoolNews::pool_differs});
    EXPECT_EQ(all<ReportPool>()[0].source, ip("192.0.2.2"));
    EXPECT_EQ(peer().pool, Pool::other);
    EXPECT_EQ(peer().probes, Probes::not_expected);
    live(seconds(5), {{2, 2}}, own_mark());
    EXPECT_EQ(news(), (std::vector{PoolNews::pool_differs, PoolNews::pool_agrees}));
    EXPECT_EQ(peer().pool, Pool::same);
}

TEST_F(Pools, WhoSendsOtherMarksRunsSomethingElse) {
    start(pool(1));
    live(seconds(10), {{2, 2}}, 0);
    for (std::uint16_t mark = 1; mark < 20; ++mark) live(seconds(1), {{2, 2}}, mark);
    EXPECT_TRUE(news().empty());
    EXPECT_EQ(peer().pool, Pool::unknown);
}

TEST_F(Pools, AHostThatIsGoneIsShownNoMore) {
    start(pool(1));
    live(seconds(5), {{2, 2}}, own_mark());
    EXPECT_EQ(balancer().peers().peers(now).size(), 1u);
    live(seconds(15), {});
    EXPECT_TRUE(balancer().peers().peers(now).empty());
}

TEST_F(Pools, FloodProbesGoOutEveryThreeSecondsWhileItServes) {
    start(pool(1));
    pass(seconds(2));
    EXPECT_TRUE(all<SendFloodProbe>().empty()) << "it is MASTER of none";
    live(seconds(32), {{2, 2}, {3, 3}});
    const auto probes = all<SendFloodProbe>();
    EXPECT_NEAR(static_cast<double>(probes.size()), 30 / 3, 1);
    const auto packet = parse_ip_packet(probes[0].packet.bytes());
    EXPECT_EQ(packet->destination, ip("192.0.2.100"));
    EXPECT_EQ(packet->source, ip("192.0.2.1"));
    EXPECT_EQ(node.group(0)->counters().advertisements_sent_ipv4, all<SendAdvertisement>().size());
    // It comes back by a hub.
    const Receipt receipt = node.handle_packet(now, 0, probes[0].packet.bytes(), out);
    EXPECT_FALSE(receipt.refused);
    EXPECT_EQ(node.group(0)->counters().dropped[DropReason::own_advert], 0u);
}

TEST_F(Pools, BehindArpBalancingThereAreNoProbes) {
    start(pool(1, BalanceHash::weighted, Balancing::arp));
    live(seconds(30), {{2, 2}, {3, 3}}, own_mark());
    EXPECT_TRUE(all<SendFloodProbe>().empty());
    EXPECT_TRUE(news().empty());
    EXPECT_EQ(peer().probes, Probes::not_expected);
}

TEST_F(Pools, AProbeDoesNotReachTheElection) {
    start(pool(1));
    live(seconds(10), {{2, 2}, {3, 3}});
    const Counters before = node.group(0)->counters();
    const auto heard_at = node.group(0)->last_heard_at();
    EXPECT_FALSE(hear(2, advertisement(1), own_mark(), "192.0.2.100").refused);
    EXPECT_EQ(state(1), State::master) << "of an equal one with the lower address";
    EXPECT_EQ(node.group(0)->counters(), before);
    EXPECT_EQ(node.group(0)->last_heard_at(), heard_at);
}

TEST_F(Pools, AForgedProbeIsRefusedAndCounted) {
    start(pool(1));
    live(seconds(10), {{2, 2}, {3, 3}});
    Advertisement forged = advertisement(2);
    forged.counter = 5;
    const AdvertisementPacket packet(ip("192.0.2.2"), ip("192.0.2.100"), encode(forged));
    EXPECT_EQ(node.handle_packet(now, 0, packet.bytes(), out).refused, DropReason::bad_digest);
    EXPECT_EQ(node.group(1)->counters().dropped[DropReason::bad_digest], 1u);
}

TEST_F(Pools, MissingProbesAreSaidAndThatTheyCome) {
    start(pool(1));
    live(seconds(5), {{2, 2}}, own_mark());
    EXPECT_EQ(peer().probes, Probes::awaited);
    live(seconds(8), {{2, 2}}, own_mark());
    EXPECT_TRUE(news().empty());
    live(seconds(20), {{2, 2}}, own_mark());
    EXPECT_EQ(news(), std::vector{PoolNews::probes_missing});
    EXPECT_EQ(peer().probes, Probes::missing);
    hear(2, advertisement(2), own_mark(), "192.0.2.100");
    EXPECT_EQ(news(), (std::vector{PoolNews::probes_missing, PoolNews::probes_heard}));
    EXPECT_EQ(peer().probes, Probes::heard);
    live(seconds(9), {{2, 2}}, own_mark());
    EXPECT_EQ(news().size(), 2u);
    live(seconds(2), {{2, 2}}, own_mark());
    EXPECT_EQ(news().back(), PoolNews::probes_missing);
}

TEST_F(Pools, ACarpnodeThatIsMissingHereIsSaidOnceInTenSeconds) {
    start(pool(1));
    EXPECT_EQ(hear(2, advertisement(9)).refused, DropReason::bad_vhid);
    ASSERT_EQ(news(), std::vector{PoolNews::stray_carpnode});
    EXPECT_EQ(all<ReportPool>()[0].vhid, 9);
    EXPECT_EQ(all<ReportPool>()[0].source, ip("192.0.2.2"));
    live(seconds(9), {{2, 9}});
    EXPECT_EQ(news().size(), 1u);
    live(seconds(4), {{2, 9}});
    EXPECT_EQ(news().size(), 2u);
    EXPECT_EQ(balancer().peers().strays(now).at(0).vhid, 9);
    live(minutes(2), {{2, 2}});
    EXPECT_TRUE(balancer().peers().strays(now).empty());
}

// Every stranger's packet costs a digest, so few are looked at; and each sender gets its turn.
TEST_F(Pools, StrangersDoNotHideAStray) {
    start(pool(1));
    Advertisement stranger = advertisement(8);
    const AdvertisementPacket packet(ip("192.0.2.7"), ip("224.0.0.18"), encode(stranger));
    for (int i = 0; i < 60 && news().empty(); ++i) {
        EXPECT_EQ(node.handle_packet(now, 0, packet.bytes(), out).refused, DropReason::bad_vhid);
        pass(milliseconds(500));
        hear(2, advertisement(9));
        pass(milliseconds(500));
    }
    EXPECT_EQ(news(), std::vector{PoolNews::stray_carpnode});
}

}  // namespace
}  // namespace carpd
