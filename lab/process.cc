#include "lab/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "lab/error.h"
#include "lab/namespace.h"

namespace carpd::lab {

int check(int result, const char* operation) {
    if (result < 0) fail("{}: {}", operation, std::strerror(errno));
    return result;
}

namespace {

UniqueFd memory_file(const std::string& content = {}) {
    UniqueFd file(check(memfd_create("lab", MFD_CLOEXEC), "memfd_create"));
    if (pwrite(file.get(), content.data(), content.size(), 0) < 0) fail("writing to memory failed");
    return file;
}

std::string read_all(int fd) {
    std::string content;
    char buffer[16384];
    ssize_t n;
    while ((n = pread(fd, buffer, sizeof buffer, static_cast<off_t>(content.size()))) > 0)
        content.append(buffer, static_cast<std::size_t>(n));
    return content;
}

// What the child does between fork and exec: system calls only, since other threads may hold any lock.
[[noreturn]] void become(char* const argv[], int netns, bool quiet_console, int in, int out, int err) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (netns >= 0 && setns(netns, CLONE_NEWNET) != 0) _exit(126);
    if (quiet_console &&
        (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
         mount("/dev/null", "/dev/console", nullptr, MS_BIND, nullptr) != 0))
        _exit(126);
    dup2(in, 0);
    dup2(out, 1);
    dup2(err, 2);
    sched_param normal{};
    sched_setscheduler(0, SCHED_OTHER, &normal);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    execvp(argv[0], argv);
    _exit(127);
}

}  // namespace

Process::Process(const Command& command) : output_(memory_file()), errors_(memory_file()) {
    const UniqueFd input = memory_file(command.input);
    std::vector<char*> argv;
    for (const std::string& argument : command.argv) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    const int netns = command.in ? command.in->descriptor() : -1;
    const int out = command.output >= 0 ? command.output : output_.get();
    pid_ = check(fork(), "fork");
    if (pid_ == 0) become(argv.data(), netns, command.quiet_console, input.get(), out, errors_.get());
    setpgid(pid_, pid_);  // whoever comes first: it must be its own group before we signal it
    pidfd_ = UniqueFd(check(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)), "pidfd_open"));
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      output_(std::move(other.output_)),
      errors_(std::move(other.errors_)),
      exit_code_(other.exit_code_) {}

Process& Process::operator=(Process&& other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(pidfd_, other.pidfd_);
    std::swap(output_, other.output_);
    std::swap(errors_, other.errors_);
    std::swap(exit_code_, other.exit_code_);
    return *this;
}

Process::~Process() {
    if (pid_ < 0 || exit_code_) return;
    signal_group(SIGKILL);
    wait(10s);
}

void Process::signal(int number) {
    if (!exit_code_) kill(pid_, number);
}

void Process::signal_group(int number) {
    if (!exit_code_) kill(-pid_, number);
}

std::optional<int> Process::wait(Span patience) {
    if (exit_code_) return exit_code_;
    pollfd ended{pidfd_.get(), POLLIN, 0};
    const Time deadline = Clock::now() + patience;
    int left, ready;
    do {
        left = static_cast<int>(std::max<Span>(deadline - Clock::now(), 0s) / 1ms);
        ready = poll(&ended, 1, left);
    } while (ready < 0 && errno == EINTR);
    int status = 0;
    if (ready <= 0 || waitpid(pid_, &status, 0) != pid_) return std::nullopt;
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return exit_code_;
}

std::string Process::output() const {
    return read_all(output_.get());
}
std::string Process::errors() const {
    return read_all(errors_.get());
}

Result run(const Command& command, Span patience) {
    Process process(command);
    const std::optional<int> exit_code = process.wait(patience);
    if (!exit_code) fail("{} did not end within {:.0f} s", command.argv[0], to_seconds(patience));
    return {*exit_code, process.output(), process.errors()};
}

std::string run_checked(const Command& command) {
    Result result = run(command);
    if (result.exit_code != 0)
        fail("{} failed ({}): {}{}\n{}", fmt::join(command.argv, " "), result.exit_code, result.errors,
             result.output, command.input);
    return result.output;
}

}  // namespace carpd::lab
