#include "lab/web_server.h"

#include <sys/socket.h>

#include <cerrno>

#include "lab/error.h"
#include "linux/socket_address.h"

namespace carpd::lab {

namespace {

// For both families: an IPv4 client looks like ::ffff:a.b.c.d.
UniqueFd listening(const Namespace& space, std::uint16_t port) {
    UniqueFd socket = space.socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const int on = 1;
    check(setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
    const SocketAddress any(IpAddress::any(Family::ipv6), port);
    check(bind(socket.get(), any.get(), any.size), "bind");
    check(listen(socket.get(), 4096), "listen");
    return socket;
}

}  // namespace

WebServer::WebServer(Host& host)
    : number_(host.number()), listener_(listening(host.space(), kPort)), loop_(host.space()) {
    make_room_for_sockets();
    const auto lock = loop_.lock();
    loop_.watch(listener_.get(), EPOLLIN, [this] { accept_one(); });
}

WebServer::~WebServer() {
    const auto lock = loop_.lock();
    const linger at_once{1, 0};
    for (const auto& [fd, socket] : connections_) {
        loop_.forget(fd);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    connections_.clear();
}

void WebServer::accept_one() {
    UniqueFd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) return;  // it is gone again
    const int fd = socket.get();
    connections_[fd] = std::move(socket);
    loop_.watch(fd, EPOLLIN, [this, fd] { answer(fd); });
}

void WebServer::answer(int fd) {
    std::uint64_t word;
    const ssize_t size = recv(fd, &word, sizeof word, 0);
    if (size < 0 && errno == EAGAIN) return;
    word |= std::uint64_t{number_} << kNumberShift;
    if (size == sizeof word && send(fd, &word, sizeof word, MSG_NOSIGNAL) == sizeof word) return;
    loop_.forget(fd);
    connections_.erase(fd);
}

int WebServer::connections() const {
    const auto lock = loop_.lock();
    return static_cast<int>(connections_.size());
}

}  // namespace carpd::lab
