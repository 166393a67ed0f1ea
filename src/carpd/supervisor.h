// The parent of the engine, and all that carpd's first process does: it waits. When the engine dies or hangs,
// it removes the addresses that the engine left, so that nobody but the next MASTER answers for them, and
// starts another engine. It opens nothing but what the header names below, so an engine begins with a clean
// process. It also keeps the processes beside the engine that the configuration asks for (carpd/keeper.h).
//
//   SIGTERM, SIGINT, SIGHUP -> to the engine           SIGCHLD -> remove what it left, start another
//   SIGUSR2 from the engine -> become another program, whose engine takes over (supervisor_upgrade.cc)
//   SIGUSR1 from the engine -> read the file again     watchdog expired -> remove its addresses, and if it
//                                                      doesn't come back in a second, SIGKILL to it
#pragma once

#include <sys/types.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "carpd/backoff.h"
#include "carpd/engine.h"
#include "carpd/keeper.h"
#include "config/config.h"
#include "linux/unique_fd.h"
#include "linux/watchdog.h"

namespace carpd {

// What either process of carpd exits with (docs/man/carpd.8).
enum ExitCode { kStopped = 0, kFailed = 1, kUsage = 2, kNoPermission = 4, kConfigInvalid = 6 };
// Of an engine whose groups go on in another one.
inline constexpr int kHandedOver = 7;

// What has to be run in order to become this program again.
struct Program {
    std::string file;
    std::vector<std::string> arguments;  // with its name
};

class Supervisor {
 public:
    // Runs in the engine's process; returns its exit code.
    using EngineMain = std::function<int(std::shared_ptr<const Config>, const Supervision&)>;

    // `kept` are the helper, sync and web. `path` is read again whenever the engine has read it and before
    // another is started; empty: `config` stays.
    // `lock` is kept as long as the program.
    static Expected<Supervisor, SysError> open(std::shared_ptr<const Config> config, std::string path,
                                               EngineMain engine_main, std::array<KeptProcess, 3> kept,
                                               Program program, UniqueFd lock);
    // In the place of the program that was this process until now. The engine that it left serves until one
    // of this program has taken over, and goes on if none can.
    static Expected<Supervisor, SysError> inherit(std::shared_ptr<const Config> config, std::string path,
                                                  EngineMain engine_main, std::array<KeptProcess, 3> kept,
                                                  Program program, const SupervisorMemory& memory);

    // Runs until an engine stops in order, or until the first one ends before it is in service, and until the
    // processes beside it have ended, which run the last hooks and tell peers the rest; the engine's exit
    // code is the result. kFailed if the engine was killed then, or while it was stopping.
    int run();

 private:
    // The ends of the sockets by which an engine's successor talks to it.
    struct Succession {
        MessageSocket engine_end, own_end;
    };
    // All that was opened.
    struct Kernel {
        std::array<Keeper, 3> kept;  // helper, sync, web
        Watchdog watchdog;
        UniqueFd lock, signals;
        Succession succession, next_succession;  // of the engine, and of its successor
    };

    Supervisor(std::shared_ptr<const Config> config, std::string path, EngineMain engine_main,
               Program program, Kernel kernel);

    static Expected<UniqueFd, SysError> open_own_signals();

    void start_engine();
    [[noreturn]] void become_engine(pid_t supervisor, bool takes_over);
    void begin_upgrade();
    [[noreturn]] void become_check();
    void reap_check();
    void become_program();
    void refuse_upgrade(const std::string& why);
    void start_successor();
    void end_successor();
    void reap_successor();
    void succeed();
    void judge_upgrade();
    void start_again();
    void configure_kept();
    bool read_config();
    void wait();
    void handle_signals();
    bool ends(int signal) const;
    void reap_engine();
    void engine_ended(int status);
    void tell_engine_ended() const;
    void fence_late_engine();
    void judge_late_engine();
    std::string_view what_was_removed() const;
    void clean(bool devices);

    std::shared_ptr<const Config> config_;  // the engine uses it where it stands
    std::string path_;
    EngineMain engine_main_;
    Program program_;
    std::array<Keeper, 3> kept_;  // helper, sync, web
    Watchdog watchdog_;
    UniqueFd lock_, signals_;
    Succession succession_, next_succession_;
    pid_t engine_ = 0;          // 0: none runs
    pid_t check_ = 0;           // the new program, looking at the configuration
    pid_t successor_ = 0;       // an engine that is about to take over
    pid_t dead_successor_ = 0;  // the last one that ended before it could, and its wait status
    int dead_successor_status_ = 0;
    bool upgrades_again_ = false;     // as soon as that one has
    Instant upgrade_until_ = kNever;  // when the one or the other has hung
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
