// ctnetlink's messages of expectations, as values: what conntrack_message.h is for flows that have begun.
//
// What the kernel says of an expectation
// --------------------------------------
// That it is there, in an event and in a dump, tells everything but three things: its zone, so that here it
// has none unless the kernel says one; whether the helper goes on with the expected flow; and that its time
// was set anew. That it is gone it says for every reason: the expected flow began, its time is over, its
// master ended.
//
// What the kernel takes
// ---------------------
// It needs the master, with a helper, and gives the expectation the time that its helper wants; only one that
// is there can be given another. So each is written twice. That changes nothing else of one that is there.
//
//   ENOENT      no such master, or nothing to be removed
//   EOPNOTSUPP  a helper that it hasn't, or the master has none
//   EINVAL      a class, or a function, that it doesn't know
//   EBUSY       another one is in the way; EALREADY: of another master
//   EMFILE      the helper's limit, or the table's (net.netfilter.nf_conntrack_expect_max)
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "linux/conntrack_message.h"

namespace carpd {

// What an event or a dump says of one, for parse_flow(): the attributes, into `event`, whose kind is set.
std::optional<ConntrackRefusal> read_expectation(Bytes attributes, Family family, FlowEvent& event);

// As those of conntrack_message.h. `flow` is an expectation. Makes it, or sets the time that is left of one
// that is there.
std::size_t put_expectation(const Flow& flow, std::uint32_t sequence, std::span<std::uint8_t> out);
std::size_t put_expectation_removal(const FlowIdentity& identity, std::uint32_t sequence,
                                    std::span<std::uint8_t> out);
// Asks for all of them, or those of one family.
std::size_t put_expectation_dump(std::optional<Family> family, std::uint32_t sequence,
                                 std::span<std::uint8_t> out);

}  // namespace carpd
