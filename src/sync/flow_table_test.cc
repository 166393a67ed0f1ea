#include "sync/flow_table.h"

#include <gtest/gtest.h>

#include <map>

#include "base/random.h"
#include "sync/sample_flows.h"

namespace carpd {
namespace {

constexpr SipKey kKey{0x0123456789abcdef, 0xfedcba9876543210};

Buffer copy(Bytes bytes) {
    return {bytes.begin(), bytes.end()};
}

std::uint64_t digest_of_all(const FlowTable& table) {
    std::uint64_t all = 0;
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) all ^= table.digest(bucket);
    return all;
}

TEST(FlowTable, FindsWhatItHolds) {
    FlowTable table(10, kKey);
    const auto slot = table.insert(identity_bytes(1), state_bytes(1));
    ASSERT_TRUE(slot);
    EXPECT_EQ(table.find(identity_bytes(1)), slot);
    EXPECT_EQ(table.find(identity_bytes(2)), std::nullopt);
    EXPECT_EQ(copy(table.identity(*slot)), identity_bytes(1));
    EXPECT_EQ(copy(table.state(*slot)), state_bytes(1));
    table.set_state(*slot, state_bytes(4));  // a longer one
    EXPECT_EQ(copy(table.identity(*slot)), identity_bytes(1));
    EXPECT_EQ(copy(table.state(*slot)), state_bytes(4));
}

TEST(FlowTable, ReservesTheSlotOfAFlowThatEndedUntilItsLastHolderReleasesIt) {
    FlowTable table(2, kKey);
    const Slot slot = table.insert(identity_bytes(1), state_bytes(1)).value();
    table.erase(slot, 2);
    EXPECT_FALSE(table.holds(slot));
    EXPECT_EQ(table.find(identity_bytes(1)), std::nullopt);
    EXPECT_NE(table.insert(identity_bytes(1), state_bytes(1)), slot);
    EXPECT_EQ(table.insert(identity_bytes(2), state_bytes(1)), std::nullopt);
    table.release(slot);
    EXPECT_EQ(table.insert(identity_bytes(2), state_bytes(1)), std::nullopt);
    table.release(slot);
    EXPECT_EQ(table.insert(identity_bytes(2), state_bytes(1)), slot);
    EXPECT_EQ(table.refused(), 2u);
    table.erase(slot, 0);
    EXPECT_EQ(table.insert(identity_bytes(3), state_bytes(1)), slot);
}

TEST(FlowTable, TakesAHighSlotWithoutMemoryForThoseBelow) {
    FlowTable table(~0u, kKey);
    const std::size_t before = table.memory();
    table.insert_at(FlowTable::kMostSlots - 1, identity_bytes(1), state_bytes(1));
    EXPECT_EQ(table.find(identity_bytes(1)), FlowTable::kMostSlots - 1);
    EXPECT_LT(table.memory() - before, 1u << 20);
}

// The example of docs/protocol/sync.md §5.
TEST(FlowTable, HasTheDocumentedDigest) {
    FlowTable table(1000, kKey);
    FlowIdentity identity;
    const std::uint8_t client[] = {192, 0, 2, 9}, server[] = {198, 51, 100, 7};
    identity.original = {IpAddress::from_bytes(client), IpAddress::from_bytes(server), 6, 40000, 443};
    identity.reply = identity.original.inverse();
    FlowState state = sample_state(432000);
    state.labels = {};
    table.insert_at(300, encoded(identity), encoded(state));
    EXPECT_EQ(table.digest(300), 0x81caa9650795eafb);
}

TEST(FlowTable, DigestsDependOnFlowsAndSlotsOnly) {
    FlowTable a(1000, kKey), b(1000, SipKey{1, 2});
    for (Slot slot = 0; slot < 500; ++slot) a.insert_at(slot, identity_bytes(slot), state_bytes(slot));
    for (Slot slot = 500; slot-- > 0;) b.insert_at(slot, identity_bytes(slot), state_bytes(7));
    for (Slot slot = 0; slot < 500; ++slot) b.set_state(slot, state_bytes(slot));
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) EXPECT_EQ(a.digest(bucket), b.digest(bucket));

    b.erase(3, 1);
    b.insert_at(3 + kBuckets / 2, identity_bytes(3), state_bytes(3));  // the same flow elsewhere
    EXPECT_NE(digest_of_all(a), digest_of_all(b));
    for (Slot slot = 0; slot < 500; ++slot) a.erase(slot, 1);
    EXPECT_EQ(digest_of_all(a), 0u);
}

// Against std::map, through growth, moves of cells and all lengths.
TEST(FlowTable, IsAMapWhateverHappens) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        Random random(seed);
        const std::uint32_t max = 1 + static_cast<std::uint32_t>(random.next() % 3000);
        FlowTable table(max, {seed, random.next()});
        std::map<std::uint32_t, std::pair<Slot, std::uint32_t>> model;  // by identity: slot, version
        std::map<Slot, int> reserved;
        for (int step = 0; step < 8000; ++step) {
            const auto number = static_cast<std::uint32_t>(random.next() % 4000);
            const auto version = static_cast<std::uint32_t>(random.next() % 100000);
            const auto found = model.find(number);
            ASSERT_EQ(table.find(identity_bytes(number)),
                      found == model.end() ? std::nullopt : std::optional(found->second.first));
            if (found == model.end()) {
                const auto slot = table.insert(identity_bytes(number), state_bytes(version));
                ASSERT_EQ(slot.has_value(), model.size() + reserved.size() < max);
                if (!slot) continue;
                ASSERT_LT(*slot, max);
                ASSERT_FALSE(reserved.contains(*slot));
                model[number] = {*slot, version};
            } else if (random.next() % 2) {
                table.set_state(found->second.first, state_bytes(version));
                found->second.second = version;
            } else {
                const auto holders = static_cast<std::uint32_t>(random.next() % 3);
                table.erase(found->second.first, holders);
                if (holders) reserved[found->second.first] = static_cast<int>(holders);
                model.erase(found);
            }
            if (!reserved.empty() && random.next() % 2) {
                const auto one = reserved.begin();
                table.release(one->first);
                if (--one->second == 0) reserved.erase(one);
            }
        }
        ASSERT_EQ(table.size(), model.size());
        for (const auto& [number, flow] : model) {
            EXPECT_EQ(copy(table.identity(flow.first)), identity_bytes(number));
            EXPECT_EQ(copy(table.state(flow.first)), state_bytes(flow.second));
        }
    }
}

// Flows of all lengths in turn don't leave memory of each behind.
TEST(FlowTable, UsesMemoryAgain) {
    FlowTable table(20000, kKey);
    for (std::uint32_t i = 0; i < 20000; ++i) ASSERT_TRUE(table.insert(identity_bytes(i), Buffer(64, 1)));
    const std::size_t largest = table.memory();
    for (std::size_t size = 64; size > 0; --size) {
        for (Slot slot = 0; slot < 20000; ++slot) table.set_state(slot, Buffer(size, 1));
        EXPECT_LT(table.memory(), largest + (1u << 20)) << size;
    }
}

TEST(FlowTable, DoesNotGrowWithWhatComesAndGoes) {
    FlowTable table(1000, kKey);
    std::size_t before = 0;
    for (std::uint32_t i = 0; i < 100'000; ++i) {
        table.erase(table.insert(identity_bytes(i), state_bytes(1)).value(), 0);
        if (i == 10'000) before = table.memory();
    }
    EXPECT_EQ(table.memory(), before);
    EXPECT_EQ(table.end(), 1u);
}

TEST(FlowTable, FindsByOriginalDirectionAndZone) {
    FlowTable table(10, {1, 2});
    FlowIdentity plain = sample_identity(3), zoned = plain;
    zoned.zone = 7;
    ASSERT_EQ(table.insert(encoded(plain), state_bytes(1)), 0u);
    ASSERT_EQ(table.insert(encoded(zoned), state_bytes(1)), 1u);
    for (FlowIdentity identity : {plain, zoned}) {
        const Slot slot = identity.zone ? 1 : 0;
        identity.reply.destination = identity.original.destination;
        identity.reply.first = 9;
        identity.master = identity.original;
        identity.helper = {'f', 't', 'p'};
        EXPECT_EQ(table.find_name(encoded(identity)), slot);
        EXPECT_EQ(table.find(encoded(identity)), std::nullopt);
        identity.zone = 8;
        EXPECT_EQ(table.find_name(encoded(identity)), std::nullopt);
    }
    table.erase(0, 0);
    EXPECT_EQ(table.find_name(encoded(plain)), std::nullopt);
}

}  // namespace
}  // namespace carpd
