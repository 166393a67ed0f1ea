// The part of status_of() that tells of a group's other hosts.
#pragma once

#include <string>

#include "carp/node.h"
#include "control/json.h"
#include "control/object_text.h"

namespace carpd {

// "hosts": those that sent beacons; null where the group has none.
JsonText hosts_of(const Node& node, GroupId group, Instant now);
// "fingerprint": of its list of addresses, as other hosts have theirs; null likewise.
Json fingerprint_of(const Node& node, GroupId group);
// "host": this one, as they know it; its name and its id.
Json this_host(const Node& node);

}  // namespace carpd
