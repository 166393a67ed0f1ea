// What the engine and `carpd: sync` say to each other, one JSON object a message (linux/message_socket.h).
//
//   engine -> sync
//     {"message":"mastership","master":true,"takeover":7}   when one of both changes, and after each hello
//   supervisor -> sync
//     {"message":"engine_ended"}                this host is MASTER of nothing until the next engine speaks
//     {"message":"settings",...}                the configuration was read again (control/sync_settings.h)
//   sync -> engine
//     {"message":"hello","pid":4711}            one of the two is new: say the mastership again
//     {"message":"copy","incomplete":"starting","peers":2,"peers_up":1}     when it changes, and every second
//     {"message":"committed","takeover":7}      up to this one: what peers told is in the kernel
//   supervisor -> engine, in the name of a sync that can't
//     {"message":"ended"}                       the process died
//
// Both parse what may come from a process that has gone mad: nothing here throws or trusts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/expected.h"
#include "control/helper_message.h"
#include "control/sync_settings.h"
#include "sync/host.h"

namespace carpd {

struct Mastership {
    bool master = false;         // of at least one group
    std::uint64_t takeover = 0;  // rises with groups that became MASTER and wait for their flows; 0: none yet
    bool operator==(const Mastership&) const = default;
};
using ToSync = std::variant<Mastership, EngineEnded, SyncSettings>;

struct SyncGreeting {
    int pid = 0;
    bool operator==(const SyncGreeting&) const = default;
};
// How this host's copy of the peers' flows is, see docs/protocol/sync.md §5.
struct SyncCopy {
    SyncIncomplete incomplete = SyncIncomplete::starting;
    int peers = 0;     // 0..kMostSyncPeers
    int peers_up = 0;  // of them
    bool operator==(const SyncCopy&) const = default;
};
struct SyncCommitted {
    std::uint64_t takeover = 0;
    bool operator==(const SyncCommitted&) const = default;
};
struct SyncEnded {
    bool operator==(const SyncEnded&) const = default;
};
using FromSync = std::variant<SyncGreeting, SyncCopy, SyncCommitted, SyncEnded>;

std::string to_message(const ToSync& message);
std::string to_message(const FromSync& message);

// The error is a sentence for the log.
Expected<ToSync, std::string> parse_to_sync(std::string_view text);
Expected<FromSync, std::string> parse_from_sync(std::string_view text);

}  // namespace carpd
