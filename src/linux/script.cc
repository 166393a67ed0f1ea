#include "linux/script.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>
#include <vector>

#include "linux/process.h"

namespace carpd {

namespace {

// How much of a flood is read before somebody else gets a turn; as much as a pipe holds.
constexpr std::size_t kReadAtOnce = 64 * 1024;

struct Pipe {
    UniqueFd read, write;
};

bool open_pipe(Pipe& pipe) {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) return false;
    pipe = {UniqueFd(fds[0]), UniqueFd(fds[1])};
    return true;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> result;
    for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
    result.push_back(nullptr);
    return result;
}

// ---- in the child, between fork() and execve(): only what is allowed after a fork

void become_ordinary() {
    for (int signal = 1; signal < NSIG; ++signal) std::signal(signal, SIG_DFL);  // some refuse, and are it
    const sched_param normal{};
    sched_setscheduler(0, SCHED_OTHER, &normal);
    const int oom = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (oom >= 0 && write(oom, "0", 1) < 0) return;  // no right to be spared less is no reason not to run
}

[[noreturn]] void become_script(pid_t parent, char* const argv[], char* const environment[], int output,
                                int exec_error) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    setsid();
    become_ordinary();
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (output != STDERR_FILENO) fcntl(output, F_SETFL, 0);  // it may block, we don't
    if (null >= 0 && dup2(null, 0) == 0 && dup2(output, 1) == 1 && dup2(output, 2) == 2 && chdir("/") == 0) {
        close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        execve(argv[0], argv, environment);
    }
    const int error = errno;
    if (write(exec_error, &error, sizeof error) < 0) _exit(126);
    _exit(127);
}

// ---- in the parent

// Its process group has its pid, and keeps it as long as we haven't waited for it; but it may not yet have
// come to setsid().
void signal_group(pid_t pid, int signal) {
    if (kill(-pid, signal) != 0) kill(pid, signal);
}

std::string first_line(const std::string& text) {
    const std::size_t begin = text.find_first_not_of("\r\n\t ");
    if (begin == std::string::npos) return "";
    return text.substr(begin, text.find_first_of("\r\n", begin) - begin);
}

std::string seconds(Duration d) {
    if (d < std::chrono::seconds(1)) return fmt::format("{} ms", milliseconds(d));
    return fmt::format("{:.1f} s", std::chrono::duration<double>(d).count());
}

}  // namespace

std::string ScriptEnd::to_string() const {
    std::string text;
    switch (how) {
        case How::exited: text = fmt::format("exited with {} after {}", code, seconds(duration)); break;
        case How::killed:
            text = fmt::format("was killed by SIG{} after {}", sigabbrev_np(code), seconds(duration));
            break;
        case How::timed_out:
            text = fmt::format("took too long and was ended after {}", seconds(duration));
            break;
        case How::stopped: text = fmt::format("was ended after {}", seconds(duration)); break;
        case How::not_started: text = fmt::format("could not be started: {}", std::strerror(code)); break;
    }
    return output.empty() ? text : text + "; it said: " + output;
}

Expected<ScriptRunner, SysError> ScriptRunner::open() {
    UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
    if (!epoll) return Unexpected{SysError{"create an epoll instance", "", errno}};
    return ScriptRunner(std::move(epoll));
}

ScriptRunner::~ScriptRunner() {
    for (auto& [id, run] : runs_) {
        if (run.pid == 0) continue;
        signal_group(run.pid, SIGKILL);
        waitpid(run.pid, nullptr, 0);
    }
}

ScriptRunner::RunId ScriptRunner::start(const Script& script, Instant now) {
    const RunId id = next_id_++;
    Run& run = runs_[id];
    run.started = now;
    run.deadline = now + script.timeout;
    run.error = launch(script, run, id);
    return id;
}

// Returns errno, or 0.
int ScriptRunner::launch(const Script& script, Run& run, RunId id) {
    Pipe output, exec_error;
    if (!open_pipe(output) || !open_pipe(exec_error)) return errno;
    const std::vector<char*> argv = pointers(script.argv), environment = pointers(script.environment);
    const pid_t parent = getpid();
    // Until the child has its own, no handler of ours may run in it.
    sigset_t all, ours;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &ours);
    const pid_t child = fork();
    if (child == 0)
        become_script(parent, argv.data(), environment.data(),
                      script.is_free ? STDERR_FILENO : output.write.get(), exec_error.write.get());
    const int fork_error = errno;
    sigprocmask(SIG_SETMASK, &ours, nullptr);
    if (child < 0) return fork_error;

    run.pid = child;
    run.is_free = script.is_free;
    run.pidfd = open_pidfd(child);
    run.output = std::move(output.read);
    run.exec_error = std::move(exec_error.read);
    for (int fd : {run.pidfd.get(), run.output.get()}) {
        epoll_event event{.events = EPOLLIN, .data = {.u64 = id}};
        if (fd >= 0 && epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) continue;
        // Out of descriptors or memory: one whose end we would not see may not run.
        const int error = errno;
        signal_group(child, SIGKILL);
        waitpid(child, nullptr, 0);
        run.pid = 0;
        return error;
    }
    return 0;
}

void ScriptRunner::stop_all(Instant now) {
    for (auto& [id, run] : runs_) {
        if (run.pid == 0 || run.how != ScriptEnd::How::exited) continue;
        run.how = ScriptEnd::How::stopped;
        run.deadline = now + kGrace;
        signal_group(run.pid, SIGTERM);
    }
}

Instant ScriptRunner::next_deadline() const {
    Instant next = kNever;
    for (const auto& [id, run] : runs_) next = std::min(next, run.pid == 0 ? run.started : run.deadline);
    return next;
}

void ScriptRunner::wake(Instant now, const OnEnd& on_end) {
    std::array<epoll_event, 64> events;
    const int count = epoll_wait(epoll_.get(), events.data(), events.size(), 0);
    std::map<RunId, ScriptEnd> ended;
    for (int i = 0; i < count; ++i) {
        const auto found = runs_.find(RunId{events[i].data.u64});
        if (found == runs_.end()) continue;  // it has ended, and both its descriptors said so
        Run& run = found->second;
        read_output(run);
        if (!has_ended(run)) continue;
        ended.emplace(found->first, collect(run, now));
        runs_.erase(found);
    }
    for (auto at = runs_.begin(); at != runs_.end();) {
        auto& [id, run] = *at;
        if (run.pid == 0) {
            ended.emplace(id, ScriptEnd{ScriptEnd::How::not_started, run.error, Duration(0), ""});
            at = runs_.erase(at);
            continue;
        }
        if (run.deadline <= now) {
            const bool is_first = run.how == ScriptEnd::How::exited;
            if (is_first) run.how = ScriptEnd::How::timed_out;
            signal_group(run.pid, is_first ? SIGTERM : SIGKILL);
            run.deadline = is_first ? now + kGrace : kNever;
        }
        ++at;
    }
    for (const auto& [id, end] : ended) on_end(id, end);
}

void ScriptRunner::read_output(Run& run) {
    std::array<char, 4096> buffer;
    for (std::size_t read_so_far = 0; run.output && read_so_far < kReadAtOnce;) {
        const ssize_t size = read(run.output.get(), buffer.data(), buffer.size());
        if (size < 0) return;  // nothing there now
        if (size == 0) {
            // Closing it would not end the watch while a child that is being started has a copy.
            epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, run.output.get(), nullptr);
            run.output = UniqueFd();
            return;
        }
        read_so_far += static_cast<std::size_t>(size);
        run.kept.append(buffer.data(), std::min(static_cast<std::size_t>(size), kKept - run.kept.size()));
    }
}

bool ScriptRunner::has_ended(const Run& run) const {
    siginfo_t info{};
    return waitid(P_PID, static_cast<id_t>(run.pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == run.pid;
}

// Of a run that has ended: kills what is left of its group while its pid is still its own, then gives it up.
ScriptEnd ScriptRunner::collect(Run& run, Instant now) {
    if (!run.is_free) kill(-run.pid, SIGKILL);
    read_output(run);
    siginfo_t info{};
    waitid(P_PID, static_cast<id_t>(run.pid), &info, WEXITED);
    for (const UniqueFd* fd : {&run.pidfd, &run.output})
        if (*fd) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd->get(), nullptr);
    ScriptEnd end{run.how, 0, now - run.started, first_line(run.kept)};
    int error = 0;
    if (read(run.exec_error.get(), &error, sizeof error) == sizeof error) {
        end.how = ScriptEnd::How::not_started;
        end.code = error;
    } else if (run.how == ScriptEnd::How::exited) {
        if (info.si_code != CLD_EXITED) end.how = ScriptEnd::How::killed;
        end.code = info.si_status;
    }
    return end;
}

}  // namespace carpd
