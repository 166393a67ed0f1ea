// One end of a connection over which lines of text are asked and answered: of a process that reads from the
// engine's control socket. It knows nothing of what they say.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/expected.h"
#include "base/time.h"
#include "linux/sys_error.h"
#include "linux/unique_fd.h"

namespace carpd {

class LineClient {
 public:
    // More than any answer has: a status of 16384 groups has some 40 MB.
    static constexpr std::size_t kMostUnread = 256u << 20;

    // To the server that listens at `path`.
    static Expected<LineClient, SysError> connect(const std::string& path);

    // Sends `line`, and waits for one that answers, both without their newlines, until `patience` is over.
    Expected<std::string, SysError> ask(std::string_view line, Duration patience);
    // The same in two parts. Of a line that has come next_line() doesn't wait.
    std::optional<SysError> send(std::string_view line);
    Expected<std::string, SysError> next_line(Duration patience);

    int fd() const { return fd_.get(); }
    // Reads what is there; then has_line() says whether next_line() has one. The error is the connection's
    // end.
    std::optional<SysError> receive();
    bool has_line() const { return end_of_line_ != std::string::npos; }

 private:
    LineClient(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
    SysError failed(const char* operation, int error) const { return {operation, path_, error}; }
    std::string take_line();

    UniqueFd fd_;
    std::string path_;
    std::string unread_;
    std::size_t end_of_line_ = std::string::npos;  // of the first in unread_
};

}  // namespace carpd
