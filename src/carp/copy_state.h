// Whether a host is demoted because its copy of the flows of its peers is incomplete, so that connections
// would break if it were MASTER (docs/protocol/carp.md §13, rules Y3 to Y6). The driver passes in what the
// process that keeps the copy says, and gives demotion() to Node::demote_for_sync when it changes.
#pragma once

#include "base/time.h"

namespace carpd {

class CopyState {
 public:
    static constexpr int kDemotion = 240;                           // as FreeBSD's pfsync
    static constexpr Duration kSilence = std::chrono::seconds(3);   // of a process that speaks every second
    static constexpr Duration kTakeover = std::chrono::seconds(3);  // what better hosts have to take over
    // Of a host that is no MASTER, once it is complete.
    static constexpr Duration kSettle = std::chrono::milliseconds(500);

    // State synchronisation is configured, or not any more. At first it is not.
    void set_wanted(bool wanted);
    // Another engine on this host has known that until now, and hands over: how demoted the groups are stays.
    void resume(Instant now, bool complete, bool master, bool demoted);
    // The process has said how the copy is.
    void heard(Instant now, bool complete);
    // There is none any more, or another one that has not said yet.
    void ended() { complete_ = false; }
    // Whether the host is MASTER of something.
    void set_master(Instant now, bool master);

    // As of the last word of the process, unless that is too long ago.
    bool is_complete(Instant now) const { return complete_ && now < heard_at_ + kSilence; }
    // How demoted all groups are. It changes with time, too: to be asked every second.
    int demotion(Instant now) const;
    // Of one that is: when it isn't any more if nothing is heard that is new; kNever: as long as it lacks
    // flows.
    Instant demotion_ends(Instant now) const;

 private:
    bool wanted_ = false, complete_ = false, master_ = false;
    Instant heard_at_{};
    Instant fit_at_{};      // of a complete one: when its demotion ends
    Instant settled_at_{};  // of a MASTER: when what it has becomes the truth
};

}  // namespace carpd
