// What a kernel says of its flows, and what it is told to make of them, as values. linux/conntrack_message.h
// has both as the kernel's bytes; sync/host.h decides what follows from the one and wants the other.
#pragma once

#include <cstdint>

#include "wire/flow.h"

namespace carpd {

struct FlowEvent {
    enum class Kind : std::uint8_t { created, changed, ended, listed };
    Kind kind = Kind::listed;
    Flow flow;  // what it doesn't tell is as in an empty one
    // Whether it tells of these parts of the state. The other parts of the state it always tells; of an ended
    // flow only the identity, without helper and master, means something.
    bool tells_protocol = false, tells_labels = false, tells_sequence = false;
};

// `held`, what was known of the event's flow, as it is after the event.
void update(FlowState& held, const FlowEvent& event);

struct FlowChange {
    // `create` and `update` have the same end, that the flow is there with this state, and differ in what is
    // tried first. What is likely is cheap, what isn't costs three more messages.
    enum class Kind : std::uint8_t { create, update, remove };
    Kind kind = Kind::create;
    Flow flow;  // of one to be removed only the original tuple and the zone matter
};

}  // namespace carpd
