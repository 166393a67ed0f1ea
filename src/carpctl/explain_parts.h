// What the parts of carpctl/explain.h share.
#pragma once

#include <string>

#include "carp/election.h"
#include "carpctl/explain.h"
#include "carpctl/parts.h"

namespace carpd {

// Who demotes a group, a sentence each.
void explain_demotions(const Json& group, const Facts& facts, Reasons& out);

// What a carpnode is in its pool, and who serves its share; nothing of other groups.
void explain_pool(const Json& group, Reasons& out);

// "the check uplink fails (eth1 has no carrier) for 5.0 s"
std::string track_trouble(const std::string& name, const Json& status);

// How much of what its peers own this host has: "34 % are here". Empty where that isn't known.
std::string share_held(const Json& sync_status);

}  // namespace carpd
