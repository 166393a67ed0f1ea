// The parent of the engine, and all that carpd's first process does: it waits. When the engine dies or hangs,
// it removes the addresses that the engine left, so that nobody but the next MASTER answers for them, and
// starts another engine. It opens nothing but what the header names below, so an engine begins with a clean
// process. It also keeps the processes beside the engine that the configuration asks for (carpd/keeper.h).
//
//   SIGTERM, SIGINT, SIGHUP -> to the engine           SIGCHLD -> remove what it left, start another
//   SIGUSR1 from the engine -> read the file again     watchdog expired -> remove its addresses, and if it
//                                                      doesn't come back in a second, SIGKILL to it
#pragma once

#include <sys/types.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "carpd/backoff.h"
#include "carpd/engine.h"
#include "carpd/keeper.h"
#include "config/config.h"
#include "linux/unique_fd.h"
#include "linux/watchdog.h"

namespace carpd {

// What either process of carpd exits with (docs/man/carpd.8).
enum ExitCode { kStopped = 0, kFailed = 1, kUsage = 2, kNoPermission = 4, kConfigInvalid = 6 };

class Supervisor {
 public:
    // Runs in the engine's process; returns its exit code.
    using EngineMain = std::function<int(std::shared_ptr<const Config>, const Supervision&)>;

    // `kept` are the helper, sync and web. `path` is read again whenever the engine has read it and before
    // another is started; empty: `config` stays.
    static Expected<Supervisor, SysError> open(std::shared_ptr<const Config> config, std::string path,
                                               EngineMain engine_main, std::array<KeptProcess, 3> kept);

    // Runs until an engine stops in order, or until the first one ends before it is in service, and until the
    // processes beside it have ended, which run the last hooks and tell peers the rest; the engine's exit
    // code is the result. kFailed if the engine was killed then, or while it was stopping.
    int run();

 private:
    Supervisor(std::shared_ptr<const Config> config, std::string path, EngineMain engine_main,
               std::array<Keeper, 3> kept, Watchdog watchdog, UniqueFd signals);

    void start_engine();
    [[noreturn]] void become_engine(pid_t supervisor);
    void start_again();
    void configure_kept();
    bool read_config();
    void wait();
    void handle_signals();
    bool ends(int signal) const;
    void engine_ended(int status);
    void tell_engine_ended() const;
    void fence_late_engine();
    void judge_late_engine();
    std::string_view what_was_removed() const;
    void clean(bool devices);

    std::shared_ptr<const Config> config_;  // the engine uses it where it stands
    std::string path_;
    EngineMain engine_main_;
    std::array<Keeper, 3> kept_;  // helper, sync, web
    Watchdog watchdog_;
    UniqueFd signals_;
    pid_t engine_ = 0;  // 0: none runs
    Instant started_at_{};
    std::string last_end_;  // of the last engine, as describe_end() says it
    Instant ended_at_{};
    Instant judge_at_ = kNever;  // whether an engine that was late came back
    Instant start_again_at_ = kNever;
    Backoff backoff_;
    int restarts_ = 0;
    bool has_served_ = false;  // an engine was in service once
    bool stopping_ = false;    // somebody told us
    std::optional<int> exit_code_;
};

}  // namespace carpd
