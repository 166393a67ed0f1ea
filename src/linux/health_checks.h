// All tracks of a configuration, checked: the helper process waits for fd() and calls wake(), and asks for
// the verdicts. It decides nothing (health/tracker.h does).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "health/tracker.h"
#include "linux/check.h"
#include "linux/sys_error.h"
#include "linux/unique_fd.h"

namespace carpd {

class HealthChecks {
 public:
    static Expected<HealthChecks, SysError> open();

    // The tracks from now on. One whose subject stays keeps its verdict and its figures.
    void configure(Instant now, const std::vector<TrackConfig>& tracks, SharedAddresses shared);

    // Readable when wake() has something to do.
    int fd() const { return epoll_.get(); }
    void wake(Instant now);

    // Every track that was configured, in no order.
    void for_each(
        const std::function<void(const std::string& name, const TrackVerdict& verdict)>& take) const;

 private:
    using Id = std::uint64_t;  // never used twice: events of a track that has gone mean nobody
    struct Track {
        Tracker tracker;
        std::unique_ptr<Check> check;
        int watched = -1;
    };

    HealthChecks(UniqueFd epoll, UniqueFd timer) : epoll_(std::move(epoll)), timer_(std::move(timer)) {}

    // Calls into the track's check, between whose calls what is watched may change.
    void with_check(Id id, Track& track, const std::function<void(Check&)>& call);
    void run_due(Instant now);
    void handle_event(Instant now, Id id);
    void arm_timer();

    UniqueFd epoll_, timer_;
    // Checks keep its address.
    std::unique_ptr<SharedAddresses> shared_ = std::make_unique<SharedAddresses>();
    std::map<Id, Track> tracks_;
    Id next_id_ = 1;
};

}  // namespace carpd
