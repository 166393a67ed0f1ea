// The process `carpd: helper`, which runs what the administrator wrote (hooks) and checks what is to be
// watched (tracks), so that no script and no service is in the way of an advertisement. It has normal
// priority and no rights that the engine needs; it may hang, crash or be killed without any effect on CARP.
// The supervisor keeps it (carpd/keeper.h).
//
//   engine -> news of groups, for hook_queue.h      SIGHUP      -> read the file again
//   tracks -> verdicts, for the engine
//   hooks  -> figures, for the engine's status      kEndSignal, or nobody has the engine's end of the socket
//                                                               -> run what waits, and end
//
// SIGTERM and SIGINT, which systemd and terminals send to all processes at once, it ignores: the engine is
// still bowing out then.
#pragma once

#include <csignal>
#include <map>
#include <string>

#include "carpd/helper_tracks.h"
#include "carpd/hook_queue.h"
#include "config/config.h"
#include "control/helper_message.h"
#include "linux/message_socket.h"
#include "linux/script.h"
#include "linux/unique_fd.h"

namespace carpd {

class Helper {
 public:
    // From being told to end: what the last hooks may take, and to be killed if they don't end.
    static constexpr Duration kMostForLastHooks = std::chrono::seconds(5);
    static constexpr Duration kMostToFinish = kMostForLastHooks + ScriptRunner::kGrace;

    // `path` is read again on SIGHUP, which the caller blocks beforehand, as well as kEndSignal, SIGTERM and
    // SIGINT.
    static Expected<Helper, SysError> open(const Config& config, std::string path, MessageSocket engine);

    void run();

 private:
    Helper(const Config& config, std::string path, MessageSocket engine, UniqueFd signals,
           ScriptRunner runner, HelperTracks tracks);

    void wait();
    void handle_signals();
    void reload();
    void apply(const Config& config);
    void hear_engine();
    void handle_message(std::string_view text);
    void say_hello() const;
    void run_hooks();
    void hook_ended(const HookRun& run, const ScriptEnd& end);
    void begin_to_end();
    bool has_ended() const;

    std::string path_;
    MessageSocket engine_;
    UniqueFd signals_;
    ScriptRunner runner_;
    HelperTracks tracks_;
    HookQueue queue_;
    std::map<ScriptRunner::RunId, HookRun> runs_;
    HookFigures figures_;
    Instant now_;
    bool has_heard_all_ = false;  // nothing is left to be read
    bool is_ending_ = false;
    bool is_over_ = false;            // whatever runs is ended, and what waits is given up
    Instant stop_hooks_at_ = kNever;  // when it will be
};

}  // namespace carpd
