#include "carpctl/client.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace carpd {

namespace {

Failure failure_to_connect(const std::string& socket, int error) {
    switch (error) {
        case ENOENT:
        case ECONNREFUSED:
            return {kNotRunning, fmt::format("carpd is not running: nobody answers at {}; start it, or "
                                             "name its socket with -s",
                                             socket)};
        case EACCES:
        case EPERM:
            return {kFailed,
                    fmt::format("no permission to open {}; run carpctl as root, or join the socket's group",
                                socket)};
        case EAGAIN: return {kFailed, fmt::format("carpd does not answer at {}: its queue is full", socket)};
        default: return {kFailed, fmt::format("cannot open {}: {}", socket, std::strerror(error))};
    }
}

Failure lost_connection() {
    return {kNotRunning, "carpd closed the connection: it stopped, or was stopped"};
}

// 0 on success, else errno.
int connect_to(int fd, const std::string& socket) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket.size() >= sizeof address.sun_path) return ENAMETOOLONG;
    std::memcpy(address.sun_path, socket.data(), socket.size());
    return ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

}  // namespace

Expected<Client, Failure> Client::connect(const std::string& socket) {
    Client client(UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), socket);
    if (!client.fd_) return Unexpected{failure_to_connect(socket, errno)};
    // Bounds the waiting for a place in the daemon's queue, too.
    const timeval patience{kPatience.count(), 0};
    ::setsockopt(client.fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (const int error = connect_to(client.fd_.get(), socket))
        return Unexpected{failure_to_connect(socket, error)};
    return client;
}

// An answer may be megabytes in many parts, so none is searched twice, and one that came alone isn't copied.
std::optional<std::string> Client::take_line() {
    const std::size_t end = received_.find('\n', searched_);
    if (end == std::string::npos) return std::nullopt;
    if (taken_ == 0 && end + 1 == received_.size()) {
        received_.pop_back();
        searched_ = 0;
        return std::exchange(received_, {});
    }
    std::string line = received_.substr(taken_, end - taken_);
    searched_ = taken_ = end + 1;
    return line;
}

std::optional<Failure> Client::receive() {
    char buffer[65536];
    const ssize_t count = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (count <= 0) return lost_connection();
    received_.erase(0, std::exchange(taken_, 0));
    searched_ = received_.size();
    received_.append(buffer, static_cast<std::size_t>(count));
    return std::nullopt;
}

Expected<std::string, Failure> Client::ask(std::string_view request) {
    const std::string line = std::string(request) + "\n";
    // A request is shorter than any socket's buffer, so it goes at once or not at all.
    if (::send(fd_.get(), line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size()))
        return Unexpected{lost_connection()};
    return next_line();
}

Expected<std::string, Failure> Client::next_line() {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    for (;;) {
        if (auto answer = take_line()) return std::move(*answer);
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        pollfd poll{fd_.get(), POLLIN, 0};
        if (left.count() <= 0 || ::poll(&poll, 1, static_cast<int>(left.count())) == 0)
            return Unexpected{Failure{
                kFailed, fmt::format("carpd does not answer at {} within {} s", socket_, kPatience.count())}};
        if (poll.revents == 0) continue;  // a signal
        if (auto failure = receive()) return Unexpected{*failure};
    }
}

Expected<std::optional<std::string>, Failure> Client::next_line(int interrupt) {
    for (;;) {
        if (auto line = take_line()) return line;
        pollfd polls[] = {{fd_.get(), POLLIN, 0}, {interrupt, POLLIN, 0}};
        if (::poll(polls, 2, -1) < 0) continue;  // a signal, such as the terminal's change of size
        if (polls[1].revents != 0) return std::optional<std::string>();
        if (polls[0].revents == 0) continue;
        if (auto failure = receive()) return Unexpected{*failure};
    }
}

}  // namespace carpd
