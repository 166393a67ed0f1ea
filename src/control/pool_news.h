// What is new about how the hosts of a pool agree (rules N10 to N12), for the log and for monitors.
#pragma once

#include <string>
#include <string_view>

#include "carp/actions.h"
#include "carp/types.h"

namespace carpd {

// As the other changes of control/status.h. `leader` is the pool's first group.
std::string monitor_line(const GroupConfig& leader, const ReportPool& report, std::string_view time);
std::string describe(const GroupConfig& leader, const ReportPool& report);
// Whether something is wrong, or well again.
bool is_trouble(PoolNews news);
std::string_view to_identifier(PoolNews news);

}  // namespace carpd
