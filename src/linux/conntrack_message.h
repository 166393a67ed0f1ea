// ctnetlink's messages, as values: flows (wire/flow.h) out of the bytes that the kernel says, and the bytes
// that put flows into its table. Pure functions; the sockets are in conntrack_events.h, conntrack_dump.h and
// conntrack_table.h, and nothing else speaks ctnetlink.
//
// What the kernel says of a flow
// ------------------------------
// An event names both tuples, the zone, the status, the mark and, unless the flow ended, the timeout. Of the
// rest, that a flow was changed tells only what changed: FlowEvent says what was there, and update() brings
// what one knew up to date. That a flow was created, and an entry of a dump, tell everything. An expected
// flow's master is told when it is created and in dumps only. That a helper begins to shift a connection's
// sequence numbers, because it writes another address into what passes, no event tells: only who asks for the
// flow is told. So the original tuple and the zone, which no
// two flows share, name a flow; its whole identity doesn't.
//
// What the kernel refuses
// -----------------------
//   EOPNOTSUPP  translation or master for an entry that exists; a helper that it hasn't (each try to load it
//               costs a modprobe), or for an entry that was created without one
//   EBUSY       taking SEEN_REPLY or ASSURED away, changing EXPECTED, another helper
//   EEXIST      the reply tuple is another flow's
//   ENOENT      no such entry: to be updated, removed, or to be the master
//   EINVAL      a TCP or SCTP state it doesn't know, an ICMP type that has no answer
//   ENOMEM      the table is full
//   ENOSPC      labels where no rule of this host uses any: all else was done
// It neither looks at the reply tuple of an entry that exists and is to be updated, nor tells: whoever knows
// that another is there removes it first. TCP's windows can't be set; it learns them from the next packets,
// and wrongly if the first of them is old: an acknowledgement of what passed another host is invalid then,
// for ever. So every TCP flow is written as BE_LIBERAL, by which packets outside of the window aren't
// invalid. IPS_OFFLOAD can't be set either, so an offloaded flow is injected as an ordinary one. Labels that
// were set can be added to by update messages, but not all of them taken away.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/expected.h"
#include "wire/flow_event.h"

namespace carpd {

// Why a message is no flow. Each is a counter of whoever reads.
enum class ConntrackRefusal : std::uint8_t {
    truncated,       // shorter than it says
    not_a_flow,      // another kind of message
    unknown_family,  // neither IPv4 nor IPv6
    malformed,       // an attribute has a length or value that it can't have
    incomplete,      // a tuple or address is missing
    one_way_zone,    // a zone of one direction only, which wire/flow.h doesn't have
};
inline constexpr std::size_t kConntrackRefusals = 6;
std::string_view to_string(ConntrackRefusal refusal);

// The next of the netlink messages in `bytes`, by which it shortens them; nothing if no whole one is left.
std::optional<Bytes> next_message(Bytes& bytes);

// One message, its header included; of an expectation, too (conntrack_expectation.h). The status is without
// the bits that aren't replicated, TCP's flags too.
Expected<FlowEvent, ConntrackRefusal> parse_flow(Bytes message);

// TCP's flags that hold on another host: WINDOW_SCALE, SACK_PERM, CLOSE_INIT and SIMULTANEOUS_OPEN. The
// others speak of numbers that another host's entry hasn't; BE_LIBERAL, of how it was made.
inline constexpr std::uint8_t kReplicatedTcpFlags = 0x01 | 0x02 | 0x04 | 0x80;

// Messages to the kernel, written to the beginning of `out`; they return their length, a multiple of four, so
// that one can be written behind another. `out` has room for the longest.
inline constexpr std::size_t kLongestConntrackMessage = 512;

// Creates the flow; or, if there is one with this original tuple in this zone and this one has neither
// translation nor master nor helper, updates it.
std::size_t put_create(const Flow& flow, std::uint32_t sequence, std::span<std::uint8_t> out);
// Updates the state of a flow that is there. A helper that is named learns that it missed packets (FTP's
// would wait for ever for the end of a line that passed another host); it must be the one that the flow has.
std::size_t put_update(const Flow& flow, std::uint32_t sequence, std::span<std::uint8_t> out);
// Removes the flow of which `tuple` is either direction.
std::size_t put_remove(const FlowTuple& tuple, std::uint16_t zone, std::uint32_t sequence,
                       std::span<std::uint8_t> out);
// Asks for the flow of which `tuple` is either direction.
std::size_t put_get(const FlowTuple& tuple, std::uint16_t zone, std::uint32_t sequence,
                    std::span<std::uint8_t> out);
// Asks for all flows, or those of one family.
std::size_t put_dump(std::optional<Family> family, std::uint32_t sequence, std::span<std::uint8_t> out);
// Has the last message written answered, not only if it is refused.
void ask_for_answer(std::span<std::uint8_t> message);

}  // namespace carpd
