#include "wire/flow_event.h"

namespace carpd {

void update(FlowState& held, const FlowEvent& event) {
    const FlowState before = held;
    held = event.flow.state;
    if (!event.tells_protocol) held.protocol = before.protocol;
    if (!event.tells_labels) held.labels = before.labels;
    if (!event.tells_sequence) held.sequence = before.sequence;
}

}  // namespace carpd
