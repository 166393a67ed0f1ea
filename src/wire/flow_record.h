// Flows as bytes: what a FLOWS region of a datagram holds, and what tables keep of a flow, for a flow's bytes
// are a third of its value (docs/protocol/sync.md §3). Every flow has exactly one encoding, so that equal
// bytes are equal flows and a hash of them is a hash of the flow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "wire/flow.h"

namespace carpd {

// The longest of each, whatever a flow holds.
inline constexpr std::size_t kLongestIdentity = 160, kLongestState = 64;

// Return the number of bytes written; `out` has room for the longest.
std::size_t encode(const FlowIdentity& identity, std::span<std::uint8_t> out);
std::size_t encode(const FlowState& state, std::span<std::uint8_t> out);

// From the beginning of `bytes`, which it shortens by what was read. Nothing if they begin with no identity
// or state, or with another encoding of one than ours.
std::optional<FlowIdentity> decode_identity(Bytes& bytes);
std::optional<FlowState> decode_state(Bytes& bytes);

// Whether it is the encoding of an expectation's identity.
bool is_expectation(Bytes identity);

// What no two flows of a kernel share at a time, and what every event tells of a flow: the original direction
// and the zone, and whether it is an expectation. As bytes that are equal if these are, out of the encoding
// of an identity; returns their number.
inline constexpr std::size_t kLongestFlowName = 40;
std::size_t put_flow_name(Bytes identity, std::span<std::uint8_t> out);

// A flow's number at its owner.
using Slot = std::uint32_t;
inline constexpr Slot kMaxSlots = 1u << 30;

enum class RecordKind : std::uint8_t {
    end = 0,    // the flow in this slot is gone
    state = 1,  // its state changed
    full = 2,   // what is in it
};
struct RecordHeader {
    RecordKind kind;
    Slot slot;
    bool operator==(const RecordHeader&) const = default;
};
inline constexpr std::size_t kLongestRecordHeader = 5;

std::size_t encode(const RecordHeader& header, std::span<std::uint8_t> out);
std::optional<RecordHeader> decode_record_header(Bytes& bytes);

}  // namespace carpd
