// Any bytes as a message of ctnetlink: never read past its end; and a flow that was read can be written, and
// read again it is the same.
#include <vector>

#include "base/assert.h"
#include "linux/conntrack_expectation.h"

namespace carpd {
namespace {

void write_and_read_expectation(const Flow& flow) {
    std::uint8_t bytes[kLongestConntrackMessage];
    const auto again = parse_flow(Bytes(bytes, put_expectation(flow, 7, bytes)));
    CARPD_ASSERT(again.has_value());
    Flow expected = flow;
    expected.identity.helper = again->flow.identity.helper;  // it isn't always written
    CARPD_ASSERT(again->flow == expected);
    put_expectation_removal(flow.identity, 7, bytes);
}

void write_and_read(const Flow& flow) {
    std::uint8_t bytes[kLongestConntrackMessage];
    const Bytes created(bytes, put_create(flow, 7, bytes));
    const auto again = parse_flow(created);
    CARPD_ASSERT(again.has_value() && again->kind == FlowEvent::Kind::created);
    Flow expected = flow;
    // The message has these in another form: the translation, and that it is expected.
    expected.identity.reply = flow.identity.original.inverse();
    expected.state.status = (flow.state.status & ~1u) | 8;
    CARPD_ASSERT(again->flow == expected);
    const auto updated = parse_flow(Bytes(bytes, put_update(flow, 7, bytes)));
    CARPD_ASSERT(!updated.has_value() && updated.error() == ConntrackRefusal::incomplete);  // no reply tuple
    put_remove(flow.identity.reply, flow.identity.zone, 7, bytes);
}

}  // namespace
}  // namespace carpd

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace carpd;
    const std::vector<std::uint8_t> copy(data, data + size);  // of exactly this size
    Bytes bytes(copy);
    FlowState held;
    while (const auto message = next_message(bytes)) {
        const auto event = parse_flow(*message);
        if (!event) continue;
        update(held, *event);
        CARPD_ASSERT((held.status & ~FlowState::kReplicatedStatus) == 0);
        event->flow.identity.is_expectation() ? write_and_read_expectation(event->flow)
                                              : write_and_read(event->flow);
    }
    parse_flow(copy).has_value();
    return 0;
}
