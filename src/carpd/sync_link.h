// The engine's end of what it and `carpd: sync` say to each other (control/sync_message.h). The engine never
// waits: what the socket can't take is said as soon as it can. So in the end the process knows whether this
// host is MASTER, and which takeovers wait, whichever of the two was away or slow.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "carp/copy_state.h"
#include "carpd/message_link.h"
#include "control/hand_over.h"
#include "control/status.h"
#include "control/sync_message.h"
#include "linux/log.h"

namespace carpd {

class SyncLink {
 public:
    // `socket` outlives it.
    static Expected<SyncLink, SysError> open(MessageSocket& socket);

    // Readable when there is something for wake().
    int fd() const { return link_.fd(); }
    // Whether there is such a process, or should be: otherwise nothing is said, and nobody demoted.
    void set_wanted(bool wanted);

    // What another engine on this host needs in order to go on; nothing where there is no such process. And
    // in that one, in the place of the first set_wanted(): how demoted the groups are stays.
    std::optional<SyncMemory> memory(Instant now) const;
    void resume(Instant now, const SyncMemory& memory, bool master, bool demoted);

    // Groups became MASTER and wait for their flows. Returns the number under which committed() tells of
    // them: higher than any before, of earlier engines, too.
    std::uint64_t begin_takeover();
    // Whether the host is MASTER of something. Says what is new.
    void tell(Instant now, bool master);
    void wake(Instant now) { hear(now, kMessagesAtOnce); }
    // In a new engine, before it does anything: takes what was said to it already.
    void catch_up(Instant now) { hear(now, kMessagesToCatchUp); }

    // The flows of all takeovers up to this one are in the kernel; 0: of none.
    std::uint64_t committed() const { return status_.committed; }
    // How demoted the groups are (CopyState).
    int demotion(Instant now) const { return copy_.demotion(now); }
    // Nothing where state synchronisation isn't configured.
    std::optional<SyncProcessStatus> status(Instant now) const;

 private:
    explicit SyncLink(MessageLink link) : link_(std::move(link)) {}

    static constexpr int kMessagesAtOnce = 16, kMessagesToCatchUp = 4096;

    void say();
    void hear(Instant now, int at_most);
    void handle(Instant now, std::string_view text);
    void refuse(Instant now, std::string_view why);
    void handle(Instant now, const SyncGreeting& hello);
    void handle(Instant now, const SyncCopy& copy);
    void handle(Instant now, const SyncCommitted& committed);
    void handle(Instant now, const SyncEnded& ended);

    MessageLink link_;
    bool wanted_ = false;
    bool has_spoken_ = false;  // the process, of its copy
    Mastership mastership_;
    std::optional<Mastership> told_;  // nothing: the process is new, or not there
    CopyState copy_;
    SyncProcessStatus status_;
    LogLimit log_limit_{3, std::chrono::seconds(30)};
};

}  // namespace carpd
