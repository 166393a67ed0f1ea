// What the firewalls' kernels know, and what is put there.
#pragma once

#include <cstdint>
#include <vector>

#include "lab/clock.h"
#include "lab/lab.h"
#include "wire/flow.h"

namespace carpd::bench {

// How many flows there are. Quick.
std::uint32_t count_flows(const lab::Host& host);

// How many of the first's flows the second doesn't have, or in another TCP state.
std::uint32_t count_missing(const lab::Host& first, const lab::Host& second);

// Puts connections `from` to `to`, without the last, into the table, or removes them, as fast as it goes.
// Returns how long it took.
lab::Span create_connections(const lab::Host& host, std::uint32_t from, std::uint32_t to, std::uint16_t port);
lab::Span remove_connections(const lab::Host& host, std::uint32_t from, std::uint32_t to, std::uint16_t port);

// How many messages programs on this host didn't get, because the buffers of their netfilter sockets were
// full.
std::uint64_t count_lost_events(const lab::Host& host);

// Tells when a connection to `port` appears in a kernel's table.
class FlowWatch {
 public:
    FlowWatch(const lab::Host& host, std::uint16_t port);
    // Waits for the next one; returns whether it came in time.
    bool wait(lab::Span patience);

 private:
    UniqueFd socket_;
};

}  // namespace carpd::bench
