// Two hosts' knowledge of one flow (W5 of docs/protocol/sync.md).
#pragma once

#include <algorithm>
#include <variant>

#include "wire/flow.h"

namespace carpd {

// How far a connection has come: the kernel's numbers rise from SYN_SENT to CLOSE, but the second SYN of a
// simultaneous open is numbered last.
constexpr std::uint8_t tcp_progress(const TcpState& tcp) {
    constexpr std::uint8_t kSynSent = 1, kSynSent2 = 9;
    return tcp.state == kSynSent2 ? kSynSent : tcp.state;
}

// `ours`, with what `theirs` knows more: what was seen on either host was seen, and TCP never goes back.
inline FlowState merge(const FlowState& ours, const FlowState& theirs) {
    constexpr std::uint32_t kSeenReply = 0x2, kAssured = 0x4;
    FlowState merged = ours;
    merged.status |= theirs.status & (kSeenReply | kAssured);
    const auto* const tcp = std::get_if<TcpState>(&ours.protocol);
    const auto* const other = std::get_if<TcpState>(&theirs.protocol);
    if (!other || (tcp && tcp_progress(*tcp) >= tcp_progress(*other))) return merged;
    merged.protocol = theirs.protocol;
    merged.timeout = theirs.timeout;
    return merged;
}

}  // namespace carpd
