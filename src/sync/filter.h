// Which flows this host tells its peers of (docs/protocol/sync.md, rule W9): those that another host could go
// on with, as far as they are wanted.
//
// A flow is tied to this host if one of its addresses is: ssh to the firewall itself, what its resolver asks,
// connections that are masqueraded to the address of an interface. They end with the host, and on another one
// would only take up room, or a port. And what is sent to all of a link, every kernel there has for itself,
// so that two hosts would argue over whose it is (W2). So no flow is told that has, before or behind a
// translation, one of this host's own addresses that don't move, or a loopback, multicast or broadcast
// address. Shared addresses move with the groups; flows of those are told.
//
// Whoever drives a SyncHost makes one, gives it as SyncHostConfig::tells, and keeps the own addresses up to
// date. A change holds for flows that aren't told yet: what is told stays told until it ends.
#pragma once

#include <bitset>
#include <cstdint>
#include <span>
#include <vector>

#include "wire/flow.h"

namespace carpd {

// Whether a flow that this host doesn't own yet is worth telling: all but TCP connections that nobody has
// answered. One is told at once if it has what later events don't tell: a master, a helper, labels; or if
// `unanswered` ones are wanted, because packets wait for it (F1).
bool is_worth_telling(const Flow& flow, bool unanswered = false);

class FlowFilter {
 public:
    // `ignored` are prefixes without bits behind them, whose flows aren't told; told are those of `protocols`
    // (IPPROTO_*) and `zones`, and TCP that is in one of `tcp_states` (the kernel's numbers), only; where one
    // of these is empty: all.
    FlowFilter(std::span<const InterfaceAddress> ignored, std::span<const std::uint8_t> protocols,
               std::span<const std::uint16_t> zones, std::span<const std::uint8_t> tcp_states,
               bool unanswered = false);

    // All addresses that the host has, and the broadcast addresses of its subnets, but without those that it
    // shares. In place of those before.
    void set_own(std::span<const IpAddress> addresses);

    // Whether the flow is to be told: is_worth_telling, wanted and tied to no host. It is asked
    // for each event of a flow that isn't this host's yet; takes no memory, and time that grows with the
    // logarithm of the numbers of prefixes and addresses.
    bool tells(const Flow& flow) const;

 private:
    bool is_excluded(const IpAddress& address) const;

    std::vector<InterfaceAddress> never_;     // those of every host, and the ignored ones
    std::vector<InterfaceAddress> excluded_;  // with the own ones; sorted, none within another
    std::bitset<256> protocols_, tcp_states_;
    std::vector<std::uint16_t> zones_;  // sorted; empty: all
    bool unanswered_;
};

}  // namespace carpd
