// What `carpd: sync` has to do with deferral ([sync] defer; docs/protocol/sync.md, section 10): the
// interfaces as they come and go, frames from the kernel to sync/deferral.h and from there on their way.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "control/sync_status.h"
#include "linux/deferred_frames.h"
#include "linux/link_monitor.h"
#include "sync/deferral.h"

namespace carpd {

class SyncDeferral {
 public:
    // Takes from the system what the process may not take later (linux/sandbox.h). If it can't have that it
    // says so in the log and in figures(), and no packet waits.
    explicit SyncDeferral(const SyncConfig& config);

    // Readable when frames wait; -1: none ever will.
    int fd() const { return frames_ ? frames_->fd() : -1; }
    // At first, when something of the interfaces has changed, and at follow_deadline(): attaches to those
    // that are there.
    void follow(Instant now, const LinkMonitor& links);
    Instant follow_deadline() const { return follow_at_; }
    // Whether packets that leave the interfaces wait.
    void set_active(bool active);

    void on_event(const FlowEvent& event) { deferral_.on_event(event); }
    // When fd() is readable. Before the kernel's events are read, which come before their frames.
    void read(Instant now);
    // Afterwards. `heard_all`: all events that had come were read.
    void release(Instant now, bool heard_all, const SyncHost& host);
    // All that waits leaves, and nothing waits any more.
    void stop(Instant now);

    bool holds_any() const { return !deferral_.is_empty(); }
    // When to call release().
    Instant next_deadline() const { return deferral_.next_deadline(); }
    SyncDeferralFigures figures() const;

 private:
    struct Place {
        std::string name;
        int ifindex = 0;        // 0: not attached
        std::string trouble{};  // why, as it was logged last
    };
    // Why it can't be attached; empty: it is.
    std::string follow(std::size_t place, const LinkMonitor& links);

    std::optional<DeferredFrames> frames_;
    std::string trouble_;  // why there are none
    Deferral deferral_;
    std::vector<Place> places_;  // as frames_ numbers them
    Instant follow_at_ = Instant::min();
    bool active_ = false;
};

}  // namespace carpd
