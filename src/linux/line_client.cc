#include "linux/line_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "linux/clock.h"
#include "linux/unix_socket.h"

namespace carpd {

Expected<LineClient, SysError> LineClient::connect(const std::string& path) {
    auto fd = connect_unix(path);
    if (!fd) return Unexpected{fd.error()};
    return LineClient(std::move(*fd), path);
}

Expected<std::string, SysError> LineClient::ask(std::string_view line, Duration patience) {
    if (auto error = send(line)) return Unexpected{*error};
    return next_line(patience);
}

// A request is far shorter than what the kernel keeps for who doesn't read.
std::optional<SysError> LineClient::send(std::string_view line) {
    const std::string text = std::string(line) + '\n';
    const ssize_t count = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (count == static_cast<ssize_t>(text.size())) return std::nullopt;
    return failed("ask at", count < 0 ? errno : EAGAIN);
}

Expected<std::string, SysError> LineClient::next_line(Duration patience) {
    const Instant until = host_now() + patience;
    while (!has_line()) {
        pollfd event{fd_.get(), POLLIN, 0};
        const auto left = std::max<std::int64_t>(milliseconds(until - host_now()), 0);
        const int count = ::poll(&event, 1, static_cast<int>(left));
        if (count == 0) return Unexpected{failed("get an answer at", ETIMEDOUT)};
        if (count < 0 && errno != EINTR) return Unexpected{failed("get an answer at", errno)};
        if (count > 0)
            if (auto error = receive()) return Unexpected{*error};
    }
    return take_line();
}

std::optional<SysError> LineClient::receive() {
    char buffer[65536];
    const ssize_t count = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
    if (count <= 0) return failed("hear more at", count == 0 ? ECONNRESET : errno);
    const std::string_view part(buffer, static_cast<std::size_t>(count));
    if (!has_line())
        if (const std::size_t end = part.find('\n'); end != std::string_view::npos)
            end_of_line_ = unread_.size() + end;
    unread_ += part;
    if (unread_.size() > kMostUnread) return failed("hear more at", EMSGSIZE);
    return std::nullopt;
}

std::string LineClient::take_line() {
    std::string line = unread_.substr(0, end_of_line_);
    unread_.erase(0, end_of_line_ + 1);
    if (unread_.empty()) unread_.shrink_to_fit();
    end_of_line_ = unread_.find('\n');
    return line;
}

}  // namespace carpd
