// The timer by which the supervisor sees that the engine hangs: both processes hold it, the engine pushes it
// ahead, and it expires only if the engine doesn't. A kernel timer rather than a time in shared memory, so
// that nobody has to be woken to learn that it moved.
#pragma once

#include "base/expected.h"
#include "base/time.h"
#include "linux/sys_error.h"
#include "linux/unique_fd.h"

namespace carpd {

class Watchdog {
 public:
    // Disarmed. Call it before the fork.
    static Expected<Watchdog, SysError> open();

    // As another program in this process had it.
    static Watchdog inherited(UniqueFd timer) { return Watchdog(std::move(timer)); }

    void arm(Instant at);
    void disarm();
    bool is_armed() const;
    // Whether it has expired since it was armed, or since this was asked last; then it is not armed any more.
    bool expired();
    // Readable when it has expired.
    int fd() const { return timer_.get(); }

 private:
    explicit Watchdog(UniqueFd timer) : timer_(std::move(timer)) {}

    UniqueFd timer_;
};

}  // namespace carpd
