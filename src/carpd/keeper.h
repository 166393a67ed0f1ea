// The supervisor's part for a process beside the engine, `carpd: helper` (carpd/helper.h) or `carpd: sync`
// (carpd/sync_process.h): it starts one where the configuration asks for it and another when that dies. What
// becomes of such a process doesn't stop the engine. One that exits with 0 wants to be started anew, with the
// configuration as it is by then.
//
// It has both ends of the sockets by which engine and process talk, so that either may die and be replaced.
// The process ends by itself when nobody has the engine's end any more: neither we nor an engine.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "carpd/backoff.h"
#include "config/config.h"
#include "control/hand_over.h"
#include "linux/message_socket.h"

namespace carpd {

struct KeptProcess {
    std::string name;  // "helper": ps shows "carpd: helper"
    std::function<bool(const Config&)> wanted;
    // Runs in the process, which has its end of the sockets and no other descriptor of ours; returns its exit
    // code.
    std::function<int(const Config&, MessageSocket)> main;
    Duration most_to_end;  // from being told to; then it hangs and is killed
    // What it is told over the sockets when the configuration was read again. Without, it reads the file by
    // itself, on SIGHUP.
    std::function<std::string(const Config&)> settings;
    // The path of a socket that it can't remove when it ends. Without, there is none.
    std::function<std::string(const Config&)> leaves;
    // What is said in another's name, who can't any more: to the process when an engine died and its
    // addresses were removed; to the engine when the process has ended. Empty: nothing.
    std::string engine_ended, ended;
};

class Keeper {
 public:
    static Expected<Keeper, SysError> open(KeptProcess process);
    // In the place of another supervisor, whose process goes on until replace(): of what memory() said there.
    static Keeper inherit(KeptProcess process, const KeptMemory& memory, const Config& config);
    KeptMemory memory() const;
    const std::string& name() const { return process_.name; }
    // Ends the process, and starts one of this program where the configuration asks for it.
    void replace(const Config& config);

    // The configuration was read: starts a process, tells it, or ends it.
    void configure(const Config& config);
    // Whether it has died; to be asked after each SIGCHLD.
    void reap();
    // When to call wake().
    Instant next_deadline() const;
    void wake(const Config& config);
    void tell_engine_ended() const;
    // In the engine's process, before it does anything else: its end of the sockets.
    MessageSocket& become_engine();
    // There will be no engine any more. begin_to_finish() tells the process, and finish() waits for its end.
    void begin_to_finish() { engine_end_.close(); }
    void finish();

 private:
    Keeper(KeptProcess process, MessageSocket engine_end, MessageSocket own_end)
        : process_(std::move(process)), engine_end_(std::move(engine_end)), own_end_(std::move(own_end)) {}

    void start(const Config& config);
    bool tell(const Config& config);
    void end();
    void end_hanging();
    void clean_up();

    KeptProcess process_;
    MessageSocket engine_end_, own_end_;
    pid_t pid_ = 0;  // 0: none runs
    bool wanted_ = false;
    Instant started_at_{};
    Instant start_again_at_ = kNever;
    Instant kill_at_ = kNever;  // it was told to end
    Backoff backoff_;
    std::string left_;  // path of the running process's socket, or empty
};

}  // namespace carpd
