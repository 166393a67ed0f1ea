#include "lab/questions.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lab/error.h"
#include "lab/web_server.h"

namespace carpd::lab {

namespace {

constexpr std::size_t kEchoHeader = 8;  // ICMP's
// A TTL is that of a host when it is this and its number.
constexpr int kFirstTtl = 100;
// After a second TCP asks again.
constexpr Span kTcpPatience = 5s;

std::uint16_t port_of(QuestionKind kind) {
    if (kind == QuestionKind::ping) return 0;
    return kind == QuestionKind::udp ? Responder::kPort : WebServer::kPort;
}

void ask_for_ttl(int socket, Family family) {
    const int on = 1;
    const int result = family == Family::ipv4
                           ? setsockopt(socket, IPPROTO_IP, IP_RECVTTL, &on, sizeof on)
                           : setsockopt(socket, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof on);
    check(result, "asking for TTLs");
}

int ttl_of(msghdr& message) {
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
        if ((c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_TTL) &&
            (c->cmsg_level != IPPROTO_IPV6 || c->cmsg_type != IPV6_HOPLIMIT))
            continue;
        int ttl;
        std::memcpy(&ttl, CMSG_DATA(c), sizeof ttl);
        return ttl;
    }
    return 0;
}

}  // namespace

void Questions::mark(Host& server) {
    const std::string ttl = fmt::format("{}", kFirstTtl + server.number());
    server.set("net/ipv4/ip_default_ttl", ttl);
    server.set("net/ipv6/conf/all/hop_limit", ttl);  // of all interfaces that there are
    server.set("net/ipv6/conf/eth0/hop_limit", ttl);
}

Questions::Questions(Crowd& crowd, const std::string& service, QuestionKind kind, Span period)
    : service_(IpAddress::parse(service).value()),
      kind_(kind),
      crowd_(crowd),
      clients_(static_cast<std::size_t>(crowd.size())),
      loop_(crowd.host().space()) {
    make_room_for_sockets();
    const auto lock = loop_.lock();
    if (kind != QuestionKind::tcp) crowd.host().space().inside([this] { open_all(); });
    loop_.every(period / crowd.size(), [this] { ask_next(); });
}

// ---- asking

void Questions::open_all() {
    const Family family = service_.family();
    const SocketAddress to(service_, port_of(kind_));
    const int echo =
        family == Family::ipv4 ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6);
    for (int i = 0; i < crowd_.size(); ++i) {
        Client& client = clients_[static_cast<std::size_t>(i)];
        client.socket =
            crowd_.socket(i, family, SOCK_DGRAM | SOCK_NONBLOCK, kind_ == QuestionKind::ping ? echo : 0);
        check(connect(client.socket.get(), to.get(), to.size), "connect");
        if (kind_ == QuestionKind::ping) ask_for_ttl(client.socket.get(), family);
        loop_.watch(client.socket.get(), EPOLLIN, [this, &client] { hear(client); });
    }
}

void Questions::ask_next() {
    const int number = next_;
    next_ = (next_ + 1) % crowd_.size();
    Client& client = clients_[static_cast<std::size_t>(number)];
    if (kind_ == QuestionKind::tcp) {
        if (client.socket && Clock::now() - questions_[client.number].request.sent < kTcpPatience) return;
        if (client.socket) end(client, true);
    }
    client.number = questions_.size();
    questions_.push_back({number, {.sent = Clock::now()}});
    if (kind_ == QuestionKind::tcp)
        connect_one(client, number);
    else
        say(client);
}

void Questions::connect_one(Client& client, int number) {
    client.socket = crowd_.socket(number, service_.family(), SOCK_STREAM | SOCK_NONBLOCK);
    const SocketAddress to(service_, port_of(kind_));
    if (connect(client.socket.get(), to.get(), to.size) != 0 && errno != EINPROGRESS)
        return end(client, true);
    loop_.watch(client.socket.get(), EPOLLOUT, [this, &client] { say(client); });
}

void Questions::say(Client& client) {
    std::uint8_t message[kEchoHeader + 8] = {};
    const std::uint64_t number = client.number;
    std::memcpy(message + kEchoHeader, &number, sizeof number);
    message[0] = service_.family() == Family::ipv4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
    const std::size_t header = kind_ == QuestionKind::ping ? 0 : kEchoHeader;
    const ssize_t sent = send(client.socket.get(), message + header, sizeof message - header, MSG_NOSIGNAL);
    if (kind_ != QuestionKind::tcp) return;  // what can't be sent is lost
    if (sent < 0) return end(client, true);
    loop_.watch(client.socket.get(), EPOLLIN, [this, &client] { hear(client); });
}

// ---- hearing

void Questions::hear(Client& client) {
    std::uint8_t answer[64];
    alignas(cmsghdr) char control[64];
    iovec data{answer, sizeof answer};
    msghdr message{nullptr, 0, &data, 1, control, sizeof control, 0};
    const ssize_t size = recvmsg(client.socket.get(), &message, 0);
    if (kind_ == QuestionKind::tcp)
        return hear_by_tcp(client, Bytes(answer, size > 0 ? static_cast<std::size_t>(size) : 0));
    if (size != (kind_ == QuestionKind::ping ? 16 : 9)) return;  // also an ICMP error, which ends nothing
    std::uint64_t number;
    if (kind_ == QuestionKind::udp) {
        std::memcpy(&number, answer, sizeof number);
        note(number, answer[8]);
    } else {
        std::memcpy(&number, answer + kEchoHeader, sizeof number);
        note(number, static_cast<std::uint8_t>(ttl_of(message) - kFirstTtl));
    }
}

void Questions::hear_by_tcp(Client& client, Bytes answer) {
    std::uint64_t word;
    if (answer.size() != sizeof word) return end(client, true);
    std::memcpy(&word, answer.data(), sizeof word);
    note(client.number, static_cast<std::uint8_t>(word >> WebServer::kNumberShift));
    end(client, false);
}

void Questions::note(std::uint64_t number, std::uint8_t by) {
    if (number >= questions_.size()) return;
    Request& request = questions_[number].request;
    request.twice |= request.by != Request::kNobody;
    request.by = by;
    request.answered = Clock::now();
}

void Questions::end(Client& client, bool failed) {
    questions_[client.number].failed = failed;
    loop_.forget(client.socket.get());
    client.socket = UniqueFd();
}

// ---- afterwards

std::vector<Question> Questions::asked(Time from, Time until) const {
    const auto lock = loop_.lock();
    const auto earlier = [](const Question& question, Time time) { return question.request.sent < time; };
    return {std::lower_bound(questions_.begin(), questions_.end(), from, earlier),
            std::lower_bound(questions_.begin(), questions_.end(), until, earlier)};
}

bool Questions::wait_asked(Time from, Span patience) const {
    return wait_until(
        [&] {
            const std::vector<Tally> all = tally(asked(from), crowd_.size());
            return std::all_of(all.begin(), all.end(), [](const Tally& t) { return t.asked > 0; });
        },
        patience, 50ms);
}

bool Questions::wait_answered(Time from, Time until, Span patience) const {
    return wait_until(
        [&] {
            const std::vector<Question> all = asked(from, until);
            return std::all_of(all.begin(), all.end(),
                               [](const Question& q) { return q.request.by != Request::kNobody; });
        },
        patience, 20ms);
}

std::vector<Tally> tally(const std::vector<Question>& questions, int clients) {
    std::vector<Tally> result(static_cast<std::size_t>(clients));
    std::vector<Time> last(result.size());
    for (const auto& [client, request, failed] : questions) {
        Tally& t = result.at(static_cast<std::size_t>(client));
        ++t.asked;
        t.twice |= request.twice;
        if (request.by == Request::kNobody) {
            ++t.lost;
            continue;
        }
        Time& before = last[static_cast<std::size_t>(client)];
        if (before != Time()) t.longest_silence = std::max(t.longest_silence, request.answered - before);
        before = request.answered;
        t.moves += t.by != Request::kNobody && t.by != request.by;
        t.by = request.by;
    }
    return result;
}

std::vector<int> served(const std::vector<Tally>& tallies, int hosts) {
    std::vector<int> result(static_cast<std::size_t>(hosts));
    for (const Tally& t : tallies)
        if (t.by < hosts) ++result[t.by];
    return result;
}

}  // namespace carpd::lab
