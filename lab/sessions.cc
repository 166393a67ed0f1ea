#include "lab/sessions.h"

#include <fcntl.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lab/error.h"
#include "lab/lab.h"
#include "lab/traffic_server.h"
#include "lab/web_server.h"

namespace carpd::lab {

namespace {

constexpr std::size_t kEchoHeader = 8;  // ICMP's

// How long a datagram's answer is waited for before it is said again.
constexpr Span kAgain = 200ms;

}  // namespace

Sessions::Sessions(Host& client, const std::string& server, SessionKind kind, int count, Span period)
    : server_(IpAddress::parse(server).value(), TrafficServer::kSessions),
      kind_(kind),
      sessions_(static_cast<std::size_t>(count)),
      loop_(client.space()) {
    client.set("net/ipv4/ping_group_range", "0 0");  // root may open sockets for ping
    begin(client, period);
}

Sessions::Sessions(const Crowd& crowd, const std::string& server, Span period)
    : server_(IpAddress::parse(server).value(), WebServer::kPort),
      kind_(SessionKind::tcp),
      crowd_(&crowd),
      sessions_(static_cast<std::size_t>(crowd.size())),
      loop_(crowd.host().space()) {
    begin(crowd.host(), period);
}

void Sessions::begin(Host& client, Span period) {
    make_room_for_sockets();
    client.space().inside([&] {
        for (std::size_t i = 0; i < sessions_.size(); ++i) sessions_[i].socket = open_one(i);
    });
    {
        const auto lock = loop_.lock();
        for (Session& session : sessions_)
            loop_.watch(session.socket.get(), EPOLLIN, [this, &session] { hear(session); });
    }
    if (const int answered = survivors(10s); answered != count())
        fail("{} of {} sessions were answered", answered, count());
    const auto lock = loop_.lock();
    loop_.every(period / count(), [this] { say(sessions_[next_++ % sessions_.size()]); });
}

UniqueFd Sessions::open_one(std::size_t number) const {
    const int domain = server_.storage.ss_family;
    const int type = (kind_ == SessionKind::tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC;
    const int ping = domain == AF_INET ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6);
    UniqueFd socket =
        crowd_ ? crowd_->socket(static_cast<int>(number), address_of(server_.get()).family(), type)
               : UniqueFd(check(::socket(domain, type, kind_ == SessionKind::ping ? ping : 0), "socket"));
    const timeval patience{5, 0};
    check(setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience), "SO_SNDTIMEO");
    check(connect(socket.get(), server_.get(), server_.size), "connecting a session");
    check(fcntl(socket.get(), F_SETFL, O_NONBLOCK), "O_NONBLOCK");
    return socket;
}

void Sessions::say(Session& session) {
    if (!session.open) return;
    requests_.push_back({.sent = Clock::now()});
    if (session.heard == session.said) session.waits_since = Clock::now();
    session.said = requests_.size();
    std::uint8_t message[kEchoHeader + kWord] = {};
    std::memcpy(message + kEchoHeader, &session.said, kWord);
    message[0] = server_.storage.ss_family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
    const std::size_t header = kind_ == SessionKind::ping ? 0 : kEchoHeader;
    // What a session can't send now is lost; what breaks it is heard from its socket.
    send(session.socket.get(), message + header, sizeof message - header, MSG_NOSIGNAL);
}

void Sessions::hear(Session& session) {
    char buffer[4096];
    const ssize_t size = recv(session.socket.get(), buffer, sizeof buffer, 0);
    if (size < 0 && (errno == EAGAIN || kind_ != SessionKind::tcp)) return;  // an ICMP error ends no UDP
    if (size <= 0) {
        loop_.forget(session.socket.get());
        session.open = false;
        return;
    }
    const std::size_t header = kind_ == SessionKind::ping ? kEchoHeader : 0;
    session.unread.append(buffer, static_cast<std::size_t>(size)).erase(0, header);
    for (; session.unread.size() >= kWord; session.unread.erase(0, kWord)) {
        std::uint64_t word;
        std::memcpy(&word, session.unread.data(), kWord);
        understand(session, word);
    }
}

void Sessions::understand(Session& session, std::uint64_t word) {
    if ((word & kCall) != 0) {
        session.called = std::max(session.called, word & ~kCall);
        return;
    }
    const auto by = static_cast<std::uint8_t>(word >> WebServer::kNumberShift);  // 0 of a TrafficServer
    word &= (std::uint64_t{1} << WebServer::kNumberShift) - 1;
    if (word == 0 || word > session.said) return;
    session.heard = std::max(session.heard, word);
    session.by = by;
    requests_[word - 1].answered = Clock::now();
    requests_[word - 1].by = by;
}

int Sessions::survivors(Span patience) {
    std::vector<std::uint64_t> asked;
    auto lock = loop_.lock();
    for (Session& session : sessions_) {
        say(session);
        asked.push_back(session.open ? session.said : ~0ull);
    }
    lock.unlock();
    Time again = Clock::now() + kAgain;
    int answered = 0;
    wait_until(
        [&] {
            const auto locked = loop_.lock();
            const bool repeat = kind_ != SessionKind::tcp && Clock::now() >= again;
            if (repeat) again += kAgain;
            answered = 0;
            for (std::size_t i = 0; i < sessions_.size(); ++i) {
                const bool heard = sessions_[i].heard >= asked[i];
                answered += heard;
                if (repeat && !heard) say(sessions_[i]);
            }
            return answered == count();
        },
        patience);
    return answered;
}

std::vector<std::uint8_t> Sessions::servers() const {
    const auto lock = loop_.lock();
    std::vector<std::uint8_t> result;
    for (const Session& session : sessions_) result.push_back(session.by);
    return result;
}

int Sessions::called(std::uint64_t number, Span patience) const {
    std::ptrdiff_t heard = 0;
    wait_until(
        [&] {
            const auto lock = loop_.lock();
            heard = std::count_if(sessions_.begin(), sessions_.end(),
                                  [&](const Session& session) { return session.called >= number; });
            return heard == count();
        },
        patience);
    return static_cast<int>(heard);
}

int Sessions::waiting() const {
    const auto lock = loop_.lock();
    const Time late = Clock::now() - Request::kPatience;
    return static_cast<int>(std::count_if(sessions_.begin(), sessions_.end(), [&](const Session& session) {
        return !session.open || (session.heard < session.said && session.waits_since < late);
    }));
}

std::vector<Request> Sessions::requests(Time from, Time until) const {
    const auto lock = loop_.lock();
    return requests_between(requests_, from, until);
}

}  // namespace carpd::lab
