// Runs programs that an administrator names (hooks, checks) without ever waiting for one. What they do costs
// whoever runs them a bounded amount of memory, time and work per wake().
//
// A program gets no shell, a session and process group of its own, /dev/null to read from, and for standard
// output and error one pipe, of which the first kKept bytes are remembered and the rest is thrown away. It
// begins with default signals, normal scheduling and an OOM score of 0, and with no descriptor but these.
// When it ends, whatever it started that is still in its process group is killed. What left the group by
// setsid(2), as daemons do, lives on; its output goes nowhere. If we die, the kernel kills the program (not
// what it started).
//
// One that runs for longer than it may gets SIGTERM, and kGrace later SIGKILL, each with its whole group.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/expected.h"
#include "base/time.h"
#include "linux/sys_error.h"
#include "linux/unique_fd.h"

namespace carpd {

struct Script {
    std::vector<std::string> argv;         // at least one; the first is the program's path
    std::vector<std::string> environment;  // NAME=value; nothing else is in it
    Duration timeout;
    // As a child of any daemon: its output goes where ours does, and what it started may outlive it.
    bool is_free = false;
};

struct ScriptEnd {
    enum class How : std::uint8_t {
        exited,
        killed,       // by a signal that wasn't ours
        timed_out,    // and was ended by us, if it didn't end at the last moment by itself
        stopped,      // by stop_all()
        not_started,  // execve(2) or fork(2) failed
    };
    How how;
    int code;  // exit code, signal's number or errno; of one that timed out or was stopped: 0
    Duration duration;
    std::string output;  // the first line that isn't empty, as it came: see printable() in linux/log.h

    bool succeeded() const { return how == How::exited && code == 0; }
    // "exited with 3 after 12 ms: no such table", "did not end within its time and was killed after ..."
    std::string to_string() const;
};

class ScriptRunner {
 public:
    using RunId = std::uint64_t;  // never used twice
    using OnEnd = std::function<void(RunId, const ScriptEnd&)>;

    static constexpr std::size_t kKept = 4096;
    static constexpr Duration kGrace = std::chrono::seconds(2);

    static Expected<ScriptRunner, SysError> open();

    ScriptRunner(ScriptRunner&&) noexcept = default;
    ScriptRunner& operator=(ScriptRunner&&) = delete;
    // Kills what still runs, with its groups.
    ~ScriptRunner();

    // Of one that can't be started, too, the end is told by wake().
    RunId start(const Script& script, Instant now);
    // SIGTERM to all that run, and SIGKILL after the grace. Their ends are told by wake().
    void stop_all(Instant now);
    std::size_t running() const { return runs_.size(); }

    // To be polled; call wake() when it is readable, and when next_deadline() has come.
    int fd() const { return epoll_.get(); }
    Instant next_deadline() const;
    // `on_end` is called once for each run that has ended; it may start others.
    void wake(Instant now, const OnEnd& on_end);

 private:
    struct Run {
        pid_t pid = 0;        // and its process group's id; 0: there is none
        UniqueFd pidfd;       // readable when it has ended
        UniqueFd output;      // what it prints; none any more when all of it has been read
        UniqueFd exec_error;  // errno, if execve() failed
        std::string kept;
        bool is_free = false;
        Instant started;
        Instant deadline;                             // of its time, then of the grace
        ScriptEnd::How how = ScriptEnd::How::exited;  // what we did to it
        int error = 0;                                // why it could not even be forked
    };

    explicit ScriptRunner(UniqueFd epoll) : epoll_(std::move(epoll)) {}

    int launch(const Script& script, Run& run, RunId id);
    void read_output(Run& run);
    bool has_ended(const Run& run) const;
    ScriptEnd collect(Run& run, Instant now);

    UniqueFd epoll_;
    std::map<RunId, Run> runs_;
    RunId next_id_ = 1;
};

}  // namespace carpd
