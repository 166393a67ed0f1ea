#include "wire/flow_event.h"

#include <gtest/gtest.h>

namespace carpd {
namespace {

TEST(FlowEvent, TellsWhatChanged) {
    FlowState held;
    held.status = 0xe;
    held.timeout = 100;
    held.protocol = TcpState{3, {7, 8}, {0x23, 0x23}};
    held.labels[3] = 9;
    held.sequence = {{{1, 2, 3}, {4, 5, 6}}};
    const FlowState before = held;
    FlowEvent event;
    event.kind = FlowEvent::Kind::changed;
    event.flow.state.status = before.status;
    event.flow.state.timeout = 77;
    event.flow.state.mark = 5;
    update(held, event);
    EXPECT_EQ(held.timeout, 77u);
    EXPECT_EQ(held.mark, 5u);
    EXPECT_EQ(held.protocol, before.protocol);
    EXPECT_EQ(held.labels, before.labels);
    EXPECT_EQ(held.sequence, before.sequence);

    event.tells_protocol = true;
    event.flow.state.protocol = TcpState{7, {1, 2}, {3, 3}};
    update(held, event);
    EXPECT_EQ(held.protocol, event.flow.state.protocol);
    EXPECT_EQ(held.labels, before.labels);
}

}  // namespace
}  // namespace carpd
