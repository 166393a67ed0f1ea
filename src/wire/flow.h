// A flow: what the kernel's connection tracking knows of one connection, as a value. linux/conntrack.h reads
// and writes flows, wire/flow_record.h puts them into datagrams (docs/protocol/sync.md §3).
//
// Field for field as in <linux/netfilter/nfnetlink_conntrack.h>, whose numbers are used where a field says
// so.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "base/addresses.h"

namespace carpd {

// One direction of a flow. Both addresses are of one family.
struct FlowTuple {
    IpAddress source, destination;
    std::uint8_t protocol = 0;  // IPPROTO_*
    // TCP, UDP, UDP-Lite, SCTP, DCCP: the ports. ICMP, ICMPv6: the id, and type << 8 | code. GRE: the keys.
    // Other protocols: 0.
    std::uint16_t first = 0, second = 0;

    // Whether `first` and `second` mean something.
    bool has_numbers() const;
    // The other direction of a flow that nothing translates.
    FlowTuple inverse() const;
    auto operator<=>(const FlowTuple&) const = default;
};

// The name of a connection-tracking helper ("ftp"), filled up with zeros; empty: none.
using HelperName = std::array<char, 16>;

// Which bits of an expectation's source, and of its first number, a packet must share.
struct ExpectationMask {
    IpAddress source;
    std::uint16_t first = 0;
    bool operator==(const ExpectationMask&) const = default;
};

// What makes a flow this one: nothing of it changes while it lives.
//
// An expectation, too, is a flow here: one that a helper (FTP, SIP) read of in its master, and that hasn't
// begun. Its original direction is what is expected; its reply is the inverse, and it always has a master,
// whose helper it names.
struct FlowIdentity {
    FlowTuple original, reply;
    std::optional<ExpectationMask> mask;  // of expectations only
    std::uint16_t zone = 0;               // of both directions
    std::optional<FlowTuple> master;      // the original direction of the flow that expected this one
    HelperName helper{};

    std::string_view helper_name() const { return helper.data(); }
    bool is_translated() const { return reply != original.inverse(); }
    bool is_expectation() const { return mask.has_value(); }
    bool operator==(const FlowIdentity&) const = default;
};

struct TcpState {
    std::uint8_t state = 0;             // enum tcp_conntrack
    std::uint8_t window_scale[2] = {};  // 0..14, of the original direction first
    std::uint8_t flags[2] = {};         // IP_CT_TCP_FLAG_*
    bool operator==(const TcpState&) const = default;
};
struct SctpState {
    std::uint8_t state = 0;  // enum sctp_conntrack
    std::uint32_t tag[2] = {};
    bool operator==(const SctpState&) const = default;
};
struct DccpState {
    std::uint8_t state = 0, role = 0;
    std::uint64_t handshake_sequence = 0;
    bool operator==(const DccpState&) const = default;
};

// What the helper remembered so that the flow can be translated as its master is.
struct ExpectedTranslation {
    std::uint8_t direction = 0;  // of the master, in which the expected flow goes; 0: the original one
    IpAddress address;           // any: none
    std::uint16_t number = 0;    // before translation; 0: none
    bool operator==(const ExpectedTranslation&) const = default;
};
// The name of a function by which a kernel translates ("nat-follow-master"), filled up with zeros; empty:
// none.
using ExpectFunction = std::array<char, 24>;
struct ExpectationState {
    std::uint8_t flags = 0;         // NF_CT_EXPECT_*, of kReplicatedFlags
    std::uint8_t expect_class = 0;  // which of its helper's kinds it is
    std::optional<ExpectedTranslation> translation;
    ExpectFunction function{};

    static constexpr std::uint8_t kReplicatedFlags = 0x1 | 0x2;  // PERMANENT and INACTIVE
    bool operator==(const ExpectationState&) const = default;
};

// Where a translation changed the length of what TCP carries (FTP), the numbers after `position` are shifted.
struct SequenceAdjustment {
    std::uint32_t position = 0, before = 0, after = 0;
    bool operator==(const SequenceAdjustment&) const = default;
};

// What of it changes.
struct FlowState {
    std::uint32_t status = 0;   // IPS_*, of kReplicatedStatus; what is translated says the identity
    std::uint32_t timeout = 0;  // seconds that were left when the kernel said so
    std::uint32_t mark = 0;
    std::array<std::uint8_t, 16> labels{};
    std::optional<std::array<SequenceAdjustment, 2>> sequence;  // of the original direction first
    // Of an expectation only this and the timeout mean something.
    std::variant<std::monostate, TcpState, SctpState, DccpState, ExpectationState> protocol;

    // IPS_EXPECTED, SEEN_REPLY, ASSURED, CONFIRMED and FIXED_TIMEOUT.
    static constexpr std::uint32_t kReplicatedStatus = 0x1 | 0x2 | 0x4 | 0x8 | 0x400;
    bool operator==(const FlowState&) const = default;
};

struct Flow {
    FlowIdentity identity;
    FlowState state;
    bool operator==(const Flow&) const = default;
};

}  // namespace carpd
