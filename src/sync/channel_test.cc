#include "sync/channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sync/test_channels.h"

namespace carpd {
namespace {

using namespace test_channels;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

Network two_up() {
    Network net;
    net.start_both();
    net.run(milliseconds(20));
    EXPECT_TRUE(net.both_up());
    return net;
}

TEST(Channel, TwoThatStartAtOnceAreUpAfterTwoRoundTrips) {
    Network net;
    net.start_both();
    net.run(4 * net.delay);
    ASSERT_TRUE(net.both_up());
    EXPECT_EQ(net[0].peer_stream(), net[1].stream());
    EXPECT_EQ(net[1].peer_stream(), net[0].stream());
    EXPECT_EQ(net[0].peer()->name.view(), "fw2");
    EXPECT_EQ(net[1].peer()->conntrack_max, 65536u);
    net.run(seconds(10));
    EXPECT_TRUE(net.both_up());
    EXPECT_LE(net[0].counters().hellos_sent, 5u) << "who is up is silent";
}

TEST(Channel, OneThatComesLaterIsUpAtOnce) {
    Network net;
    net.start(0, 1, config_of("fw1"));
    net.run(hours(1));
    EXPECT_NEAR(static_cast<double>(net[0].counters().hellos_sent), 5 * 3600, 10);
    net.start(1, 2, config_of("fw2"));
    net.run(6 * net.delay);
    EXPECT_TRUE(net.both_up());
}

TEST(Channel, IsUpAndStaysSoIfEverySecondDatagramIsLost) {
    for (int parity = 0; parity < 2; ++parity) {
        Network net;
        int count[] = {0, parity};
        net.passes = [&](int to, const Buffer&) { return ++count[to] % 2 == 0; };
        net.start_both();
        net.run(seconds(2));
        EXPECT_TRUE(net.both_up());
        net.run(seconds(60));
        EXPECT_TRUE(net.both_up());
        EXPECT_EQ(net[0].counters().downs + net[1].counters().downs, 0u);
    }
}

TEST(Channel, IsUpInTheEndWhateverIsLost) {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        Network net;
        Random random(seed);
        net.passes = [&](int, const Buffer&) { return random.next() % 3 == 0; };
        net.start_both();
        net.run(seconds(5));
        net.passes = [](int, const Buffer&) { return true; };
        net.run(seconds(2));
        EXPECT_TRUE(net.both_up()) << seed;
    }
}

TEST(Channel, CarriesRegionsOnceEachInAnyOrder) {
    Network net = two_up();
    const Buffer first = data_of(net[0], RegionKind::flows, {1}),
                 second = data_of(net[0], RegionKind::flows, {2});
    EXPECT_EQ(net.deliver(1, second), std::nullopt);
    EXPECT_EQ(net.deliver(1, first), std::nullopt);
    EXPECT_EQ(net.deliver(1, first), SyncDrop::replayed);
    EXPECT_EQ(net.deliver(1, second), SyncDrop::replayed);
    ASSERT_EQ(net.hosts[1].flows.size(), 2u);
    EXPECT_EQ(net.hosts[1].flows[0].second, Buffer{2});
    EXPECT_EQ(net.hosts[1].flows[1].second, Buffer{1});
    EXPECT_EQ(net.hosts[1].flows[1].first, net.hosts[1].flows[0].first - 1);
}

TEST(Channel, AcknowledgesEightAtOnceAndOneWithinFiveMilliseconds) {
    Network net = two_up();
    const auto from_0 = [&](RegionKind kind) { return data_of(net[0], kind, {}); };
    net[1].take_ack();
    net.deliver(1, from_0(RegionKind::status));
    EXPECT_TRUE(net[1].has_ack());
    EXPECT_EQ(net[1].ack_deadline(), kNever) << "nothing that the peer waits for";
    net.deliver(1, from_0(RegionKind::flows));
    EXPECT_EQ(net[1].ack_deadline(), net.now + milliseconds(5));
    EXPECT_EQ(net[1].next_deadline(), net.now + milliseconds(5));
    for (int i = 2; i <= 7; ++i) net.deliver(1, from_0(RegionKind::flows));
    EXPECT_EQ(net[1].ack_deadline(), net.now + milliseconds(5));
    net.deliver(1, from_0(RegionKind::flows));
    EXPECT_EQ(net[1].ack_deadline(), net.now);

    const SyncAck ack = net[1].take_ack();
    EXPECT_EQ(ack.stream, net[0].stream());
    EXPECT_EQ(ack.highest, net[0].next_number() - 1);
    EXPECT_TRUE(ack.covers(ack.highest - 1));
    EXPECT_FALSE(ack.covers(ack.highest + 1));
    EXPECT_EQ(net[1].ack_deadline(), kNever);
    EXPECT_FALSE(net[1].has_ack());
}

TEST(Channel, AcknowledgesAtOnceWhenOneIsMissingAndWhenItComesAfterAll) {
    Network net = two_up();
    const Buffer lost = data_of(net[0], RegionKind::flows, {}), next = data_of(net[0], RegionKind::flows, {});
    net.deliver(1, next);
    EXPECT_EQ(net[1].ack_deadline(), net.now);
    SyncAck ack = net[1].take_ack();
    EXPECT_TRUE(ack.covers(ack.highest));
    EXPECT_FALSE(ack.covers(ack.highest - 1));
    net.deliver(1, lost);
    EXPECT_EQ(net[1].ack_deadline(), net.now);
    ack = net[1].take_ack();
    EXPECT_TRUE(ack.covers(ack.highest - 1));
}

TEST(Channel, AcknowledgesWhatWasReceivedAndNothingElse) {
    Network net = two_up();
    Random random(7);
    std::vector<bool> received{};
    const PacketNumber begin = net[0].next_number();
    for (int i = 0; i < 3000; ++i) {
        const Buffer datagram = data_of(net[0], RegionKind::flows, {});
        received.push_back(random.next() % 4 != 0);
        if (received.back()) net.deliver(1, datagram);
        if (i % 100) continue;
        const SyncAck ack = net[1].take_ack();
        for (PacketNumber n = ack.highest; n >= begin && n + 512 >= ack.highest; --n)
            ASSERT_EQ(ack.covers(n), received[n - begin]) << n;
    }
}

TEST(Channel, IsDownAfterSilenceAndUpAgain) {
    Network net = two_up();
    net.run(milliseconds(500));
    net.passes = [](int, const Buffer&) { return false; };
    const Instant heard = net[0].heard_at();
    net.run(heard + seconds(1) - net.now - microseconds(1));
    EXPECT_TRUE(net[0].is_up());
    net.run(microseconds(1));
    EXPECT_FALSE(net[0].is_up());
    EXPECT_EQ(net[0].since(), heard + seconds(1));
    EXPECT_EQ(net[0].peer_stream(), 0u);
    net.run(hours(1));
    net.passes = [](int, const Buffer&) { return true; };
    net.run(milliseconds(210));
    EXPECT_TRUE(net.both_up());
    EXPECT_EQ(net[0].peer_stream(), net[1].stream()) << "the same streams as before";
}

TEST(Channel, IsDownOnBothSidesIfOneDirectionIsCut) {
    Network net = two_up();
    net.passes = [](int to, const Buffer&) { return to == 0; };
    net.run(seconds(3));
    EXPECT_FALSE(net[0].is_up()) << "the peer says that it doesn't accept our stream";
    EXPECT_FALSE(net[1].is_up());
    EXPECT_NE(net[0].peer_stream(), 0u);
    net.passes = [](int, const Buffer&) { return true; };
    net.run(milliseconds(210));
    EXPECT_TRUE(net.both_up());
}

TEST(Channel, AHelloThatWasOvertakenTakesNothingBack) {
    Network net = two_up();
    net[1].forget_peer(net.now);
    const Buffer overtaken = hello_of(net[1], net.now);
    net.run(milliseconds(300));
    ASSERT_TRUE(net.both_up());
    EXPECT_EQ(net.deliver(0, overtaken), std::nullopt);
    EXPECT_TRUE(net[0].is_up());
}

TEST(Channel, APeerThatStartsAnewTakesThePlaceOfItsOldSelf) {
    Network net = two_up();
    const StreamId before = net[1].stream();
    Buffer late = data_of(net[1], RegionKind::flows, {9});
    net.start(1, 3, config_of("fw2"));
    EXPECT_EQ(net.deliver(0, late), std::nullopt) << "until the new one has answered";
    late = data_of(net[0], RegionKind::flows, {9});
    EXPECT_EQ(net.deliver(1, late), SyncDrop::unknown_stream);
    net.run(5 * net.delay);
    EXPECT_TRUE(net.both_up());
    EXPECT_EQ(net.hosts[0].downs, 0) << "no moment of down";
    EXPECT_NE(net[0].peer_stream(), before);
    EXPECT_EQ(net[0].peer_stream(), net[1].stream());
    EXPECT_GT(net[0].since(), Instant(hours(1)) + milliseconds(20));
}

TEST(Channel, LateDataOfTheOldStreamIsUnknown) {
    Network net = two_up();
    const Buffer late = data_of(net[1], RegionKind::flows, {9});
    net.start(1, 3, config_of("fw2"));
    for (int i = 0; i < 20; ++i) {
        net.run(net.delay / 2);
        if (net[0].peer_stream() != net[1].stream()) continue;
        EXPECT_EQ(net.deliver(0, late), SyncDrop::unknown_stream);
    }
    EXPECT_TRUE(net.both_up());
    EXPECT_TRUE(net.hosts[0].flows.empty());
}

TEST(Channel, KeysChangeOneHostAfterTheOtherWithoutAMomentOfDown) {
    Network net = two_up();
    const StreamId streams[] = {net[0].stream(), net[1].stream()};
    const Secret before = key_of(1), after = key_of(2);
    std::size_t sent = 0;
    const auto go_on = [&] {
        net.send_flows(0, {1});
        net.send_flows(1, {1});
        ++sent;
        net.run(milliseconds(300));
        for (const Host& host : net.hosts) EXPECT_EQ(host.flows.size(), sent);
        EXPECT_TRUE(net.both_up());
    };
    for (const SyncKeys& step : {SyncKeys{before, after}, SyncKeys{after, before}, SyncKeys{after, {}}})
        for (const int host : {0, 1}) {
            net[host].set_keys(net.now, step);
            go_on();
        }
    EXPECT_EQ(net.hosts[0].downs + net.hosts[1].downs, 0);
    EXPECT_EQ(net[0].peer_stream(), streams[1]) << "nor was anything begun anew";
    EXPECT_EQ(net[1].peer_stream(), streams[0]);
    for (const Channel* channel : {&net[0], &net[1]})
        EXPECT_EQ((*channel).counters()[SyncDrop::bad_seal], 0u);
}

TEST(Channel, TwoThatStartBetweenTheStepsOfAChangeOfKeysMeet) {
    Network net;
    net.start(0, 1, config_of("fw1"), {key_of(1), key_of(2)});
    net.start(1, 2, config_of("fw2"), {key_of(2), key_of(1)});
    net.run(milliseconds(20));
    EXPECT_TRUE(net.both_up());
    net[0].set_keys(net.now, {key_of(3), {}});
    EXPECT_FALSE(net[0].is_up()) << "the peer's key is none of ours any more";
    net.run(seconds(2));
    EXPECT_FALSE(net[1].is_up());
}

TEST(Channel, APeerThatChangesItsKeyBeforeItIsAcceptedIsHeard) {
    Network net;
    net.start(0, 1, config_of("fw1"), {key_of(1), key_of(2)});
    Channel peer(net.now, config_of("fw2"), {key_of(2), {}}, random_from(2));
    EXPECT_EQ(net.deliver(0, hello_of(peer, net.now)), SyncDrop::unanswered);
    peer.set_keys(net.now, {key_of(1), {}});
    EXPECT_EQ(net.deliver(0, hello_of(peer, net.now)), SyncDrop::unanswered);
}

TEST(Channel, AWrongKeyIsRefusedByName) {
    Network net;
    net.start(0, 1, config_of("fw1"), {key_of(1), {}});
    net.start(1, 2, config_of("fw2"), {key_of(2), {}});
    net.run(seconds(10));
    EXPECT_FALSE(net[0].is_up() || net[1].is_up());
    EXPECT_GE(net[0].counters()[SyncDrop::bad_seal], 49u);
    EXPECT_LE(net[0].counters()[SyncDrop::bad_seal], net[1].counters().hellos_sent);
    ASSERT_TRUE(net[0].last_refusal());
    EXPECT_EQ(net[0].last_refusal()->reason, SyncDrop::bad_seal);
    EXPECT_LE(net.now - net[0].last_refusal()->at, milliseconds(400));
}

TEST(Channel, HellosOfUnknownStreamsAreTriedAThousandTimesASecondAtMost) {
    Network net = two_up();
    Channel stranger(net.now, config_of("x"), {key_of(9), {}}, random_from(9));
    const Buffer hello = hello_of(stranger, net.now);
    for (int i = 0; i < 20000; ++i) {
        net.now += microseconds(50);
        net.deliver(0, hello);
    }
    EXPECT_NEAR(static_cast<double>(net[0].counters()[SyncDrop::bad_seal]), 1100, 2);
    EXPECT_NEAR(static_cast<double>(net[0].counters()[SyncDrop::hello_flood]), 18900, 2);
}

TEST(Channel, EpochsFollowEachOther) {
    Network net;
    for (const int i : {0, 1}) {
        ChannelConfig config = config_of(i ? "fw2" : "fw1");
        config.packets_per_epoch = 8;
        net.start(i, static_cast<std::uint64_t>(i), config);
    }
    net.run(milliseconds(20));
    for (int i = 0; i < 1000; ++i) net.send_flows(0, {1});
    net.run(milliseconds(20));
    EXPECT_EQ(net.hosts[1].flows.size(), 1000u);

    // Across an edge in any order, but not two epochs away.
    std::vector<Buffer> datagrams;
    while (net[0].next_number() % 8 != 5) data_of(net[0], RegionKind::flows, {});
    for (int i = 0; i < 8; ++i) datagrams.push_back(data_of(net[0], RegionKind::flows, {2}));
    for (int i = 7; i >= 0; --i)
        EXPECT_EQ(net.deliver(1, datagrams[static_cast<std::size_t>(i)]), std::nullopt);
    for (int i = 0; i < 24; ++i) datagrams.push_back(data_of(net[0], RegionKind::flows, {2}));
    EXPECT_EQ(net.deliver(1, datagrams.back()), SyncDrop::bad_epoch);
    net.deliver(1, hello_of(net[0], net.now));
    EXPECT_EQ(net.deliver(1, data_of(net[0], RegionKind::flows, {2})), std::nullopt) << "a hello leads there";
}

TEST(Channel, AClockThatJumpsLosesThePeerAndFindsItAgain) {
    Network net = two_up();
    const Buffer late = data_of(net[1], RegionKind::flows, {9});
    net.now += hours(7);
    EXPECT_EQ(net.deliver(0, late), SyncDrop::unknown_stream) << "down, although no timer said so yet";
    EXPECT_FALSE(net[0].is_up());
    EXPECT_LE(net[1].next_deadline(), net.now);
    net.run(milliseconds(20));
    EXPECT_TRUE(net.both_up());
}

TEST(Channel, HostsOfOneNameRefuseEachOther) {
    Network net;
    net.start(0, 1, config_of("fw"));
    net.start(1, 2, config_of("fw"));
    net.run(seconds(1));
    EXPECT_FALSE(net[0].is_up() || net[1].is_up());
    EXPECT_GE(net[0].counters()[SyncDrop::same_name], 5u);
    EXPECT_EQ(net[0].misfit()->name.view(), "fw");
}

TEST(Channel, AnotherHostMayTakeThePeersPlaceWhenItIsDead) {
    Network net = two_up();
    net.start(1, 3, config_of("fw3"));
    net.run(milliseconds(900));
    EXPECT_TRUE(net[0].is_up());
    EXPECT_EQ(net[0].peer()->name.view(), "fw2");
    EXPECT_GE(net[0].counters()[SyncDrop::other_name], 1u);
    EXPECT_EQ(net[0].misfit()->name.view(), "fw3");
    net.run(milliseconds(400));
    EXPECT_TRUE(net.both_up());
    EXPECT_EQ(net[0].peer()->name.view(), "fw3");
}

TEST(Channel, ForgetsAPeerOnRequest) {
    Network net = two_up();
    net[0].forget_peer(net.now);
    EXPECT_FALSE(net[0].is_up());
    EXPECT_EQ(net[0].peer(), nullptr);
    EXPECT_EQ(net.deliver(0, data_of(net[1], RegionKind::flows, {})), SyncDrop::unknown_stream);
}

}  // namespace
}  // namespace carpd
