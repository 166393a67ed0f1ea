// Two sessions that talk to each other directly, for what hosts can't be brought to do.
#include "sync/session.h"

#include <gtest/gtest.h>

#include "sync/sample_flows.h"
#include "sync/test_channels.h"

namespace carpd {
namespace {

using namespace std::chrono_literals;

struct Side {
    Side(Instant now, std::string_view name, std::uint64_t seed)
        : session(now, test_channels::config_of(name), {test_channels::key_of(1), {}},
                  test_channels::random_from(seed), own, {seed, 1}) {}
    FlowTable own{2000, {1, 2}};
    SyncSession session;
    std::size_t asks = 0, digests = 0, statuses = 0;
    bool knows = true;
};

class TwoSessions : public testing::Test {
 protected:
    void run(Duration duration) {
        for (const Instant end = now + duration; now < end; now += 1ms)
            for (const auto& [from, to] : {std::pair(&a, &b), std::pair(&b, &a)}) {
                from->session.on_timer(now);
                from->session.watch(now);
                Buffer out(1300);
                while (const std::size_t size =
                           from->session.transmit(now, {.complete = from->knows}, {65536, 0}, out))
                    deliver(*to, {out.data(), size});
            }
    }
    void deliver(Side& to, std::span<std::uint8_t> datagram) {
        const auto received = to.session.channel().receive(now, datagram);
        to.session.watch(now);
        if (!received) return;
        Bytes body = received->body;
        while (const auto region = next_region(body)) take(to, received->number, *region);
    }
    void take(Side& to, PacketNumber number, const Region& region) {
        Bytes rest = region.contents;
        switch (region.kind) {
            case RegionKind::flows:
                while (const auto record = take_record(rest)) to.session.on_record(number, *record);
                return;
            case RegionKind::ack: return to.session.on_ack(now, decode_ack(rest).value());
            case RegionKind::status:
                ++to.statuses;
                to.session.on_status(number, decode_status(rest).value());
                return;
            case RegionKind::digests:
                ++to.digests;
                return to.session.on_digests(number, decode_digests(rest).value());
            case RegionKind::ask: ++to.asks; return to.session.on_ask(now, decode_ask(rest).value());
        }
    }
    void expect_same() {
        EXPECT_EQ(b.session.inbox().table().size(), a.own.size());
        for (std::size_t bucket = 0; bucket < kBuckets; ++bucket)
            ASSERT_EQ(b.session.inbox().table().digest(bucket), a.own.digest(bucket));
    }

    Instant now{std::chrono::hours(1)};
    Side a{now, "fw1", 1}, b{now, "fw2", 2};
};

TEST_F(TwoSessions, DigestsFindWhatWasNeverTold) {
    for (std::uint32_t i = 0; i < 1500; ++i) a.own.insert(identity_bytes(i), state_bytes(1));
    run(1s);
    expect_same();
    EXPECT_TRUE(b.session.heard_all());
    EXPECT_GE(b.digests, 11u);                                                   // after the bulk update
    for (std::uint32_t i = 0; i < 200; ++i) a.own.set_state(i, state_bytes(2));  // and the outbox isn't told
    for (int i = 0; i < 10'000 && b.session.differing_buckets() == 0; ++i) run(1ms);
    EXPECT_GT(b.session.differing_buckets(), 0u);
    run(500ms);
    EXPECT_GE(a.asks, 4u);  // 64 buckets in each
    expect_same();
    run(1s);  // a second after the ASK digests come again
    EXPECT_EQ(b.session.differing_buckets(), 0u);
}

TEST_F(TwoSessions, IsCompleteWhenTheOwnerKnowsItself) {
    a.knows = false;
    a.own.insert(identity_bytes(1), state_bytes(1));
    run(1s);
    EXPECT_FALSE(b.session.heard_all());
    a.knows = true;
    run(200ms);
    EXPECT_TRUE(b.session.heard_all());
}

TEST_F(TwoSessions, SaysItsStatusTenTimesASecond) {
    run(3s);
    b.statuses = 0;
    run(10s);
    EXPECT_GE(b.statuses, 95u);
    EXPECT_LE(b.statuses, 130u);
}

TEST_F(TwoSessions, AnOlderStatusCountsForNothing) {
    run(1s);
    const PacketNumber number = 1'000'000;
    EXPECT_TRUE(b.session.on_status(number, {.master = true, .term = 5}));
    EXPECT_EQ(b.session.term_since(), number);
    EXPECT_TRUE(b.session.on_status(number + 3, {.term = 5}));
    EXPECT_FALSE(b.session.on_status(number + 1, {.master = true, .term = 5}));
    EXPECT_FALSE(b.session.said()->master);
    EXPECT_FALSE(b.session.on_status(number - 1, {.term = 5}));  // the term is older than was known
    EXPECT_EQ(b.session.term_since(), number - 1);
    EXPECT_FALSE(b.session.on_status(number - 2, {.term = 4}));
    EXPECT_EQ(b.session.said()->term, 5u);
    EXPECT_EQ(b.session.term_since(), number - 1);
}

}  // namespace
}  // namespace carpd
