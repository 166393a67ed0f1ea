#include "sync/outbox.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <vector>

#include "base/random.h"
#include "sync/inbox.h"
#include "sync/sample_flows.h"

namespace carpd {
namespace {

using namespace std::chrono_literals;

using Words = std::span<const std::uint64_t>;

constexpr Instant kStart = Instant{} + 1h;

// An owner with one outbox, and what leaves it as a list that can be read: "full 0", "state 0", "end 0".
struct OutboxTest : testing::Test {
    FlowTable table{100'000, {1, 2}};
    Outbox outbox{table};
    std::uint64_t packet = 0;
    Instant now = kStart;
    std::size_t room = 1400;

    OutboxTest() { outbox.restart(); }

    Slot birth(std::uint32_t number) {
        const Slot slot = table.insert(identity_bytes(number), state_bytes(1)).value();
        outbox.changed(now, slot);
        return slot;
    }
    void change(Slot slot, std::uint32_t version) {
        table.set_state(slot, state_bytes(version));
        outbox.changed(now, slot);
    }
    void death(Slot slot) {
        table.erase(slot, 1);
        outbox.ended(now, slot);
    }
    std::string send() {
        Buffer out(room);
        out.resize(outbox.fill(++packet, now, out));
        std::string text;
        for (Bytes rest(out); !rest.empty();) {
            const auto record = take_record(rest);
            if (!record) return "not a record";
            constexpr const char* kNames[] = {"end ", "state ", "full "};
            text += (text.empty() ? "" : ", ");
            text += kNames[static_cast<int>(record->header.kind)] + std::to_string(record->header.slot);
        }
        return text;
    }
    // The highest first.
    void acknowledge(std::initializer_list<std::uint64_t> packets) {
        std::uint64_t words[8] = {};
        const std::uint64_t highest = *packets.begin();
        for (const std::uint64_t p : packets)
            if (p < highest) words[(highest - 1 - p) / 64] |= std::uint64_t{1} << (highest - 1 - p) % 64;
        outbox.acknowledged(now, {highest, words});
    }
};

TEST_F(OutboxTest, SaysFullUntilOneIsAcknowledgedThenStateAndTheEnd) {
    const Slot slot = birth(1);
    EXPECT_EQ(send(), "full 0");
    EXPECT_EQ(send(), "");
    change(slot, 2);
    EXPECT_EQ(send(), "full 0");
    acknowledge({1});
    change(slot, 3);
    change(slot, 4);
    EXPECT_EQ(outbox.waiting(), 1u);
    EXPECT_EQ(send(), "state 0");
    death(slot);
    EXPECT_EQ(send(), "end 0");
    EXPECT_EQ(birth(2), 1u);  // not yet into the old slot
    acknowledge({5});
    EXPECT_EQ(birth(3), slot);
    EXPECT_EQ(send(), "full 1, full 0");
}

TEST_F(OutboxTest, NeverMentionsWhatEndedBeforeItWasTold) {
    const Slot slot = birth(1);
    death(slot);
    EXPECT_EQ(send(), "");
    EXPECT_TRUE(outbox.is_quiet(slot));
    EXPECT_EQ(birth(2), slot);
}

TEST_F(OutboxTest, RepairsWhatWasLostBeforeAllElse) {
    birth(1);
    EXPECT_EQ(send(), "full 0");  // 1 is lost
    for (std::uint32_t i = 1; i < 4; ++i) {
        birth(i + 1);
        send();
    }
    birth(9);
    acknowledge({3, 2});
    EXPECT_EQ(outbox.counters().lost_datagrams, 0u);
    acknowledge({4, 3, 2});
    EXPECT_EQ(outbox.counters().lost_datagrams, 1u);
    EXPECT_EQ(send(), "full 0, full 4");
}

TEST_F(OutboxTest, DoesNotRepairWhatANewerDatagramTells) {
    const Slot slot = birth(1);
    EXPECT_EQ(send(), "full 0");
    change(slot, 2);
    EXPECT_EQ(send(), "full 0");
    EXPECT_EQ((send(), send(), outbox.waiting()), 0u);
    acknowledge({5, 4, 3, 2});
    EXPECT_EQ(outbox.counters().lost_datagrams, 1u);
    EXPECT_EQ(outbox.waiting(), 0u);
    EXPECT_TRUE(outbox.is_quiet(slot));
}

TEST_F(OutboxTest, DoesNotRepairWhileANewerDatagramIsOnItsWay) {
    const Slot slot = birth(1);
    EXPECT_EQ(send(), "full 0");
    const Instant overdue = outbox.next_deadline();
    now += 2ms;
    change(slot, 2);
    EXPECT_EQ(send(), "full 0");
    outbox.check(overdue);
    EXPECT_EQ(outbox.counters().lost_datagrams, 1u);
    EXPECT_EQ(outbox.waiting(), 0u);
    EXPECT_FALSE(outbox.is_quiet(slot));
}

TEST_F(OutboxTest, CountsAsLostWhatNobodyAcknowledgesInTime) {
    EXPECT_EQ(outbox.next_deadline(), kNever);
    birth(1);
    send();
    now += 1ms;
    acknowledge({1});
    EXPECT_LT(outbox.pace().round_trip(), 5ms);
    birth(2);
    send();
    const Instant deadline = outbox.next_deadline();
    EXPECT_EQ(deadline, now + 2 * outbox.pace().round_trip() + 7ms);
    outbox.check(deadline - 1ns);
    EXPECT_EQ(outbox.waiting(), 0u);
    now = deadline;
    outbox.check(now);
    EXPECT_EQ(send(), "full 1");
    EXPECT_EQ(outbox.next_deadline() - now, 2 * (deadline - now + 2 * outbox.pace().round_trip() + 7ms));
}

// However late an acknowledgement of something is, it says nothing of the slot's next flow.
TEST_F(OutboxTest, DoesNotTakeALateAcknowledgementForOneOfTheNextFlow) {
    const Slot slot = birth(1);
    EXPECT_EQ(send(), "full 0");
    death(slot);
    EXPECT_EQ(send(), "end 0");
    acknowledge({2});
    EXPECT_EQ(birth(2), slot);
    acknowledge({2, 1});
    EXPECT_EQ(send(), "full 0");
    change(slot, 7);
    EXPECT_EQ(send(), "full 0");
}

TEST_F(OutboxTest, PutsBulkBehindWhatIsLive) {
    for (std::uint32_t i = 0; i < 100; ++i) birth(i);
    outbox.restart();
    EXPECT_FALSE(outbox.is_complete());
    packet = 0;
    change(70, 9);
    EXPECT_EQ(birth(200), 100u);
    room = Outbox::kLongestRecord;
    EXPECT_EQ(send().substr(0, 26), "full 70, full 100, full 0,");
    room = 9000;
    send();
    acknowledge({2});
    EXPECT_FALSE(outbox.is_complete());
    acknowledge({2, 1});
    EXPECT_TRUE(outbox.is_complete());
    outbox.stop();
    EXPECT_FALSE(outbox.is_complete());
}

TEST_F(OutboxTest, BulkGoesOnHoweverMuchIsLive) {
    for (std::uint32_t i = 0; i < 1000; ++i) birth(i);
    outbox.restart();
    packet = 0;
    for (std::uint32_t i = 1000; i < 2000; ++i) birth(i);
    std::uint32_t bulk_alone = 0;
    for (std::uint32_t round = 0; round < 300 && !outbox.is_complete(); ++round) {
        for (Slot slot = 1000; slot < 1200; ++slot) change(slot, round);
        const std::string told = send();
        bulk_alone += told.find(" 1") == std::string::npos;
        acknowledge({packet});
    }
    EXPECT_TRUE(outbox.is_complete());
    EXPECT_GT(bulk_alone, 0u);
    EXPECT_GT(outbox.waiting(), 0u);
}

// Those of before may end while it is at it; later ones aren't waited for.
TEST_F(OutboxTest, IsCompleteWhenAllOfBeforeIsTold) {
    for (std::uint32_t i = 0; i < 3; ++i) birth(i);
    outbox.restart();
    packet = 0;
    death(0);
    EXPECT_EQ(send(), "full 1, full 2");
    death(1);
    birth(7);
    EXPECT_EQ(send(), "end 1, full 0");
    acknowledge({1});
    EXPECT_TRUE(outbox.is_complete());
}

TEST_F(OutboxTest, ReleasesWhatItHeldWhenThePeerIsGone) {
    const Slot slot = birth(1);
    send();
    death(slot);
    EXPECT_EQ(birth(2), 1u);
    outbox.stop();
    EXPECT_EQ(birth(3), slot);
    death(slot);
    EXPECT_EQ(birth(4), slot);
    EXPECT_EQ(send(), "");
    outbox.restart();
    packet = 0;
    EXPECT_EQ(send(), "full 0, full 1");
}

TEST_F(OutboxTest, SaysForHowLongThePeerHasNotHeardOfAChange) {
    EXPECT_EQ(outbox.lag(now), 0ms);
    const Slot slot = birth(1);
    now += 3ms;
    EXPECT_EQ(outbox.lag(now), 3ms);
    send();
    now += 2ms;
    birth(2);
    EXPECT_EQ(outbox.lag(now), 5ms);
    acknowledge({1});
    now += 1ms;
    EXPECT_EQ(outbox.lag(now), 1ms);
    send();
    acknowledge({2});
    EXPECT_EQ(outbox.lag(now), 0ms);

    now += 10s;
    change(slot, 2);  // in a datagram that is lost
    send();
    for (std::uint32_t i = 10; i < 13; ++i) {
        now += 1ms;
        birth(i);
        send();
    }
    acknowledge({6, 5, 4});
    EXPECT_EQ(outbox.lag(now), 3ms);
    now += 1ms;
    EXPECT_EQ(send(), "state 0");
    EXPECT_EQ(outbox.lag(now), 4ms);
    acknowledge({7});
    EXPECT_EQ(outbox.lag(now), 0ms);
}

TEST_F(OutboxTest, TheLagIsThatOfChangesNotOfBulk) {
    for (std::uint32_t i = 0; i < 100; ++i) birth(i);
    outbox.restart();
    packet = 0;
    now += 1s;
    EXPECT_EQ(outbox.lag(now), 0ms);
    send();
    now += 1s;
    EXPECT_EQ(outbox.lag(now), 0ms);
    change(3, 2);
    outbox.check(now);  // what left is lost
    now += 1ms;
    EXPECT_EQ(outbox.lag(now), 1ms);
    change(4, 2);
    now += 1ms;
    EXPECT_EQ(outbox.lag(now), 2ms);
    while (outbox.waiting()) send();
    EXPECT_EQ(outbox.lag(now), 2ms);
    outbox.check(now + 1s);
    EXPECT_EQ(outbox.lag(now + 1s), 1002ms);
    outbox.restart();
    packet = 0;
    EXPECT_EQ(outbox.lag(now), 0ms);

    room = 1'000'000;
    send();
    outbox.check(now += 1s);
    change(4, 3);
    now += 1ms;
    EXPECT_EQ(outbox.lag(now), 1ms);
    outbox.stop();
    EXPECT_EQ(outbox.lag(now), 0ms);
}

// Of a queue that isn't empty for long.
TEST_F(OutboxTest, TheLagIsAtMostTwiceThatOfTheOldest) {
    room = Outbox::kLongestRecord;  // several records
    std::vector<Instant> born;
    std::size_t heard = 0;
    for (int step = 0; step < 2000; ++step) {
        for (int i = 0; i < (step < 1000 ? 8 : 3); ++i) {
            birth(static_cast<std::uint32_t>(born.size()));
            born.push_back(now);
        }
        now += 1ms;
        const std::string told = send();
        acknowledge({packet});
        heard += static_cast<std::size_t>(std::ranges::count(told, 'f'));
        const Duration truth = heard < born.size() ? now - born[heard] : 0ms;
        ASSERT_GE(outbox.lag(now), truth);
        ASSERT_LE(outbox.lag(now), 2 * truth + 1ms) << step;
    }
    EXPECT_EQ(heard, born.size());
    EXPECT_EQ(outbox.lag(now), 0ms);
}

TEST_F(OutboxTest, SharesATableWithOutboxesOfOtherPeers) {
    Outbox other(table);
    other.restart();
    const Slot slot = birth(1);
    other.changed(now, slot);
    Buffer out(1400);
    ASSERT_GT(other.fill(1, now, out), 0u);
    send();
    table.erase(slot, 2);
    outbox.ended(now, slot);
    other.ended(now, slot);
    EXPECT_EQ(send(), "end 0");
    acknowledge({2});
    EXPECT_EQ(birth(2), 1u);
    ASSERT_GT(other.fill(2, now, out), 0u);
    other.acknowledged(now, {2, {}});
    EXPECT_EQ(birth(3), slot);
}

TEST_F(OutboxTest, TellsAnAskedBucketAgainWithItsEmptySlots) {
    for (std::uint32_t i = 0; i < 2 * kBuckets + 5; ++i) birth(i);
    room = 1'000'000;
    send();
    acknowledge({1});
    death(kBuckets + 3);
    send();
    acknowledge({2, 1});
    EXPECT_TRUE(outbox.is_quiet(3));
    outbox.ask(now, 3);
    EXPECT_FALSE(outbox.is_quiet(3));
    EXPECT_TRUE(outbox.is_quiet(4));
    EXPECT_EQ(send(), "full 3, end 1027, full 2051");
    EXPECT_FALSE(outbox.is_quiet(3));
    acknowledge({3});
    EXPECT_TRUE(outbox.is_quiet(3));

    outbox.ask(now + 999ms, 3);
    outbox.ask(now, kBuckets);
    EXPECT_EQ(outbox.waiting(), 0u);
    EXPECT_EQ(outbox.counters().asked_too_soon, 1u);
    EXPECT_EQ(outbox.counters().bad_bucket, 1u);
    outbox.ask(now + 1s, 3);
    EXPECT_EQ(birth(9999), kBuckets + 3);
    EXPECT_EQ(send(), "full 3, full 2051, full 1027");  // a fourth datagram (N7)
}

// What N6 says.
TEST_F(OutboxTest, LeavesAtOnceAfterAPauseThenWhenFullOrAfterAMillisecond) {
    EXPECT_EQ(outbox.next_send(), kNever);
    birth(0);
    EXPECT_LE(outbox.next_send(), now);
    send();
    EXPECT_EQ(outbox.next_send(), kNever);
    birth(1);
    EXPECT_EQ(outbox.next_send(), now + 1ms);
    for (std::uint32_t i = 2; i < 200; ++i) birth(i);
    EXPECT_LE(outbox.next_send(), now);
    send();
    EXPECT_LE(outbox.next_send(), now);
    while (outbox.next_send() <= now) send();
    EXPECT_EQ(outbox.next_send(), now + 1ms);
    EXPECT_GT(outbox.waiting(), 0u);
}

TEST_F(OutboxTest, LeavesAtOnceWhatPacketsWaitForButNotBulk) {
    send();
    const Slot first = birth(0);
    send();
    acknowledge({packet});
    outbox.set_hurry(true);
    EXPECT_EQ(outbox.next_send(), kNever);
    change(first, 2);
    EXPECT_LE(outbox.next_send(), now);
    send();
    outbox.ask(now, first % kBuckets);
    EXPECT_EQ(outbox.next_send(), now + 1ms);
    outbox.set_hurry(false);
    change(first, 3);
    EXPECT_EQ(outbox.next_send(), now + 1ms);
    outbox.set_hurry(true);
    EXPECT_LE(outbox.next_send(), now);
}

// What N7 says.
TEST_F(OutboxTest, HasAWindow) {
    for (std::uint32_t i = 0; i < 50'000; ++i) birth(i);
    const auto send_all = [&] {
        while (outbox.next_send() != kNever) send();
        return outbox.datagrams_on_their_way();
    };
    EXPECT_EQ(send_all(), 64u);
    EXPECT_EQ(send(), "");
    for (int i = 0; i < 6; ++i) {
        now += 1ms;
        outbox.check(now += 1s);
    }
    EXPECT_EQ(outbox.pace().window(), 32u);
    EXPECT_EQ(send_all(), 32u);
    for (int i = 0; i < 10; ++i) {
        outbox.check(now += 1s);
        send_all();
    }
    EXPECT_EQ(send_all(), 8u);
    const std::uint64_t before = packet;
    acknowledge({before, before - 1});
    EXPECT_EQ(outbox.pace().window(), 10u);
}

// A datagram is full as soon as what waits fills one, however long records are.
TEST_F(OutboxTest, LearnsHowManyRecordsADatagramTakes) {
    for (std::uint32_t i = 0; i < 5000; ++i) birth(i);
    const auto settle = [&] {
        while (outbox.waiting()) {
            send();
            acknowledge({packet});
        }
        now += 1s;
    };
    settle();
    for (Slot slot = 0; slot < 5000; ++slot) change(slot, 3);
    settle();
    change(0, 5);
    send();
    for (Slot slot = 0; slot < 5000; ++slot) {
        change(slot, 6);
        if (outbox.next_send() <= now) break;
    }
    const std::uint32_t waited = outbox.waiting();
    send();
    EXPECT_GT(waited, 90u);
    EXPECT_LT(outbox.waiting(), 10u);
}

// Whatever a peer acknowledges and asks for: what waits and is on its way stays bounded and counted right,
// and no slot is lost.
TEST_F(OutboxTest, TakesAnyAcknowledgement) {
    Random random(1);
    std::vector<Slot> alive;
    for (int step = 0; step < 30'000; ++step) {
        now += Duration(random.next() % 1'000'000);
        if (alive.size() < 500 && random.next() % 2) {
            alive.push_back(birth(static_cast<std::uint32_t>(step)));
        } else if (!alive.empty()) {
            const std::size_t i = random.next() % alive.size();
            if (random.next() % 2) {
                change(alive[i], static_cast<std::uint32_t>(step));
            } else {
                death(alive[i]);
                alive.erase(alive.begin() + static_cast<std::ptrdiff_t>(i));
            }
        }
        if (outbox.next_send() <= now) send();
        std::uint64_t words[8];
        for (std::uint64_t& word : words) word = random.next() & random.next();
        const std::uint64_t near = packet + 4 - random.next() % 8, any = random.next() >> random.next() % 64;
        outbox.acknowledged(now, {random.next() % 10 ? near : any, Words(words).first(random.next() % 9)});
        outbox.ask(now, random.next() % 1100);
        outbox.check(now);
        ASSERT_LE(outbox.waiting(), table.end());
        ASSERT_LE(outbox.datagrams_on_their_way(), Pace::kMostWindow);
    }
    while (outbox.waiting()) {
        now += 1s;
        outbox.check(now);
        if (!send().empty()) acknowledge({packet});
    }
    outbox.check(now + 1h);
    while (outbox.waiting()) {
        send();
        acknowledge({packet});
    }
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) EXPECT_TRUE(outbox.is_quiet(bucket));
    const Slot end = table.end();
    for (std::size_t i = alive.size(); i < end; ++i)
        EXPECT_LT(birth(1'000'000 + static_cast<std::uint32_t>(i)), end);
}

TEST(Departures, HaveRoomForSoManyRecordsAndDatagrams) {
    Departures many, large;
    for (std::uint64_t packet = 1; many.has_room(); ++packet) {
        many.note(static_cast<std::uint32_t>(packet));
        many.close(packet, kStart, kStart);
    }
    EXPECT_EQ(many.size(), 2 * Pace::kMostWindow);
    EXPECT_EQ(many[0].packet, 1u);
    EXPECT_EQ(many.record(many[0], 0), 1u);

    std::uint32_t noted = 0;
    for (std::uint64_t packet = 1; large.has_room(); ++packet) {
        for (int i = 0; i < 500 && large.has_room(); ++i) large.note(++noted);
        large.close(packet, kStart, kStart);
    }
    EXPECT_EQ(large.record(large[0], 0), 1u);
    large.set_done(0);
    EXPECT_FALSE(large.has_room());
    large.drop_done();
    EXPECT_TRUE(large.has_room());
    EXPECT_EQ(large.record(large[0], 0), 501u);
}

TEST(Ack, CoversWhatItsBitsSay) {
    const std::uint64_t words[] = {0b101, 1};
    const Ack ack{100, words};
    EXPECT_TRUE(ack.covers(100));
    EXPECT_TRUE(ack.covers(99));
    EXPECT_FALSE(ack.covers(98));
    EXPECT_TRUE(ack.covers(97));
    EXPECT_TRUE(ack.covers(35));
    EXPECT_FALSE(ack.covers(34));
    EXPECT_FALSE(ack.covers(101));
    EXPECT_EQ(ack.later_than(100), 0u);
    EXPECT_EQ(ack.later_than(99), 1u);
    EXPECT_EQ(ack.later_than(98), 2u);
    EXPECT_EQ(ack.later_than(97), 2u);
    EXPECT_EQ(ack.later_than(96), 3u);
    EXPECT_EQ(ack.later_than(35), 3u);
    EXPECT_EQ(ack.later_than(34), 4u);
    EXPECT_EQ(Ack({2, words}).later_than(0), 2u);
    EXPECT_FALSE(Ack({2, words}).covers(0));
}

}  // namespace
}  // namespace carpd
