// Which flow's an Ethernet frame is, by what stands in it: what bpf/defer.bpf.c picked, read once more.
#pragma once

#include <optional>

#include "base/bytes.h"
#include "wire/flow.h"

namespace carpd {

// The tuple as the frame has it, in its own direction. Nothing: no IPv4 or IPv6 packet, a fragment but the
// first, or cut off before the ports. Numbers of GRE, of ICMP but echoes and of what stands behind IPv6
// extension headers it doesn't read; they are 0.
std::optional<FlowTuple> tuple_of_frame(Bytes frame);

}  // namespace carpd
