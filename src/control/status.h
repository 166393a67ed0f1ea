// What carpd tells of itself: the JSON of `carpctl status` and `carpctl monitor`, and the same changes as
// sentences for the log. Keys are a promise (docs/man/carpctl.8): added freely, never renamed; units stand in
// the key.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "carp/node.h"
#include "control/helper_message.h"
#include "control/request.h"
#include "control/sync_message.h"
#include "health/verdicts.h"

namespace carpd {

// `carpd: helper`, as the engine knows it.
struct HelperStatus {
    int pid = 0;                         // of the one that last said hello; 0: none has yet
    std::uint64_t messages_lost = 0;     // by the engine, because the helper didn't read
    std::uint64_t messages_refused = 0;  // of the helper, because they made no sense
    HookFigures hooks;
};

// `carpd: sync`, likewise.
struct SyncProcessStatus {
    int pid = 0;                         // 0: none has said hello, or it has died
    std::string incomplete;              // why its copy isn't complete; "no": it is
    SyncCopy copy;                       // as it said last
    int demotion = 0;                    // of all groups, for that
    std::uint64_t takeover = 0;          // the last of which it was told
    std::uint64_t committed = 0;         // the last of which it said that it is
    std::uint64_t messages_refused = 0;  // because they made no sense
    Instant demotion_ends = kNever;      // as CopyState says it
};

// carpd's processes.
struct Processes {
    int engine_pid = 0;
    int supervisor_pid = 0;
    int restarts = 0;                      // of the engine, since the supervisor started
    Duration running{0};                   // the engine, which counts
    std::optional<HelperStatus> helper{};  // nothing where there is none to be
    std::optional<SyncProcessStatus> sync{};
    std::span<const Request> kept{};  // demotions that outlive them
};

// Why a group is in its state, or came into it, for people.
std::string reason_of(const VirtualHost& group);
// The same, where what is known of the checks is at hand: one without a result counts as failed (rule H3),
// but did not fail.
std::string reason_of(const VirtualHost& group, const Verdicts& verdicts);
std::string reason_of(const ReportTransition& report);

// The answer to a status request, in parts that are one line together: the engine of thousands of groups does
// other things between them: head, groups, kStatusPools, pools (control/pool_status.h), tail, with commas
// between groups and between pools. `dataplane` is "bpf" where the kernel enforces the
// leases, or else "macvlan" or "scripts".
std::string status_head(const Processes& processes, Instant now);
std::string status_of(const Node& node, const VirtualHost& group, Instant now, std::string_view dataplane);
// What an overview of thousands of groups needs, in a fifth of the bytes: some of the keys of status_of(),
// and of counters those of advertisements and the packets that were refused, if any were.
std::string brief_status_of(const Node& node, const VirtualHost& group, Instant now,
                            std::string_view dataplane);
// Likewise what tells of a group's hosts.
std::string peers_status_of(const Node& node, const VirtualHost& group, Instant now);
inline constexpr std::string_view kStatusPools = "],\"pools\":[";
std::string status_tail(const Node& node, const Verdicts& verdicts, Instant now);

// A change, as a monitor gets it. `time` is the wall clock as text (RFC 3339, milliseconds); the core knows
// none. The configuration is an argument because a group that was removed reports its last transition when
// the Node has forgotten it already.
std::string monitor_line(const GroupConfig& group, const ReportTransition& report, std::string_view time);
std::string monitor_line(const GroupConfig& group, const ReportRival& report, std::string_view time);
std::string monitor_line(const GroupConfig& group, const ReportHeld& report, std::string_view time);
std::string monitor_line(const GroupConfig& group, const ReportDemotion& report, const Verdicts& verdicts,
                         std::string_view time);
std::string monitor_line(const GroupConfig& group, const ReportUncommitted& report, std::string_view time);

// The same for people, in the BSDs' words:
//   lan: BACKUP -> MASTER (master timed out), after 3.4 s in BACKUP
//   lan: MASTER -> BACKUP (more frequent advertisement received) from 192.0.2.2 (advbase 1 advskew 0), after
//   2 h 5 min ...
std::string describe(const GroupConfig& group, const ReportTransition& report);
std::string describe(const GroupConfig& group, const ReportRival& report);
std::string describe(const GroupConfig& group, const ReportHeld& report);
std::string describe(const GroupConfig& group, const ReportDemotion& report, const Verdicts& verdicts);
std::string describe(const GroupConfig& group, const ReportUncommitted& report);
//   track uplink fails: eth1 has no carrier
//   track uplink passes: eth1 is up, after 2 h 5 min
// `before` is when the last verdict was made, if there was one.
std::string describe(const std::string& track, const TrackVerdict& verdict, std::optional<Instant> before);

}  // namespace carpd
