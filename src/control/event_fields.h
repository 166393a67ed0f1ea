// What the journal keeps of a change beside its line, for `journalctl CARP_GROUP=lan` and for programs
// (docs/man/carpd.8, SYSTEMD). Names and ids are a promise: added freely, never changed.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "carp/actions.h"

namespace carpd {

// Names and values; MESSAGE_ID is among them.
using EventFields = std::vector<std::pair<std::string_view, std::string>>;

EventFields event_fields(const GroupConfig& group, const ReportTransition& report);
EventFields event_fields(const GroupConfig& group, const ReportRival& report);
EventFields event_fields(const GroupConfig& group, const ReportHeld& report);
EventFields event_fields(const GroupConfig& group, const ReportDemotion& report);
EventFields event_fields(const GroupConfig& group, const ReportUncommitted& report);
EventFields event_fields(const GroupConfig& group, const ReportPeer& report);

}  // namespace carpd
