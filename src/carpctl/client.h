// carpctl's side of the control socket.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/expected.h"
#include "linux/unique_fd.h"

namespace carpd {

// What ends the program, for scripts (docs/man/carpctl.8).
enum ExitCode : int { kOk = 0, kFailed = 1, kUsage = 2, kNotRunning = 3 };

// A message for people, in one line, and the exit code that goes with it.
struct Failure {
    ExitCode code;
    std::string message;
};

class Client {
 public:
    // How long a daemon may take to answer; a healthy one takes less than a millisecond.
    static constexpr std::chrono::seconds kPatience{5};

    static Expected<Client, Failure> connect(const std::string& socket);

    // Sends a request and waits for its answer, both without their newlines.
    Expected<std::string, Failure> ask(std::string_view request);
    // Waits for one more line of an answer that has several.
    Expected<std::string, Failure> next_line();
    // Waits for a line, for as long as it takes; nothing if the descriptor `interrupt` became readable
    // before.
    Expected<std::optional<std::string>, Failure> next_line(int interrupt);

 private:
    Client(UniqueFd fd, std::string socket) : fd_(std::move(fd)), socket_(std::move(socket)) {}
    std::optional<std::string> take_line();
    std::optional<Failure> receive();

    UniqueFd fd_;
    std::string socket_;
    std::string received_;
    std::size_t taken_ = 0;     // of received_
    std::size_t searched_ = 0;  // of received_: no line ends in it that isn't taken
};

}  // namespace carpd
