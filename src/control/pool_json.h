// The part of a pool that stands in the status of its carpnodes (control/status.cc).
#pragma once

#include "carp/node.h"
#include "control/json.h"

namespace carpd {

// Null where the group is no carpnode.
Json balance_of(const Node& node, const VirtualHost& group);

}  // namespace carpd
