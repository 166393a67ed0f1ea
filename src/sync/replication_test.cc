// An owner's table, its outbox, a peer's inbox, and between them a channel that loses, reorders and
// duplicates. Whatever happens, the peer comes to hold what the owner holds, and never holds what the owner
// did not.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/random.h"
#include "sync/inbox.h"
#include "sync/outbox.h"
#include "sync/sample_flows.h"

namespace carpd {
namespace {

using namespace std::chrono_literals;

Buffer copy(Bytes bytes) {
    return {bytes.begin(), bytes.end()};
}

struct Faults {
    std::uint32_t loss = 0, duplicates = 0;  // per cent
    Duration least_delay = 50us, most_delay = 50us;
};

// What a peer's kernel has after its changes, and whether they made sense.
class Kernel {
 public:
    void apply(const Change& change) {
        if (!change.gone.empty()) {
            ASSERT_EQ(flows.erase(copy(change.gone)), 1u);
        }
        if (change.kind == Change::Kind::update) {
            ASSERT_TRUE(flows.contains(copy(change.identity)));
        }
        if (change.kind == Change::Kind::update || change.kind == Change::Kind::upsert)
            flows[copy(change.identity)] = copy(change.state);
    }
    std::map<Buffer, Buffer> flows;
};

class Replication {
 public:
    Replication(std::uint64_t seed, std::uint32_t max_slots, const Faults& faults_in)
        : faults(faults_in),
          random(seed),
          owned(max_slots, {seed, 1}),
          outbox(owned),
          inbox(max_slots, {2, seed}) {
        outbox.restart();
        if (seed % 2) packet = (std::uint64_t{1} << 32) - 1 - seed % 200;
    }

    std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random.next() % n); }
    bool chance(std::uint32_t percent) { return below(100) < percent; }

    // A flow of a small pool is born, changes, or dies. Versions only rise, over all flows.
    void churn(std::uint32_t pool) {
        const std::uint32_t number = below(pool);
        const Buffer identity = identity_bytes(number);
        if (const auto slot = owned.find(identity)) {
            if (chance(40)) {
                owned.erase(*slot, 1);
                outbox.ended(now, *slot);
                return;
            }
            owned.set_state(*slot, state_bytes(++version));
            outbox.changed(now, *slot);
        } else if (const auto fresh = owned.insert(identity, state_bytes(++version))) {
            outbox.changed(now, *fresh);
        } else {
            return;
        }
        history[identity].insert(state_bytes(version));
        version_of[state_bytes(version)] = version;
    }

    // All that happens until `end`.
    void run_until(Instant end) {
        while (true) {
            Instant next = std::min(outbox.next_send(), outbox.next_deadline());
            if (!data.empty()) next = std::min(next, data.begin()->first);
            if (!acks.empty()) next = std::min(next, acks.begin()->first);
            if (next > end) break;
            now = std::max(now, next);
            outbox.check(now);
            if (outbox.next_send() <= now) send();
            for (; !data.empty() && data.begin()->first <= now; data.erase(data.begin()))
                receive(data.begin()->second.first, data.begin()->second.second);
            for (; !acks.empty() && acks.begin()->first <= now; acks.erase(acks.begin()))
                outbox.acknowledged(now, {acks.begin()->second.first, acks.begin()->second.second});
        }
        now = end;
    }
    // Until nothing waits and nothing is on its way; returns how long that took.
    Duration settle(Duration limit) {
        const Instant begin = now;
        while (now < begin + limit && (outbox.waiting() || outbox.datagrams_on_their_way() || !data.empty()))
            run_until(now + 1ms);
        return now - begin;
    }

    // A new stream. What is on its way doesn't count any more.
    void restart() {
        data.clear();
        acks.clear();
        packet = highest = 0;
        received.clear();
        outbox.restart();
        inbox.restart();
    }

    // That the inbox holds no flow or state that never was, that no slot goes back, and none is mixed up.
    void check_safety() {
        for (Slot slot = 0; slot < inbox.table().end(); ++slot) {
            if (!inbox.table().holds(slot)) continue;
            const Buffer identity = copy(inbox.table().identity(slot)),
                         state = copy(inbox.table().state(slot));
            ASSERT_TRUE(history[identity].contains(state));
            ASSERT_GE(version_of[state], newest[slot]);
            newest[slot] = version_of[state];
            if (owned.holds(slot)) {
                ASSERT_EQ(copy(owned.identity(slot)), identity) << "slot " << slot;
            }
        }
        std::map<Buffer, Buffer> flows;
        for (const FlowTable* table : {&inbox.table(), inbox.previous()})
            for (Slot slot = 0; table && slot < table->end(); ++slot)
                if (table->holds(slot)) flows[copy(table->identity(slot))] = copy(table->state(slot));
        ASSERT_EQ(kernel.flows, flows);
    }
    // Digests are equal where flows are, and nowhere else.
    std::size_t differing_buckets() {
        std::set<std::size_t> buckets;
        const auto compare = [&](const FlowTable& a, const FlowTable& b) {
            for (Slot slot = 0; slot < a.end(); ++slot)
                if (a.holds(slot) &&
                    (!b.holds(slot) || !std::ranges::equal(a.identity(slot), b.identity(slot)) ||
                     !std::ranges::equal(a.state(slot), b.state(slot))))
                    buckets.insert(bucket_of(slot));
        };
        compare(owned, inbox.table());
        compare(inbox.table(), owned);
        for (std::size_t bucket = 0; bucket < kBuckets; ++bucket)
            EXPECT_EQ(owned.digest(bucket) != inbox.table().digest(bucket), buckets.contains(bucket));
        return buckets.size();
    }
    // What the owner sends every ten seconds, and what its peer asks for then.
    void compare_digests() {
        ++packet;
        for (std::size_t bucket = 0; bucket < kBuckets; ++bucket)
            if (outbox.is_quiet(bucket) &&
                inbox.differs(packet, bucket, owned.digest(bucket)).value_or(false))
                outbox.ask(now, bucket);
    }
    // Every slot without a flow can be used again.
    void check_nothing_is_reserved() {
        for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) ASSERT_TRUE(outbox.is_quiet(bucket));
        const std::uint32_t free = owned.max_slots() - owned.size();
        for (std::uint32_t i = 0; i < free; ++i)
            ASSERT_TRUE(owned.insert(identity_bytes(1'000'000 + i), state_bytes(0)));
    }

    Faults faults;
    Random random;
    FlowTable owned;
    Outbox outbox;
    Inbox inbox;
    Kernel kernel;
    Instant now = Instant{} + 1s;
    std::uint32_t version = 0;
    std::uint64_t packet = 0, sent = 0;

 private:
    Instant arrival() {
        return now + faults.least_delay +
               Duration(random.next() %
                        static_cast<std::uint64_t>((faults.most_delay - faults.least_delay).count() + 1));
    }
    void send() {
        Buffer out(300 + below(1200));
        const std::size_t size = outbox.fill(++packet, now, out);
        ASSERT_GT(size, 0u);
        ASSERT_LE(outbox.datagrams_on_their_way(), outbox.pace().window());
        out.resize(size);
        ++sent;
        if (!chance(faults.loss)) data.emplace(arrival(), std::pair(packet, out));
        if (chance(faults.duplicates)) data.emplace(arrival(), std::pair(packet, out));
        if (chance(5)) ++packet;  // one without flows
    }
    void receive(std::uint64_t number, const Buffer& bytes) {
        for (Bytes rest(bytes); !rest.empty();) {
            const auto record = take_record(rest);
            ASSERT_TRUE(record);
            kernel.apply(inbox.apply(number, *record));
        }
        received.insert(number);
        highest = std::max(highest, number);
        if (chance(faults.loss)) return;
        std::vector<std::uint64_t> words(8);
        for (const std::uint64_t p : received)
            if (p < highest && highest - 1 - p < 512)
                words[(highest - 1 - p) / 64] |= std::uint64_t{1} << (highest - 1 - p) % 64;
        acks.emplace(arrival(), std::pair(highest, words));
    }

    std::multimap<Instant, std::pair<std::uint64_t, Buffer>> data;
    std::multimap<Instant, std::pair<std::uint64_t, std::vector<std::uint64_t>>> acks;
    std::set<std::uint64_t> received;
    std::uint64_t highest = 0;
    std::map<Buffer, std::set<Buffer>> history;  // all states that a flow ever had
    std::map<Buffer, std::uint32_t> version_of;
    std::map<Slot, std::uint32_t> newest;
};

Faults any_faults(Random& random) {
    const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random.next() % n); };
    Faults faults{below(3) ? below(50) : 0, below(3) ? below(40) : 0};
    if (below(4)) faults.most_delay += Duration(below(20'000'000));
    if (!below(6)) faults.least_delay = faults.most_delay += 30ms;
    return faults;
}

struct Seeds : testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Replication, Seeds, testing::Range(0, 40));

TEST_P(Seeds, ThePeerComesToHoldWhatTheOwnerHolds) {
    Random random(static_cast<std::uint64_t>(GetParam()));
    const auto pool = static_cast<std::uint32_t>(5 + random.next() % 400);
    Replication world(random.next(), static_cast<std::uint32_t>(4 + random.next() % 500), any_faults(random));
    const auto gap = static_cast<std::uint32_t>(1 + random.next() % 300'000);
    for (int step = 0; step < 4000; ++step) {
        world.churn(pool);
        world.run_until(world.now + Duration(world.below(gap)));
        if (step % 16 == 0) world.check_safety();
        if (step % 500 == 0) world.differing_buckets();
        if (HasFatalFailure()) return;
    }
    world.faults.loss = 0;
    const std::uint64_t before = world.sent;
    const std::uint32_t left = world.outbox.waiting();
    const auto on_their_way = world.outbox.datagrams_on_their_way();
    EXPECT_LT(world.settle(10s), 3s);
    EXPECT_LE(world.sent - before, left + 2 * (on_their_way * 70 + 50));
    world.check_safety();
    EXPECT_EQ(world.differing_buckets(), 0u);
    EXPECT_EQ(world.inbox.table().size(), world.owned.size());
    world.check_nothing_is_reserved();
}

TEST_P(Seeds, NewStreamsBeginAnewAndLeaveNothingOver) {
    Random random(static_cast<std::uint64_t>(1000 + GetParam()));
    const auto pool = static_cast<std::uint32_t>(5 + random.next() % 400);
    Replication world(random.next(), 500, any_faults(random));
    for (int step = 0; step < 3000; ++step) {
        world.churn(pool);
        world.run_until(world.now + Duration(world.below(100'000)));
        if (step % 100 == 0) world.check_safety();
        if (step % 500 == 499) {
            world.restart();
            ASSERT_EQ(world.inbox.previous()->size(), world.kernel.flows.size());
            for (std::uint32_t i = world.below(100); i > 0; --i) world.churn(pool);
        }
        if (HasFatalFailure()) return;
    }
    world.faults.loss = 0;
    world.restart();
    EXPECT_EQ(world.outbox.is_complete(), world.owned.size() == 0);
    world.settle(10s);
    EXPECT_TRUE(world.outbox.is_complete());
    while (const auto change = world.inbox.next_leftover()) world.kernel.apply(*change);
    world.check_safety();
    EXPECT_EQ(world.differing_buckets(), 0u);
    world.check_nothing_is_reserved();
}

// A peer whose memory isn't what was acknowledged, too much in it and too little.
TEST_P(Seeds, DigestsRepairWhatNothingElseWould) {
    Replication world(static_cast<std::uint64_t>(GetParam()), 2500, {20, 10, 50us, 3ms});
    for (int i = 0; i < 4000; ++i) world.churn(3000);
    world.settle(10s);
    ASSERT_EQ(world.differing_buckets(), 0u);
    for (int i = 0; i < 20; ++i) {
        const Slot slot = world.below(world.owned.end());
        const Buffer identity = identity_bytes(5'000'000 + static_cast<std::uint32_t>(i)),
                     state = state_bytes(3);
        if (i % 2) {
            world.kernel.apply(
                world.inbox.apply(world.packet + 1000, {{RecordKind::full, slot}, identity, state}));
        } else {
            world.kernel.apply(world.inbox.apply(world.packet + 1000, {{RecordKind::end, slot}, {}, {}}));
        }
    }
    EXPECT_GT(world.differing_buckets(), 0u);
    world.packet += 2000;
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 50; ++i) world.churn(3000);
        world.run_until(world.now + 10s);
        world.compare_digests();
        world.faults.loss = 0;
        world.settle(10s);
    }
    EXPECT_EQ(world.differing_buckets(), 0u);
}

TEST(Replication, IsBoundedWhileThePeerNeverAcknowledges) {
    Replication world(1, 2000, {100, 0, 50us, 50us});
    for (int step = 0; step < 20'000; ++step) world.churn(5000);
    const std::size_t table = world.owned.memory(), outbox = world.outbox.memory();
    for (int step = 0; step < 50'000; ++step) {
        world.churn(5000);
        world.run_until(world.now + 50us);
        ASSERT_LE(world.outbox.waiting(), 2000u);
    }
    EXPECT_GT(world.owned.refused(), 0u);
    EXPECT_LE(world.owned.memory(), table + 500'000);
    EXPECT_EQ(world.outbox.memory(), outbox);
    EXPECT_LT(world.sent, 1000u);  // in 2.5 s

    world.faults.loss = 0;
    world.settle(10s);
    world.check_safety();
    EXPECT_EQ(world.differing_buckets(), 0u);
    world.check_nothing_is_reserved();
}

}  // namespace
}  // namespace carpd
