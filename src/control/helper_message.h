// What the engine and `carpd: helper` say to each other, one JSON object a message (linux/message_socket.h).
//
//   engine, supervisor -> helper
//     {"message":"transition","sequence":7,"time":"...","group":"lan",...,"from":"backup","state":"master",...}
//     {"message":"reasserted",...}     another MASTER was heard, and we stay it
//     {"message":"state",...}          how things are: for a helper or an engine that is new, or missed
//     something
//     {"message":"engine_ended"}       it crashed or was killed, and its addresses were removed
//   helper -> engine
//     {"message":"hello","pid":815}    one of the two is new: tell me how all groups are
//     {"message":"hooks","run":12,"failed":1,"timed_out":0,"missed":0}
//     {"message":"track","track":"uplink","passed":false,"why":"eth1 has no carrier","since_ns":...}
//
// Both parse what may come from a process that has gone mad: nothing here throws or trusts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/expected.h"
#include "carp/node.h"
#include "health/tracker.h"

namespace carpd {

// Something happened to a group, or is so.
struct GroupNews {
    enum class Kind : std::uint8_t { transition, reasserted, state };

    Kind kind = Kind::state;
    std::uint64_t sequence = 0;  // rises with all that happens on this host
    std::string time{};          // wall clock, RFC 3339
    std::string group{}, interface {};
    int vhid = 0;
    std::vector<std::string> addresses{};  // at most kMostAddresses of them
    std::optional<State> from{};           // of a transition
    State state = State::init;             // the new one
    std::string cause{}, reason{};         // for programs, for people
    int demotion = 0;
    std::string rival{};  // whose advertisement caused it; empty: nobody's
    bool operator==(const GroupNews&) const = default;

    static constexpr std::size_t kMostAddresses = 1000;
};

// The configuration is an argument because a group that was removed reports its last transition when the
// Node has forgotten it already. `sequence` and `time` are left to the caller.
GroupNews news_of(const GroupConfig& group, const ReportTransition& report);
GroupNews news_of(const GroupConfig& group, int demotion, const ReportRival& report);
GroupNews news_of(const VirtualHost& group);

struct EngineEnded {
    bool operator==(const EngineEnded&) const = default;
};
using EngineMessage = std::variant<GroupNews, EngineEnded>;

struct HelperHello {
    int pid = 0;
    bool operator==(const HelperHello&) const = default;
};
// Since the helper started.
struct HookFigures {
    std::uint64_t run = 0;        // hooks that ended, however
    std::uint64_t failed = 0;     // of them: those that weren't started, or didn't exit with 0
    std::uint64_t timed_out = 0;  // of these: those that took too long
    std::uint64_t missed = 0;     // events that were left out, because too many waited
    bool operator==(const HookFigures&) const = default;
};
// The verdict on a track: when it changes, and from time to time for its figures.
struct TrackNews {
    std::string track{};
    TrackVerdict verdict{};  // known; both processes read the same clock
    bool operator==(const TrackNews&) const = default;

    static constexpr std::size_t kLongestWhy = 500;  // bytes; what is longer is cut
};
using HelperMessage = std::variant<HelperHello, HookFigures, TrackNews>;

std::string to_message(const EngineMessage& message);
std::string to_message(const HelperMessage& message);

// The error is a sentence for the log.
Expected<EngineMessage, std::string> parse_engine_message(std::string_view text);
Expected<HelperMessage, std::string> parse_helper_message(std::string_view text);

}  // namespace carpd
