// What the daemon asks of the kernel for itself: rights, priority, memory, being the only one.
#pragma once

#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/expected.h"
#include "base/time.h"
#include "linux/sys_error.h"
#include "linux/unique_fd.h"

namespace carpd {

// The name of a capability that carpd needs and this process doesn't have ("CAP_NET_ADMIN"), if any. Those
// for loading BPF programs only if that is asked for.
std::optional<std::string> missing_capability(bool loads_bpf = false);

// Real-time priorities: above everything that isn't real-time, below what the administrator finds more urgent
// (interrupt threads are at 50). The supervisor must be able to end an engine that spins.
inline constexpr int kEnginePriority = 20;
inline constexpr int kSupervisorPriority = kEnginePriority + 1;

// For what takes long before that: more of the processors than others get, behind all that is real-time. The
// kernel checks our BPF programs for some 0.4 s; another carpd of this machine (carpd@.service) may serve
// meanwhile.
void go_before_others();

// Real-time priority and all memory locked (neither is inherited by children), so that a busy machine doesn't
// delay our advertisements. Each failure is a line for the log; the daemon works without.
std::vector<SysError> become_real_time(int priority);

// While the kernel walks over a large table for a process it lets nothing else run on that processor, for
// 100 ns a bucket: not even a real-time thread, or packets. So who has it done runs on the last of the
// processors that are allowed, and the engine runs on the others. Where there is but one, nothing changes.
void run_on_last_cpu(bool on);      // false: on any
void stay_off_last_cpu(bool stay);  // false: on any

// Gives the system back what was freed of this process's memory, also when that is locked.
void give_back_memory();

// Tells a process that the supervisor keeps (carpd/keeper.h) to end in order.
inline constexpr int kEndSignal = SIGUSR1;

// What ps(1) and top(1) call this process; at most 15 bytes of it.
void set_process_name(const char* name);

// "exited with 1", "was killed by SIGSEGV": of a status that waitpid(2) gave.
std::string describe_end(int status);

// Readable when the process has ended; none if there is no such process.
UniqueFd open_pidfd(pid_t pid);

// The file of the program that runs, also where another stands there by now.
std::string program_file();

// Whether exec(2) leaves these descriptors open.
void keep_on_exec(const std::vector<int>& fds, bool keep);

// The opposite of become_real_time().
void become_ordinary();

// Closes every descriptor but standard input, output, error and this one: what a process was given by its
// parent and has no use for.
void close_all_but(int fd);

// Blocks these signals; the descriptor tells them (signalfd(2), non-blocking).
Expected<UniqueFd, SysError> open_signals(const std::vector<int>& signals);

inline constexpr const char* kLockDirectory = "/run/carpd";

// One carpd per network namespace, or of those that have a name (`instance`) one of that name: a lock that
// lives as long as the returned descriptor. Waits `patience` for one that is just dying; the error names the
// process that holds it.
Expected<UniqueFd, SysError> lock_instance(const std::string& directory = kLockDirectory,
                                           const std::string& instance = {},
                                           Duration patience = std::chrono::seconds(1));
// Who holds that lock; nothing if nobody does.
std::optional<pid_t> instance_holder(const std::string& directory, const std::string& instance);
// This network namespace's number.
std::optional<std::uint64_t> network_namespace();

// The caller ends with exit code 0, and goes on in the background: in a session of its own, in /, with
// /dev/null as standard input, output and error, and with no other descriptor but `lock`, in which its pid
// stands now.
std::optional<SysError> become_daemon(int lock);

// gethostname(2), without anything that isn't printable ASCII.
std::string host_name();

// From getrandom(2).
std::uint64_t random_seed();

}  // namespace carpd
