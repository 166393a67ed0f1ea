#include "sync/deferral.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "sync/test_hosts.h"

namespace carpd {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint8_t kTcp = 6;
constexpr Duration kLongest = milliseconds(5);

IpAddress address(std::uint8_t last) {
    const std::array<std::uint8_t, 4> bytes = {192, 0, 2, last};
    return IpAddress::from_bytes(bytes);
}

// A connection from port `port`.
FlowTuple tuple(std::uint16_t port) {
    return {address(1), address(2), kTcp, port, 443};
}
FlowIdentity flow(std::uint16_t port) {
    FlowIdentity identity;
    identity.original = tuple(port);
    identity.reply = tuple(port).inverse();
    return identity;
}
FlowEvent event(const FlowIdentity& identity, FlowEvent::Kind kind, std::uint8_t tcp_state) {
    FlowEvent event;
    event.kind = kind;
    event.flow.identity = identity;
    event.flow.state.protocol = TcpState{.state = tcp_state};
    return event;
}

std::vector<std::uint8_t> frame(const FlowTuple& tuple, std::size_t size = 60) {
    std::vector<std::uint8_t> bytes(size);
    bytes[12] = 0x08;
    bytes[14] = 0x45;
    bytes[23] = tuple.protocol;
    std::ranges::copy(tuple.source.bytes(), bytes.begin() + 26);
    std::ranges::copy(tuple.destination.bytes(), bytes.begin() + 30);
    ByteWriter ports(std::span<std::uint8_t>(bytes).subspan(34, 4));
    ports.u16(tuple.first);
    ports.u16(tuple.second);
    return bytes;
}

class DeferralTest : public testing::Test {
 protected:
    void begin(const FlowIdentity& identity) {
        deferral.on_event(event(identity, FlowEvent::Kind::created, 1));
    }
    bool hold(const FlowTuple& tuple, std::size_t place = 1) {
        return deferral.hold(now, place, frame(tuple));
    }
    // What leaves: the source's port, or that of the interface if it isn't the first.
    std::vector<int> release(bool heard_all = true) {
        std::vector<int> left;
        deferral.release(
            now, heard_all, [&](const FlowIdentity& identity) { return told(identity); },
            [&](std::size_t place, Bytes bytes) {
                left.push_back(static_cast<int>(place) * 100'000 + read_u16(bytes, 34));
            });
        return left;
    }
    SyncTold told(const FlowIdentity& identity) const {
        const auto place = told_.find(identity.original);
        return place != told_.end() ? place->second : SyncTold::waits;
    }

    Instant now{milliseconds(100)};
    Deferral deferral{{1, 2}, kLongest};
    std::map<FlowTuple, SyncTold> told_;  // what isn't there waits
};

TEST_F(DeferralTest, AFrameWaitsForAnAcknowledgement) {
    begin(flow(1000));
    ASSERT_TRUE(hold(tuple(1000)));
    EXPECT_THAT(release(), IsEmpty());
    EXPECT_EQ(deferral.next_deadline(), now + kLongest);
    now += milliseconds(2);
    told_[tuple(1000)] = SyncTold::acknowledged;
    EXPECT_THAT(release(), ElementsAre(101'000));
    EXPECT_TRUE(deferral.is_empty());
    EXPECT_EQ(deferral.next_deadline(), kNever);
    EXPECT_EQ(deferral.counters().deferred, 1u);
    EXPECT_EQ(deferral.counters().acknowledged, 1u);
}

TEST_F(DeferralTest, NoFrameWaitsLongerThanTheBound) {
    begin(flow(1000));
    hold(tuple(1000));
    now += kLongest - Duration(1);
    EXPECT_THAT(release(), IsEmpty());
    now += Duration(1);
    EXPECT_THAT(release(), ElementsAre(101'000));
    EXPECT_EQ(deferral.counters().timed_out, 1u);
    EXPECT_EQ(deferral.counters().acknowledged, 0u);
}

TEST_F(DeferralTest, WhatNobodyIsToldOfLeavesAtOnce) {
    hold(tuple(1000));  // no event told of it
    begin(flow(1001));
    told_[tuple(1001)] = SyncTold::no;
    hold(tuple(1001));
    EXPECT_THAT(release(), ElementsAre(101'000, 101'001));
    EXPECT_EQ(deferral.counters().not_told, 2u);
}

TEST_F(DeferralTest, EventsThatWereNotReadYetAreWaitedFor) {
    hold(tuple(1000));
    EXPECT_THAT(release(false), IsEmpty());
    begin(flow(1000));
    EXPECT_THAT(release(), IsEmpty());
    told_[tuple(1000)] = SyncTold::acknowledged;
    EXPECT_THAT(release(false), ElementsAre(101'000));
    hold(tuple(1001));
    now += kLongest;
    EXPECT_THAT(release(false), ElementsAre(101'001)) << "but not for ever";
}

TEST_F(DeferralTest, FindsTranslatedFlowsByWhatIsOnTheWire) {
    FlowIdentity translated = flow(1000);
    translated.reply = {address(2), address(100), kTcp, 443, 6000};  // leaves from .100:6000
    begin(translated);
    hold({address(100), address(2), kTcp, 6000, 443});
    EXPECT_THAT(release(), IsEmpty());
    EXPECT_EQ(deferral.size(), 1u);
    // The answer leaves to whom the client knows.
    deferral.on_event(event(translated, FlowEvent::Kind::changed, 2));
    hold({address(2), address(1), kTcp, 443, 1000});
    EXPECT_THAT(release(), IsEmpty());
    told_[tuple(1000)] = SyncTold::acknowledged;
    EXPECT_THAT(release(), ElementsAre(106'000, 100'443));
}

TEST_F(DeferralTest, LaterEventsAreNoReasonToKnowAFlow) {
    deferral.on_event(event(flow(1000), FlowEvent::Kind::changed, 3));
    deferral.on_event(event(flow(1000), FlowEvent::Kind::ended, 7));
    deferral.on_event(event(flow(1000), FlowEvent::Kind::listed, 1));
    hold(tuple(1000));
    hold(tuple(1000).inverse());
    EXPECT_EQ(release().size(), 2u);
}

TEST_F(DeferralTest, FramesLeaveInTheirOrderThroughTheirInterface) {
    for (std::uint16_t port = 1000; port < 1004; ++port) {
        begin(flow(port));
        hold(tuple(port), port % 2);
    }
    told_[tuple(1001)] = told_[tuple(1003)] = SyncTold::acknowledged;
    EXPECT_THAT(release(), ElementsAre(101'001, 101'003));
    now += kLongest;
    EXPECT_THAT(release(), ElementsAre(1'000, 1'002));
}

TEST_F(DeferralTest, HoldsSoManyAndNoLargerOnes) {
    for (std::size_t i = 0; i < Deferral::kMost; ++i) {
        begin(flow(static_cast<std::uint16_t>(i)));
        ASSERT_TRUE(hold(tuple(static_cast<std::uint16_t>(i))));
    }
    EXPECT_FALSE(hold(tuple(5000)));
    EXPECT_EQ(deferral.counters().overflow, 1u);
    now += kLongest;
    EXPECT_EQ(release().size(), Deferral::kMost);
    EXPECT_TRUE(deferral.hold(now, 1, frame(tuple(1), Deferral::kLongestFrame)));
    EXPECT_FALSE(deferral.hold(now, 1, frame(tuple(1), Deferral::kLongestFrame + 1)));
    EXPECT_EQ(deferral.counters().overflow, 2u);
}

TEST_F(DeferralTest, WhatIsNoPacketIsNotHeld) {
    EXPECT_FALSE(deferral.hold(now, 1, std::vector<std::uint8_t>(14)));
    EXPECT_EQ(deferral.counters().not_told, 1u);
    EXPECT_EQ(deferral.counters().deferred, 0u);
}

// However many flows there are, the newest ones are known.
TEST_F(DeferralTest, OldFlowsAreForgottenNotNewOnes) {
    for (std::uint32_t port = 1; port < 65536; ++port) {
        begin(flow(static_cast<std::uint16_t>(port)));
        if (port % 1000 != 0) continue;
        hold(tuple(static_cast<std::uint16_t>(port)));
        EXPECT_THAT(release(), IsEmpty());
        now += kLongest;
        EXPECT_EQ(release().size(), 1u);
    }
    EXPECT_EQ(deferral.counters().not_told, 0u);
}

// ---- what peers know

// fw0 is MASTER and has told its peer all.
class ToldTest : public testing::Test {
 protected:
    void build(bool defers) {
        world.defers = defers;
        for (const std::size_t i : {0, 1}) world.start(i);
        world.run(seconds(1));
        for (const std::size_t i : {0, 1}) world[i].set_master(world.now, true);
        world.run(seconds(1));
    }
    SyncTold told(std::uint32_t number) { return world[0].told(sample_identity(number)); }
    // How long until the peer's acknowledgement is here.
    Duration time_to_acknowledge(std::uint32_t number, std::uint8_t tcp_state) {
        world.pass(0, number, tcp_state);
        const Instant begin = world.now;
        world.run(Duration(0));
        EXPECT_EQ(told(number), SyncTold::waits);
        while (told(number) == SyncTold::waits && world.now < begin + seconds(1)) world.run(microseconds(10));
        return world.now - begin;
    }
    using seconds = std::chrono::seconds;
    using microseconds = std::chrono::microseconds;

    test_hosts::World world{2, 1};
};

TEST_F(ToldTest, APeerAcknowledgesAtOnceWherePacketsWait) {
    build(true);
    EXPECT_EQ(told(1), SyncTold::no);
    EXPECT_LE(time_to_acknowledge(1, 1), milliseconds(1)) << "one round trip takes 0.2 ms";
    EXPECT_EQ(told(1), SyncTold::acknowledged);
    world.run(milliseconds(10));
    EXPECT_LE(time_to_acknowledge(1, 2), milliseconds(1)) << "a newer state";
}

TEST_F(ToldTest, OtherwiseInItsTime) {
    build(false);
    EXPECT_GE(time_to_acknowledge(1, 3), milliseconds(5));
}

TEST_F(ToldTest, NobodyIsToldWhereNoPeerIsUp) {
    build(true);
    world.pass(0, 1);
    world.run(milliseconds(10));
    EXPECT_EQ(told(1), SyncTold::acknowledged);
    world.kill(1);
    world.run(seconds(3));
    EXPECT_EQ(told(1), SyncTold::no);
}

}  // namespace
}  // namespace carpd
