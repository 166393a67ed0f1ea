// `carpctl top`: the terminal, the keys and the second between frames.
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>

#include "carpctl/commands.h"
#include "carpctl/top.h"

namespace carpd {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kBetween{1};

// The alternate screen and keys without Enter, as long as it lives.
class Terminal {
 public:
    Terminal() {
        tcgetattr(STDIN_FILENO, &before_);
        termios raw = before_;
        raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
        write("\x1b[?1049h\x1b[?25l");
    }
    ~Terminal() {
        write("\x1b[?25h\x1b[?1049l");
        tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    }
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    static ScreenSize size() {
        winsize size{};
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) return {24, 80};
        return {size.ws_row, size.ws_col};
    }
    // In place: every line replaces the one that was there, and nothing flickers.
    static void show(const std::string& frame) {
        std::string out = "\x1b[H";
        for (std::size_t from = 0; from < frame.size();) {
            const std::size_t end = frame.find('\n', from);
            const bool is_last = end + 1 >= frame.size();
            out += frame.substr(from, end - from) + "\x1b[K" + (is_last ? "" : "\r\n");
            from = end + 1;
        }
        write(out + "\x1b[J");
    }

 private:
    static void write(const std::string& text) {
        std::fwrite(text.data(), 1, text.size(), stdout);
        std::fflush(stdout);
    }
    termios before_{};
};

// What ends it, and changes of the window.
int open_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGWINCH}) sigaddset(&set, signal);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

// Waits until then, or for a change of the window. False: the user has seen enough.
bool wait_until(Clock::time_point then, int signals, bool has_keys) {
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(then - Clock::now());
        pollfd polls[] = {{signals, POLLIN, 0}, {has_keys ? STDIN_FILENO : -1, POLLIN, 0}};
        if (left.count() <= 0 || poll(polls, 2, static_cast<int>(left.count())) == 0) return true;
        signalfd_siginfo signal{};
        while (read(signals, &signal, sizeof signal) == sizeof signal)
            if (signal.ssi_signo != SIGWINCH) return false;
        if (signal.ssi_signo == SIGWINCH) return true;
        char key = 0;
        if (polls[1].revents != 0 && (read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q'))
            return false;
    }
}

Expected<Answer, Failure> look(const Options& options) {
    auto client = Client::connect(options.socket);
    if (!client) return Unexpected{client.error()};
    return ask_for_overview(*client);
}

// Whoever reads us through a pipe may go away.
bool print_plain(const std::string& frame) {
    fmt::print("{}\n", frame);
    return std::fflush(stdout) == 0;
}

ExitCode run_plain(const Options& options, int frames, int signals) {
    Top top(Paint(false));
    for (int shown = 0;;) {
        const auto begun = Clock::now();
        const auto answer = look(options);
        if (!answer) return report(answer.error());
        const std::string frame =
            options.json ? answer->line : top.frame(answer->json, begun.time_since_epoch(), {});
        if (!print_plain(frame)) return kFailed;
        if (++shown == frames || !wait_until(begun + kBetween, signals, false)) return kOk;
    }
}

// A daemon that goes away may come back.
ExitCode run_in_terminal(const Options& options, int frames, int signals) {
    if (const auto first = look(options); !first) return report(first.error());
    const Terminal terminal;
    Top top(Paint{wants_colour()});
    for (int shown = 0;;) {
        const auto begun = Clock::now();
        const auto answer = look(options);
        Terminal::show(answer ? top.frame(answer->json, begun.time_since_epoch(), Terminal::size())
                              : answer.error().message + "\n");
        if (++shown == frames || !wait_until(begun + kBetween, signals, true)) return kOk;
    }
}

}  // namespace

ExitCode top_command(const Options& options, int frames) {
    const int signals = open_signals();  // lives as long as the program
    const bool has_terminal = isatty(STDOUT_FILENO) == 1 && isatty(STDIN_FILENO) == 1 && !options.json;
    return has_terminal ? run_in_terminal(options, frames, signals) : run_plain(options, frames, signals);
}

}  // namespace carpd
