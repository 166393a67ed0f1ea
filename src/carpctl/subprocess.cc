#include "carpctl/subprocess.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "linux/unique_fd.h"

namespace carpd {

namespace {

using Clock = std::chrono::steady_clock;
constexpr int kCantRun = 127;
constexpr std::size_t kMostErrors = 4096;

struct Pipe {
    UniqueFd read, write;
    bool open() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) return false;
        read = UniqueFd(ends[0]);
        write = UniqueFd(ends[1]);
        return true;
    }
};

[[noreturn]] void become(const std::vector<std::string>& argv, int output, int errors) {
    setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    setenv("LC_ALL", "C", 1);
    const int input = ::open("/dev/null", O_RDONLY);
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(errors, STDERR_FILENO);
    std::vector<char*> arguments;
    for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    _exit(kCantRun);
}

// Takes what there is. False at its end.
bool take(int fd, std::string& to, std::size_t most, bool& is_cut) {
    char buffer[65536];
    const ssize_t count = ::read(fd, buffer, sizeof buffer);
    if (count <= 0) return count < 0 && errno == EINTR;
    const std::size_t room = most - std::min(most, to.size());
    to.append(buffer, std::min(room, static_cast<std::size_t>(count)));
    is_cut = is_cut || static_cast<std::size_t>(count) > room;
    return true;
}

std::string first_line(const std::string& text) {
    return text.substr(0, text.find('\n'));
}

ProgramOutput run(const std::vector<std::string>& argv, std::chrono::milliseconds patience, std::size_t most,
                  int into) {
    ProgramOutput out;
    Pipe output, errors;
    const auto no_process = [&] { out.failure = fmt::format("{} can't be started", argv.front()); };
    if (!output.open() || !errors.open()) return no_process(), out;
    const pid_t child = fork();
    if (child == 0) become(argv, into >= 0 ? into : output.write.get(), errors.write.get());
    if (child < 0) return no_process(), out;
    setpgid(child, child);  // whoever comes first
    output.write = {};
    errors.write = {};
    const auto deadline = Clock::now() + patience;
    std::string complaint;
    bool is_late = false, errors_cut = false;
    pollfd polls[] = {{output.read.get(), POLLIN, 0}, {errors.read.get(), POLLIN, 0}};
    while ((polls[0].fd >= 0 || polls[1].fd >= 0) && !out.is_cut && !is_late) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
        is_late = left <= 0 || poll(polls, 2, static_cast<int>(left)) == 0;
        if (is_late) break;
        if (polls[0].revents != 0 && !take(polls[0].fd, out.text, most, out.is_cut)) polls[0].fd = -1;
        if (polls[1].revents != 0 && !take(polls[1].fd, complaint, kMostErrors, errors_cut)) polls[1].fd = -1;
    }
    kill(-child, SIGKILL);  // also children that it left
    int status = 0;
    waitpid(child, &status, 0);
    if (is_late)
        out.failure = fmt::format("{} takes longer than {} ms", argv.front(), patience.count());
    else if (WIFEXITED(status) && WEXITSTATUS(status) == kCantRun && complaint.empty())
        out.failure = fmt::format("{} is not installed", argv.front());
    else if (!out.is_cut && WIFEXITED(status) && WEXITSTATUS(status) != 0)
        out.failure = fmt::format("{} fails: {}", argv.front(), first_line(complaint));
    return out;
}

}  // namespace

ProgramOutput run_program(const std::vector<std::string>& argv, std::chrono::milliseconds patience,
                          std::size_t most) {
    return run(argv, patience, most, -1);
}

std::optional<std::string> run_program_into(int fd, const std::vector<std::string>& argv,
                                            std::chrono::milliseconds patience) {
    return run(argv, patience, 0, fd).failure;
}

}  // namespace carpd
