#include "lab/short_connections.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "lab/error.h"
#include "lab/traffic_server.h"

namespace carpd::lab {

ShortConnections::ShortConnections(Host& client, const std::string& server, Span interval)
    : server_(IpAddress::parse(server).value(), TrafficServer::kSessions), loop_(client.space()) {
    const auto lock = loop_.lock();
    loop_.every(interval, [this] {
        if (more_) make_one();
    });
}

void ShortConnections::make_one() {
    const int socket =
        check(::socket(server_.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    Connection& connection = connections_.emplace_back(Connection{UniqueFd(socket), Clock::now()});
    if (connect(socket, server_.get(), server_.size) != 0 && errno != EINPROGRESS) {
        connection.fate = Fate::failed;
        return;
    }
    loop_.watch(socket, EPOLLOUT, [this, &connection] { ask(connection); });
}

void ShortConnections::ask(Connection& connection) {
    const std::uint64_t word = connections_.size();
    if (send(connection.socket.get(), &word, kWord, MSG_NOSIGNAL) != kWord)
        return end(connection, Fate::failed);
    connection.word = word;
    loop_.watch(connection.socket.get(), EPOLLIN, [this, &connection] { hear(connection); });
}

void ShortConnections::hear(Connection& connection) {
    std::uint64_t word = 0;
    const ssize_t size = recv(connection.socket.get(), &word, kWord, 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size == kWord && (word & kCall) != 0) return;  // said to all
    end(connection, size == kWord && word == connection.word ? Fate::answered : Fate::failed);
}

void ShortConnections::end(Connection& connection, Fate fate) {
    connection.fate = fate;
    connection.ended = Clock::now();
    loop_.forget(connection.socket.get());
    connection.socket = UniqueFd();
}

ShortConnections::Outcome ShortConnections::outcome() const {
    const auto lock = loop_.lock();
    Outcome outcome;
    for (const Connection& connection : connections_) {
        ++outcome.made;
        switch (connection.fate) {
            case Fate::open: ++outcome.open; break;
            case Fate::failed: ++outcome.failed; break;
            case Fate::answered:
                ++outcome.answered;
                outcome.slowest = std::max(outcome.slowest, connection.ended - connection.started);
        }
    }
    return outcome;
}

ShortConnections::Outcome ShortConnections::finish(Span patience) {
    {
        const auto lock = loop_.lock();
        more_ = false;
    }
    wait_until([&] { return outcome().open == 0; }, patience);
    return outcome();
}

std::string ShortConnections::Outcome::text() const {
    return fmt::format("{} short connections: {} answered within {:.0f} ms, {} failed, {} open", made,
                       answered, to_ms(slowest), failed, open);
}

}  // namespace carpd::lab
