#include "sync/inbox.h"

#include <gtest/gtest.h>

#include "sync/sample_flows.h"

namespace carpd {
namespace {

using Kind = Change::Kind;

Buffer copy(Bytes bytes) {
    return {bytes.begin(), bytes.end()};
}

struct Fixture : testing::Test {
    Inbox inbox{5000, {1, 2}};
    InboxCounters counted() const { return inbox.counters(); }

    // `change`'s views are good until the next call.
    Change full(std::uint64_t packet, Slot slot, std::uint32_t number, std::uint32_t version) {
        const Buffer identity = identity_bytes(number), state = state_bytes(version);
        return inbox.apply(packet, {{RecordKind::full, slot}, identity, state});
    }
    Change state(std::uint64_t packet, Slot slot, std::uint32_t version) {
        const Buffer bytes = state_bytes(version);
        return inbox.apply(packet, {{RecordKind::state, slot}, {}, bytes});
    }
    Change end(std::uint64_t packet, Slot slot) {
        return inbox.apply(packet, {{RecordKind::end, slot}, {}, {}});
    }
};
using InboxTest = Fixture;

TEST_F(InboxTest, TellsTheKernelOfBirthChangeAndEnd) {
    Change change = full(1, 7, 1, 1);
    EXPECT_EQ(change.kind, Kind::upsert);
    EXPECT_TRUE(change.gone.empty());
    EXPECT_EQ(copy(change.identity), identity_bytes(1));
    EXPECT_EQ(copy(change.state), state_bytes(1));

    change = state(2, 7, 2);
    EXPECT_EQ(change.kind, Kind::update);
    EXPECT_EQ(copy(change.identity), identity_bytes(1));
    EXPECT_EQ(copy(change.state), state_bytes(2));

    change = end(3, 7);
    EXPECT_EQ(change.kind, Kind::erase);
    EXPECT_EQ(copy(change.gone), identity_bytes(1));
    EXPECT_EQ(inbox.table().size(), 0u);
}

TEST_F(InboxTest, IgnoresWhatIsOldOrKnownOrOfNoFlow) {
    EXPECT_EQ(end(5, 7).kind, Kind::nothing);
    EXPECT_EQ(counted().empty_slot, 1u);
    EXPECT_EQ(full(4, 7, 1, 1).kind, Kind::nothing);  // its end came first
    EXPECT_EQ(counted().outdated, 1u);
    full(6, 7, 2, 2);
    EXPECT_EQ(state(5, 7, 1).kind, Kind::nothing);
    EXPECT_EQ(end(5, 7).kind, Kind::nothing);
    EXPECT_EQ(counted().outdated, 3u);
    EXPECT_EQ(full(7, 7, 2, 2).kind, Kind::nothing);
    EXPECT_EQ(state(8, 7, 2).kind, Kind::nothing);
    EXPECT_EQ(counted().unchanged, 2u);
    EXPECT_EQ(state(9, 8, 2).kind, Kind::nothing);
    EXPECT_EQ(counted().empty_slot, 2u);
    EXPECT_EQ(full(10, 7, 2, 3).kind, Kind::update);
}

TEST_F(InboxTest, ReplacesTheFlowOfASlot) {
    full(1, 7, 1, 1);
    const Change change = full(2, 7, 2, 2);
    EXPECT_EQ(change.kind, Kind::upsert);
    EXPECT_EQ(copy(change.gone), identity_bytes(1));
    EXPECT_EQ(copy(change.identity), identity_bytes(2));
    EXPECT_EQ(inbox.table().size(), 1u);
}

// It ended and came back, and the news of its second life overtook those of its end.
TEST_F(InboxTest, FollowsAFlowIntoAnotherSlot) {
    full(1, 7, 1, 1);
    const Change change = full(3, 9, 1, 2);
    EXPECT_EQ(change.kind, Kind::upsert);
    EXPECT_TRUE(change.gone.empty());
    EXPECT_EQ(end(2, 7).kind, Kind::nothing);
    EXPECT_EQ(full(2, 7, 1, 1).kind, Kind::nothing);
    EXPECT_EQ(inbox.table().find(identity_bytes(1)), Slot{9});

    // The other way round: what is late names a slot where it isn't any more; who was there before is gone,
    // too.
    full(4, 11, 5, 1);
    full(8, 12, 6, 1);
    const Change late = full(6, 11, 6, 1);
    EXPECT_EQ(late.kind, Kind::erase);
    EXPECT_EQ(copy(late.gone), identity_bytes(5));
    EXPECT_EQ(inbox.table().find(identity_bytes(6)), Slot{12});
}

TEST_F(InboxTest, RefusesSlotsBeyondItsBound) {
    EXPECT_EQ(full(1, 5000, 1, 1).kind, Kind::nothing);
    EXPECT_EQ(end(1, kMaxSlots - 1).kind, Kind::nothing);
    EXPECT_EQ(counted().slot_too_high, 2u);
    EXPECT_EQ(full(1, 4999, 1, 1).kind, Kind::upsert);
    EXPECT_LT(inbox.memory(), 400'000u);
}

TEST_F(InboxTest, ComparesDigestsOfBucketsThatNothingLaterSpokeOf) {
    FlowTable owner(5000, {7, 7});
    owner.insert_at(7, identity_bytes(1), state_bytes(1));
    EXPECT_EQ(inbox.differs(2, 7, owner.digest(7)), true);
    full(3, 7, 1, 1);
    EXPECT_EQ(inbox.differs(4, 7, owner.digest(7)), false);
    EXPECT_EQ(inbox.differs(2, 7, 99), std::nullopt);
    EXPECT_EQ(inbox.differs(3, 7, 99), std::nullopt);
    EXPECT_EQ(inbox.differs(4, 7, 99), true);
    EXPECT_EQ(inbox.differs(2, 8, 99), true);
    EXPECT_EQ(inbox.differs(2, kBuckets, 99), std::nullopt);  // there is none

    // A flow that left for another slot changed the bucket that it left.
    full(5, 8, 1, 1);
    EXPECT_EQ(inbox.differs(4, 7, owner.digest(7)), std::nullopt);
    EXPECT_EQ(inbox.differs(6, 7, owner.digest(7)), true);
}

TEST_F(InboxTest, ANoteGoesWithItsFlow) {
    const auto note = [&](Slot slot) { return inbox.note(inbox.table(), slot); };
    full(1, 7, 1, 1);
    EXPECT_EQ(note(7), 0u);
    inbox.set_note(inbox.table(), 7, 41);
    state(2, 7, 2);
    EXPECT_EQ(note(7), 41u);
    full(3, 8, 1, 2);  // it ended and came back
    EXPECT_EQ(note(7), 0u);
    EXPECT_EQ(note(8), 41u);

    full(4, 9, 2, 1);
    inbox.set_note(inbox.table(), 9, 42);
    for (int i = 0; i < 2; ++i) {
        inbox.restart();
        full(1, 100, 3, 1);
        inbox.set_note(inbox.table(), 100, 43);
    }
    const FlowTable& previous = *inbox.previous();
    EXPECT_EQ(inbox.note(previous, previous.find(identity_bytes(2)).value()), 42u);
    full(2, 5, 1, 2);
    EXPECT_EQ(note(5), 41u);
    const Change change = full(3, 5, 4, 1);
    EXPECT_EQ(copy(change.gone), identity_bytes(1));
    EXPECT_EQ(change.gone_note, 41u);
    EXPECT_EQ(note(5), 0u);
    EXPECT_EQ(inbox.next_leftover().value().gone_note, 42u);
    EXPECT_EQ(end(4, 100).gone_note, 43u);
}

TEST_F(InboxTest, WhatIsForgottenIsKnownAgainWhenAFullNamesIt) {
    full(3, 7, 1, 1);
    EXPECT_EQ(copy(inbox.forget(7).gone), identity_bytes(1));
    EXPECT_TRUE(inbox.forget(7).gone.empty());
    EXPECT_EQ(state(4, 7, 2).kind, Kind::nothing);
    EXPECT_EQ(full(2, 7, 1, 1).kind, Kind::nothing);  // older than what was forgotten
    EXPECT_EQ(full(5, 7, 1, 2).kind, Kind::upsert);
}

TEST_F(InboxTest, KeepsFlowsOverANewStreamUntilItIsComplete) {
    full(100, 7, 1, 1);
    full(101, 8, 2, 1);
    full(102, 9, 3, 1);
    EXPECT_EQ(inbox.previous(), nullptr);
    inbox.restart();
    EXPECT_EQ(inbox.previous()->size(), 3u);
    EXPECT_EQ(state(1, 7, 9).kind, Kind::nothing);  // its slots are others
    const Change change = full(2, 8, 1, 1);
    EXPECT_EQ(change.kind, Kind::upsert);
    EXPECT_TRUE(change.gone.empty());  // 2 is still to come, perhaps
    EXPECT_EQ(full(3, 9, 3, 1).kind, Kind::upsert);
    EXPECT_EQ(inbox.previous()->size(), 1u);
    const auto gone = inbox.next_leftover();
    ASSERT_TRUE(gone);
    EXPECT_EQ(gone->kind, Kind::erase);
    EXPECT_EQ(copy(gone->gone), identity_bytes(2));
    EXPECT_FALSE(inbox.next_leftover());
    EXPECT_EQ(inbox.previous(), nullptr);
    EXPECT_EQ(inbox.table().size(), 2u);
}

TEST_F(InboxTest, ForgetsNothingWhenStreamsDoNotLast) {
    for (std::uint32_t stream = 0; stream < 10; ++stream) {
        inbox.restart();
        for (Slot slot = 0; slot < 20; ++slot) full(1 + slot, slot, 20 * (stream % 7) + slot, stream);
    }
    std::size_t gone = 0;
    while (inbox.next_leftover()) ++gone;
    EXPECT_EQ(gone, 6u * 20);
    EXPECT_EQ(inbox.table().size(), 20u);
    EXPECT_EQ(counted().forgotten, 0u);

    for (std::uint32_t stream = 0; stream < 10; ++stream) {
        inbox.restart();
        for (Slot slot = 0; slot < 1000; ++slot) full(1 + slot, slot, 1000 * stream + slot, stream);
    }
    EXPECT_LE(inbox.previous()->size(), 5000u);
    EXPECT_GT(counted().forgotten, 0u);
}

TEST(TakeRecord, ReadsRecordsOneByOne) {
    Buffer bytes = encoded(RecordHeader{RecordKind::full, 300});
    const auto append = [&](const Buffer& more) { bytes.insert(bytes.end(), more.begin(), more.end()); };
    append(identity_bytes(1));
    append(state_bytes(1));
    append(encoded(RecordHeader{RecordKind::end, 2}));
    append(encoded(RecordHeader{RecordKind::state, 3}));
    append(state_bytes(2));
    Bytes rest(bytes);
    const auto first = take_record(rest);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->header, (RecordHeader{RecordKind::full, 300}));
    EXPECT_EQ(copy(first->identity), identity_bytes(1));
    EXPECT_EQ(copy(first->state), state_bytes(1));
    EXPECT_EQ(take_record(rest)->header, (RecordHeader{RecordKind::end, 2}));
    const auto third = take_record(rest);
    ASSERT_TRUE(third);
    EXPECT_TRUE(third->identity.empty());
    EXPECT_EQ(copy(third->state), state_bytes(2));
    EXPECT_TRUE(rest.empty());

    Bytes cut = Bytes(bytes).first(bytes.size() - 1);
    take_record(cut);
    take_record(cut);
    const std::size_t left = cut.size();
    EXPECT_FALSE(take_record(cut));
    EXPECT_EQ(cut.size(), left);
}

}  // namespace
}  // namespace carpd
