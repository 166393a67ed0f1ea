// The supervisor's part for `carpd: helper`, the process that runs what the administrator wrote
// (carpd/helper.h): it starts one where the configuration asks for it and another when that dies. What
// becomes of a helper changes nothing for the engine.
//
// It has both ends of the sockets by which engine and helper talk, so that either may die and be replaced.
// A helper ends by itself when nobody has the engine's end any more: neither we nor an engine.
#pragma once

#include <sys/types.h>

#include <functional>

#include "carpd/backoff.h"
#include "config/config.h"
#include "linux/message_socket.h"

namespace carpd {

class HelperKeeper {
 public:
    // Runs in the helper's process, which has its end of the sockets and no other descriptor of ours; returns
    // its exit code.
    using Main = std::function<int(const Config&, MessageSocket)>;

    static Expected<HelperKeeper, SysError> open(Main main);

    // The configuration was read: starts a helper, has it read the file again, or ends it.
    void configure(const Config& config);
    // Whether it has died; to be asked after each SIGCHLD.
    void reap();
    // When to call wake().
    Instant next_deadline() const;
    void wake(const Config& config);
    // An engine died and its addresses were removed, which it can't tell any more.
    void tell_engine_ended() const;
    // In the engine's process, before it does anything else: its end of the sockets.
    MessageSocket& become_engine();
    // There will be no engine any more. Waits for the helper to run the last hooks, and kills one that takes
    // longer than it may.
    void finish();

 private:
    HelperKeeper(Main main, MessageSocket engine_end, MessageSocket helper_end)
        : main_(std::move(main)), engine_end_(std::move(engine_end)), helper_end_(std::move(helper_end)) {}

    void start(const Config& config);

    Main main_;
    MessageSocket engine_end_, helper_end_;
    pid_t helper_ = 0;  // 0: none runs
    bool wanted_ = false;
    Instant started_at_{};
    Instant start_again_at_ = kNever;
    Instant kill_at_ = kNever;  // it was told to end
    Backoff backoff_;
};

}  // namespace carpd
