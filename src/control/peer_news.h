// What is new about another host of a group that runs carpd (carp/group_peers.h), for the log and for
// monitors.
#pragma once

#include <string>
#include <string_view>

#include "carp/actions.h"
#include "carp/types.h"

namespace carpd {

// As the other changes of control/status.h.
std::string monitor_line(const GroupConfig& group, const ReportPeer& report, std::string_view time);
//   lan: fw2 (192.0.2.2) doesn't hear us; ...
std::string describe(const GroupConfig& group, const ReportPeer& report);
// Whether something is wrong, or well again.
bool is_trouble(PeerNews news);
std::string_view to_identifier(PeerNews news);

}  // namespace carpd
