// What a run of carpd that was killed left in the kernel. All of it carries a mark: kOurProtocol, the alias
// of a device, or the name of a filter.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "carp/types.h"
#include "linux/gate_hooks.h"
#include "linux/netlink_socket.h"

namespace carpd {

// On addresses (IFA_PROTO), routes (rtm_protocol) and rules (FRA_PROTOCOL): CARP's IP protocol number.
inline constexpr std::uint8_t kOurProtocol = 112;

class DataPlane;

// What a carpd keeps for the next one with each interface of groups, by ifindex.
std::map<int, std::string> standing_notes(Netlink& netlink);
// How the gates stand that stand now; the best way where there are none.
GateHooks::Way standing_way(Netlink& netlink);

// What carries the mark and isn't `data_plane`'s, which has taken over the rest; and those addresses of
// `groups` that it doesn't hold. Each returned line says what, for the log.
std::vector<std::string> remove_what_is_not_held(Netlink& netlink, const std::vector<GroupConfig>& groups,
                                                 const DataPlane& data_plane);

// Only the addresses, and those of `groups` that somebody configured by hand: that is quick, and harmless to
// a process that uses a data plane, which can renew() them.
void remove_addresses(Netlink& netlink, const std::vector<GroupConfig>& groups);

// Removes it, and the addresses of `groups` that somebody configured by hand. Each returned line says what,
// for the log.
std::vector<std::string> remove_leftovers(Netlink& netlink, const std::vector<GroupConfig>& groups);

}  // namespace carpd
