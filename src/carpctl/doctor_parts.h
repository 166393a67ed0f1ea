// What the parts of carpctl/doctor.h share: each adds what it finds.
#pragma once

#include "carpctl/doctor.h"
#include "carpctl/parts.h"

namespace carpd {

// Of one element of the status's groups: what it refuses, who else is there, how it stands on its interface.
void judge_refusals(const Json& group, const Case& known, Troubles& out);
void judge_lan(const Json& group, const Case& known, Troubles& out);
void judge_peers(const Json& group, Troubles& out);
void judge_querier(const Json& group, const Case& known, Troubles& out);  // after judge_lan()
void judge_interface(const Json& group, const Case& known, Troubles& out);
// Of carpd itself, its configuration, and the host.
void judge_config(const Case& known, Troubles& out);
void judge_daemon(const Case& known, Troubles& out);
void judge_host(const Case& known, Troubles& out);

// An element of `now`'s groups as it was in the status before, or null if it wasn't there.
const Json& group_before(const Json& group, const Case& known);
// Hosts of the group whose multicast came here and has stopped, by their own addresses; who of them answers
// is asked before it is judged.
std::vector<IpAddress> hosts_that_stopped(const Json& group);
// How the platform that this host runs on lets foreign MACs pass; ends with a full stop.
std::string foreign_mac_advice(const std::string& platform);

}  // namespace carpd
