#include "lab/traffic_server.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "lab/error.h"
#include "linux/socket_address.h"

namespace carpd::lab {

namespace {

constexpr std::size_t kPiece = 64 * 1024;

// For both families: an IPv4 client looks like ::ffff:a.b.c.d.
UniqueFd bound(const Namespace& space, int type, std::uint16_t port) {
    UniqueFd socket = space.socket(AF_INET6, type | SOCK_NONBLOCK, 0);
    const int on = 1;
    check(setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
    const SocketAddress any(IpAddress::any(Family::ipv6), port);
    check(bind(socket.get(), any.get(), any.size), "bind");
    return socket;
}

UniqueFd listening(const Namespace& space, std::uint16_t port) {
    UniqueFd socket = bound(space, SOCK_STREAM, port);
    check(listen(socket.get(), 4096), "listen");
    return socket;
}

// Byte `position` of the pattern: that of a multiplied counter of eight bytes.
std::uint8_t byte_at(std::uint64_t position) {
    return static_cast<std::uint8_t>((position / 8 + 1) * 0x9e3779b97f4a7c15 >> position % 8 * 8);
}

bool is_over(ssize_t result) {
    return result == 0 || (result < 0 && errno != EAGAIN);
}

}  // namespace

// ---- Pattern

void Pattern::fill(std::span<std::uint8_t> bytes) const {
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = byte_at(position_ + i);
}

bool Pattern::matches(Bytes bytes) const {
    for (std::size_t i = 0; i < bytes.size(); ++i)
        if (bytes[i] != byte_at(position_ + i)) return false;
    return true;
}

// ---- TrafficServer

TrafficServer::TrafficServer(Host& host)
    : sessions_(listening(host.space(), kSessions)),
      downloads_(listening(host.space(), kDownloads)),
      datagrams_(bound(host.space(), SOCK_DGRAM, kSessions)),
      loop_(host.space()) {
    const auto lock = loop_.lock();
    loop_.watch(sessions_.get(), EPOLLIN, [this] { accept_session(); });
    loop_.watch(downloads_.get(), EPOLLIN, [this] { accept_download(); });
    loop_.watch(datagrams_.get(), EPOLLIN, [this] { answer_datagram(); });
    loop_.every(2ms, [this] {
        for (auto at = transfers_.begin(); at != transfers_.end();) {
            Transfer& transfer = at++->second;  // the next one: it may go
            send_due(transfer);
        }
    });
}

void TrafficServer::accept_session() {
    UniqueFd socket(accept4(sessions_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) return;
    const int fd = socket.get();
    connections_[fd] = {std::move(socket)};
    loop_.watch(fd, EPOLLIN, [this, fd] { answer(fd); });
}

void TrafficServer::answer(int fd) {
    std::string& unread = connections_.at(fd).unread;
    char buffer[4096];
    const ssize_t size = recv(fd, buffer, sizeof buffer, 0);
    if (is_over(size)) {
        loop_.forget(fd);
        connections_.erase(fd);
        return;
    }
    if (size > 0) unread.append(buffer, static_cast<std::size_t>(size));
    const std::size_t whole = unread.size() / kWord * kWord;  // a call must not stand within a word
    send(fd, unread.data(), whole, MSG_NOSIGNAL);
    unread.erase(0, whole);
}

void TrafficServer::answer_datagram() {
    char buffer[64];
    sockaddr_storage peer;
    socklen_t length = sizeof peer;
    const ssize_t size =
        recvfrom(datagrams_.get(), buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&peer), &length);
    if (size < 0) return;
    peers_.emplace(reinterpret_cast<const char*>(&peer), length);
    sendto(datagrams_.get(), buffer, static_cast<std::size_t>(size), 0, reinterpret_cast<sockaddr*>(&peer),
           length);
}

void TrafficServer::call(std::uint64_t number) {
    const auto lock = loop_.lock();
    const std::uint64_t word = number | kCall;
    for (const auto& [socket, connection] : connections_) send(socket, &word, kWord, MSG_NOSIGNAL);
    for (const std::string& peer : peers_)
        sendto(datagrams_.get(), &word, kWord, 0, reinterpret_cast<const sockaddr*>(peer.data()),
               static_cast<socklen_t>(peer.size()));
}

int TrafficServer::connections() const {
    const auto lock = loop_.lock();
    return static_cast<int>(connections_.size());
}

void TrafficServer::accept_download() {
    UniqueFd socket(accept4(downloads_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) return;
    const int fd = socket.get();
    transfers_[fd] = {std::move(socket), Clock::now()};
}

void TrafficServer::send_due(Transfer& transfer) {
    std::uint8_t buffer[kPiece];
    const auto age = static_cast<std::uint64_t>((Clock::now() - transfer.started) / 1ms);
    while (transfer.pattern.position() < age * kBytesPerMs) {
        const std::size_t size = std::min(kPiece, age * kBytesPerMs - transfer.pattern.position());
        transfer.pattern.fill(std::span(buffer, size));
        const ssize_t sent = send(transfer.socket.get(), buffer, size, MSG_NOSIGNAL);
        if (is_over(sent)) {
            transfers_.erase(transfer.socket.get());
            return;
        }
        if (sent < 0) return;  // what it couldn't send in time it sends when it can
        transfer.pattern.advance(static_cast<std::size_t>(sent));
    }
}

}  // namespace carpd::lab
