// Turns one wake-up of the host into inputs of the Node and performs what it answers. The Linux engine and
// the simulator use this same code, so what the simulator proves holds for the daemon.
#pragma once

#include <functional>

#include "carp/node.h"
#include "carp/port.h"

namespace carpd {

// Telling people comes last: the reports of an input are performed when everything else is done, so that
// writing them delays no takeover, however many groups move.
class Pump {
 public:
    // Both outlive the pump.
    Pump(Node& node, Port& port) : node_(node), port_(port) {}

    // Something happened, or next_deadline() came. All waiting packets are heard before any timer is judged:
    // a host that woke late must hear its successor before it speaks (rule T4). At most kMaxPackets a call,
    // so that a flood can't hold up our own advertisements.
    void wake(Instant now);
    // Any other input: `input` gets the Actions to append to.
    void input(Instant now, const std::function<void(Node&, Actions&)>& input);

    static constexpr std::size_t kMaxPackets = 1024;

 private:
    void perform(Instant now);

    Node& node_;
    Port& port_;
    Actions actions_, reports_;
};

}  // namespace carpd
