// Who owns a flow that two hosts know (W2 of docs/protocol/sync.md), when datagrams overtake each other.
#include <gtest/gtest.h>

#include "sync/host.h"
#include "sync/test_hosts.h"

namespace carpd {
namespace {

using namespace std::chrono_literals;
using namespace test_hosts;

// What host `from` has to send to the other one now, without sending it.
std::vector<Buffer> due(World& world, std::size_t from) {
    std::vector<Buffer> datagrams;
    Buffer out(SyncHost::kLeastDatagram);
    while (const std::size_t size = world[from].poll_transmit(world.now, 0, {65536, 0}, out))
        datagrams.emplace_back(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(size));
    return datagrams;
}

// The peer's flow ended before its term rose, but the term is heard first, then the flow, then its end.
TEST(Owner, NobodyGivesAFlowUpForARecordThatIsOlderThanTheTermThatDecides) {
    World world(2, 1);
    world.run(1s);
    world[1].set_master(world.now, true);
    world.run(1s);
    world[0].set_master(world.now, true);
    world.run(2s);
    ASSERT_GT(world[0].term(), world[1].term());

    const Flow flow{sample_identity(1), sample_state(0)};
    world[0].on_event(world.now, {Kind::created, flow, true, true, true});
    world[1].on_event(world.now, {Kind::created, flow, true, true, true});
    const auto told = due(world, 1);
    world.now += 2ms;
    world[1].on_event(world.now, {Kind::ended, flow, false, false, false});
    const auto ended = due(world, 1);
    world.now += 2ms;
    world[1].take_over(world.now);
    const auto term = due(world, 1);
    ASSERT_GT(world[1].term(), world[0].term());
    ASSERT_FALSE(told.empty() || ended.empty() || term.empty());

    for (const auto& datagrams : {term, told, ended})
        for (Buffer datagram : datagrams) ASSERT_FALSE(world[0].receive(world.now, 0, datagram).has_value());
    ASSERT_GT(world[0].session(0).inbox().counters().erased, 0u);
    EXPECT_EQ(world[0].own().size(), 1u);
    EXPECT_TRUE(world[0].changes().empty());

    // Of one that comes after the term it is sure.
    world[1].on_event(world.now, {Kind::created, flow, true, true, true});
    world.run(10ms);
    EXPECT_EQ(world[0].own().size(), 0u);
    EXPECT_EQ(world[0].counters().given_up, 1u);
}

}  // namespace
}  // namespace carpd
