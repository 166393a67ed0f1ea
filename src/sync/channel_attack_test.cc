// What strangers on the network can do to a channel: everything but make a seal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sync/channel.h"
#include "sync/test_channels.h"

namespace carpd {
namespace {

using namespace test_channels;
using std::chrono::milliseconds;
using std::chrono::seconds;

Network after_a_session() {
    Network net;
    net.start_both();
    net.run(milliseconds(20));
    for (std::uint8_t i = 0; i < 50; ++i) {
        net.send_flows(0, {i});
        net.send_flows(1, {i});
        net.run(milliseconds(20));
    }
    EXPECT_TRUE(net.both_up());
    EXPECT_EQ(net.hosts[0].flows.size(), 50u);
    return net;
}

// Gives a host all of `recorded`, also what it sent itself, and lets the hosts go on meanwhile.
void replay(Network& net, int to, const std::vector<Datagram>& recorded, Duration pause) {
    for (const Datagram& datagram : recorded) {
        net.deliver(to, datagram.bytes);
        net.run(pause);
    }
}

TEST(ChannelAttack, ARecordedSessionDoesNothingToARunningHost) {
    Network net = after_a_session();
    const auto recorded = net.recorded;
    const View before = view(net[0]);
    for (const Datagram& datagram : recorded) EXPECT_NE(net.deliver(0, datagram.bytes), std::nullopt);
    EXPECT_EQ(view(net[0]), before);
    EXPECT_EQ(net[0].counters()[SyncDrop::replayed] + net[0].counters()[SyncDrop::own_datagram],
              recorded.size());
    EXPECT_EQ(net.hosts[0].flows.size(), 50u);
}

TEST(ChannelAttack, ARecordedSessionDoesNothingToAHostThatStartedAnew) {
    for (const Duration pause : {Duration(0), Duration(milliseconds(7))}) {
        Network net = after_a_session();
        const auto recorded = net.recorded;
        net.start(0, 77, config_of("fw1"));
        net.hosts[1].channel.reset();
        replay(net, 0, recorded, pause);
        EXPECT_FALSE(net[0].is_up());
        EXPECT_EQ(net[0].counters().streams_accepted, 0u);
        EXPECT_TRUE(net.hosts[0].flows.empty());
        EXPECT_GT(net[0].counters()[SyncDrop::unanswered], 0u);
        EXPECT_GT(net[0].counters()[SyncDrop::unknown_stream], 0u);
        EXPECT_GT(net[0].counters()[SyncDrop::same_name], 0u) << "its own, of before";
    }
}

TEST(ChannelAttack, OldSessionsDisturbNoneThatIsUp) {
    Network net = after_a_session();
    const auto recorded = net.recorded;
    net.start_both();
    net.start(0, 77, config_of("fw1"));
    net.start(1, 78, config_of("fw2"));
    net.run(milliseconds(20));
    ASSERT_TRUE(net.both_up());
    for (int round = 0; round < 20; ++round)
        for (const int to : {0, 1}) replay(net, to, recorded, Duration(milliseconds(1)));
    EXPECT_TRUE(net.both_up());
    EXPECT_EQ(net.hosts[0].downs + net.hosts[1].downs, 0);
    EXPECT_EQ(net[0].counters().streams_accepted + net[1].counters().streams_accepted, 2u);
    EXPECT_LE(net[0].counters().hellos_sent,
              10 + static_cast<std::uint64_t>((net.now - net[0].since()) / milliseconds(100)));
    EXPECT_TRUE(net.hosts[0].flows.empty());
}

// After two sessions of other starts of the same hosts, whose hellos stay in `hellos`.
Network after_two_sessions(std::uint64_t seed, std::vector<Datagram>& hellos) {
    Network net;
    for (std::uint64_t session = 0; session < 3; ++session) {
        for (const Datagram& d : net.recorded)
            if (d.bytes[1] == 1) hellos.push_back(d);
        net.recorded.clear();
        net.start(0, 1000 * seed + 2 * session, config_of("fw1"));
        net.start(1, 1000 * seed + 2 * session + 1, config_of("fw2"));
        if (session < 2) net.run(milliseconds(20));
    }
    return net;
}

// A thousand old hellos a second to both hosts: each may be the one that is answered.
TEST(ChannelAttack, AFloodOfOldHellosDoesNotKeepHostsFromMeeting) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        std::vector<Datagram> hellos;
        Network net = after_two_sessions(seed, hellos);
        Random random(seed);
        for (int i = 0; i < 10000 && !net.both_up(); ++i) {
            net.run(milliseconds(1));
            const Datagram& d = hellos[random.next() % hellos.size()];
            net.deliver(d.to, d.bytes);
        }
        EXPECT_TRUE(net.both_up()) << seed;
    }
}

TEST(ChannelAttack, AFloodOfOldHellosDoesNotHideTheAnswerToThePeer) {
    std::vector<Datagram> hellos;
    Network net = after_two_sessions(1, hellos);
    net.run(milliseconds(20));
    ASSERT_TRUE(net.both_up());
    const auto flood = [&] {
        for (std::size_t i = 0; i < 2000; ++i) {
            const Datagram& d = hellos[i % hellos.size()];
            if (d.to == 0) net.deliver(0, d.bytes);
            net.run(milliseconds(1));
        }
    };
    flood();
    net[1].forget_peer(net.now);
    flood();
    EXPECT_TRUE(net.both_up());
}

TEST(ChannelAttack, AnAnswerThatWasHeldUpIsWorthNothing) {
    Network net;
    net.start(0, 1, config_of("fw1"));
    Channel peer(net.now, config_of("fw2"), {key_of(1), {}}, random_from(2));
    Buffer question = hello_of(net[0], net.now);
    ASSERT_FALSE(peer.receive(net.now, question));
    const Buffer answer = hello_of(peer, net.now), data = data_of(peer, RegionKind::flows, {1});
    {
        Network in_time = {};
        in_time.start(0, 1, config_of("fw1"));
        in_time.run(milliseconds(1900));
        EXPECT_EQ(in_time.deliver(0, answer), std::nullopt);
    }
    {
        Network asleep = {};
        asleep.start(0, 1, config_of("fw1"));
        asleep.now += std::chrono::hours(5);
        EXPECT_EQ(asleep.deliver(0, answer), SyncDrop::unanswered);
    }
    net.run(milliseconds(2100));
    EXPECT_EQ(net.deliver(0, answer), SyncDrop::unanswered);
    EXPECT_EQ(net.deliver(0, data), SyncDrop::unknown_stream);
}

TEST(ChannelAttack, AnAnswerCountsOnce) {
    Network net = after_a_session();
    const auto recorded = net.recorded;
    net.hosts[1].channel.reset();
    net.run(seconds(3));
    EXPECT_FALSE(net[0].is_up());
    for (const Datagram& datagram : recorded) EXPECT_NE(net.deliver(0, datagram.bytes), std::nullopt);
    EXPECT_FALSE(net[0].is_up());
}

TEST(ChannelAttack, AnAnswerIsOldWhenThePeerIsLostOrStartedAnew) {
    for (const bool anew : {false, true}) {
        Network net;
        net.start_both();
        net.run(milliseconds(20));
        const Buffer held = hello_of(net[1], net.now);
        if (anew)
            net.start(1, 9, config_of("fw2"));
        else
            net.hosts[1].channel.reset();
        net.run(milliseconds(anew ? 20 : 1050));
        EXPECT_EQ(net[0].is_up(), anew);
        EXPECT_EQ(net.deliver(0, held), SyncDrop::unanswered);
        EXPECT_EQ(net[0].is_up(), anew);
    }
}

TEST(ChannelAttack, AStreamThatIsAcceptedAgainBeginsWithItsHello) {
    Network net = after_a_session();
    const Buffer held = data_of(net[1], RegionKind::flows, {99});
    const auto recorded = net.recorded;
    net.passes = [](int, const Buffer&) { return false; };
    net.run(seconds(2));
    net.passes = [](int, const Buffer&) { return true; };
    net.run(milliseconds(300));
    ASSERT_TRUE(net.both_up());
    EXPECT_EQ(net[0].counters().streams_accepted, 2u);
    for (const Datagram& datagram : recorded) EXPECT_NE(net.deliver(0, datagram.bytes), std::nullopt);
    EXPECT_EQ(net.deliver(0, held), SyncDrop::replayed);
    EXPECT_EQ(net.hosts[0].flows.size(), 50u);
    const SyncAck ack = net[0].take_ack();
    EXPECT_FALSE(ack.covers(read_u64(held, 12))) << "nor is it acknowledged";
}

TEST(ChannelAttack, OurOwnDatagramsComeBack) {
    Network net = after_a_session();
    const View before = view(net[0]);
    EXPECT_EQ(net.deliver(0, hello_of(net[0], net.now)), SyncDrop::own_datagram);
    EXPECT_EQ(net.deliver(0, data_of(net[0], RegionKind::flows, {1})), SyncDrop::own_datagram);
    EXPECT_EQ(view(net[0]).peer_stream, before.peer_stream);
    EXPECT_EQ(view(net[0]).heard_at, before.heard_at);
}

TEST(ChannelAttack, WhatWasSentToOneHostIsWorthNothingAtAnother) {
    Network net = after_a_session();
    // The third host's channels to both, of which one is up.
    Network other;
    other.now = net.now;
    other.start(0, 5, config_of("fw1"));
    other.start(1, 6, config_of("fw3"));
    other.run(milliseconds(20));
    ASSERT_TRUE(other.both_up());
    const View before = view(other[1]);
    for (const Datagram& datagram : net.recorded) EXPECT_NE(other.deliver(1, datagram.bytes), std::nullopt);
    EXPECT_EQ(view(other[1]).peer_stream, before.peer_stream);
    EXPECT_EQ(view(other[1]).heard_at, before.heard_at);
    other.run(seconds(5));
    EXPECT_TRUE(other.both_up());
    EXPECT_EQ(other.hosts[0].downs + other.hosts[1].downs, 0);
    EXPECT_TRUE(other.hosts[1].flows.empty());
}

TEST(ChannelAttack, DamagedTruncatedAndForgedDatagramsChangeNothing) {
    Network net = after_a_session();
    Channel starting(net.now, config_of("fw2"), {key_of(1), {}}, random_from(50));
    const std::vector<Buffer> whole = {hello_of(net[1], net.now),
                                       data_of(net[1], RegionKind::flows, {1, 2, 3}),
                                       hello_of(starting, net.now)};
    const View before = view(net[0]);
    for (const Buffer& datagram : whole) {
        for (std::size_t i = 0; i < 8 * datagram.size(); ++i) {
            Buffer damaged = datagram;
            damaged[i / 8] ^= static_cast<std::uint8_t>(1 << i % 8);
            net.now += milliseconds(1);  // so that none is refused as a flood
            if (i % 500 == 0) net.deliver(0, data_of(net[1], RegionKind::status, {}));
            const View now = view(net[0]);
            ASSERT_NE(net.deliver(0, damaged), std::nullopt) << i;
            ASSERT_EQ(view(net[0]), now) << i;
        }
        for (std::size_t size = 0; size < datagram.size(); ++size)
            ASSERT_NE(net.deliver(0, Buffer(datagram.begin(), datagram.begin() + static_cast<int>(size))),
                      std::nullopt);
        Buffer longer = datagram;
        longer.push_back(0);
        EXPECT_NE(net.deliver(0, longer), std::nullopt);
    }
    EXPECT_EQ(view(net[0]).peer_stream, before.peer_stream);
    EXPECT_EQ(net.deliver(0, whole[1]), std::nullopt) << "undamaged it is as good as ever";
    EXPECT_EQ(net.deliver(0, whole[0]), std::nullopt);
    EXPECT_EQ(net.deliver(0, whole[2]), SyncDrop::unanswered);
    EXPECT_GT(net[0].counters()[SyncDrop::bad_seal], 0u);
    EXPECT_EQ(net[0].counters()[SyncDrop::hello_flood], 0u);
}

TEST(ChannelAttack, NoiseChangesNothing) {
    Network net = after_a_session();
    Random random(3);
    const View before = view(net[0]);
    for (int i = 0; i < 20000; ++i) {
        Buffer noise(random.next() % 200);
        for (std::uint8_t& byte : noise) byte = static_cast<std::uint8_t>(random.next());
        if (noise.size() > 20 && random.next() % 2) {
            const SyncHeader header{random.next() % 2 ? SyncKind::hello : SyncKind::data,
                                    random.next() % 2 ? net[0].peer_stream() : random.next(),
                                    random.next() % 2 ? random.next() : random.next() % 300,
                                    {}};
            if (noise.size() >= header.size()) encode(header, noise);
        }
        ASSERT_NE(net.deliver(0, noise), std::nullopt);
    }
    EXPECT_EQ(view(net[0]), before);
}

// Of a member, for it knows the key: refused by name.
TEST(ChannelAttack, AuthenticNonsenseIsRefused) {
    Network net = after_a_session();
    const auto sealed = [&](StreamId stream, PacketNumber number, const SyncHello& hello) {
        const SyncHeader header{SyncKind::hello, stream, number, {}};
        Buffer datagram(kLongestHelloDatagram);
        const std::size_t head = encode(header, datagram);
        datagram.resize(head + encode(hello, std::span(datagram).subspan(head)) + Aead::kTagSize);
        StreamKeys(key_of(1), stream, header.nonce)
            .hello()
            .seal(number, Bytes(datagram).first(head), std::span(datagram).subspan(head));
        return datagram;
    };
    const HostName name = HostName::from("fw2").value();
    EXPECT_EQ(net.deliver(0, sealed(7, 1, {.name = name})), SyncDrop::unanswered);
    EXPECT_EQ(net.deliver(0, sealed(0, 1, {.name = name})), SyncDrop::unknown_stream);
    EXPECT_EQ(net.deliver(0, sealed(7, 2, {.version_min = 2, .version_max = 3, .name = name})),
              SyncDrop::bad_version);
    EXPECT_EQ(net[0].misfit()->version_min, 2);
    EXPECT_EQ(net.deliver(0, sealed(7, 3, {.version_min = 2, .version_max = 1, .name = name})),
              SyncDrop::bad_body);
    EXPECT_EQ(net.deliver(0, sealed(7, 4, {})), SyncDrop::bad_body) << "no name";
    EXPECT_EQ(net.deliver(0, sealed(7, 5, {.version_min = 1, .version_max = 9, .name = name})),
              SyncDrop::unanswered);
    Buffer no_regions(kDataOverhead + 2);
    net[1].seal_data(no_regions, 2);
    EXPECT_EQ(net.deliver(0, no_regions), SyncDrop::bad_body);
}

}  // namespace
}  // namespace carpd
