// Programs run by the lab: started in a network namespace, ended with the lab. A child never outlives us: it
// is killed by its owner's destructor, and by the kernel when the thread that started it dies (so start them
// from a thread that stays).
#pragma once

#include <sys/types.h>

#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include "lab/clock.h"
#include "linux/unique_fd.h"

namespace carpd::lab {

class Namespace;

struct Command {
    std::vector<std::string> argv{};
    const Namespace* in = nullptr;  // where to run; null: where we are
    std::string input{};            // on its standard input
    // /dev/null over /dev/console, for programs that use syslog(3): without a syslog daemon that writes to
    // the console, and a slow serial console stalls a CPU for seconds.
    bool quiet_console = false;
    int output = -1;  // a descriptor for its standard output; -1: kept in memory
};

// A running child and what it printed. Each is the leader of a process group of its own, so that Ctrl-C
// reaches us only.
class Process {
 public:
    explicit Process(const Command& command);
    Process(Process&&) noexcept;
    Process& operator=(Process&&) noexcept;
    ~Process();  // SIGKILL to the whole group, if it still runs

    pid_t pid() const { return pid_; }
    void signal(int number);        // to the process
    void signal_group(int number);  // and to the children it started
    // The exit code, or 128 + the signal that ended it; nothing if it still runs after `patience`.
    std::optional<int> wait(Span patience);
    bool running() { return !wait(0s).has_value(); }
    std::string output() const;  // standard output so far, unless Command::output took it
    std::string errors() const;  // standard error so far

 private:
    pid_t pid_ = -1;
    UniqueFd pidfd_, output_, errors_;
    std::optional<int> exit_code_;
};

struct Result {
    int exit_code = 0;
    std::string output, errors;
};

// Runs a command to its end, at most `patience` long (then it throws).
Result run(const Command& command, Span patience = 20s);
// The same, and throws unless it exits with 0. Returns its output.
std::string run_checked(const Command& command);

}  // namespace carpd::lab
