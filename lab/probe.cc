#include "lab/probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/addresses.h"
#include "lab/error.h"
#include "lab/lab.h"

namespace carpd::lab {

namespace {

// Ahead of ordinary programs, so that a busy machine doesn't look like an outage; behind carpd.
void hurry() {
    sched_param low{1};
    pthread_setschedparam(pthread_self(), SCHED_FIFO, &low);
}

std::string socket_address(const std::string& text, std::uint16_t port) {
    sockaddr_storage storage{};
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    std::size_t size = 0;
    if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        size = sizeof *v4;
    } else if (inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        size = sizeof *v6;
    } else {
        fail("{} is no address", text);
    }
    return {reinterpret_cast<const char*>(&storage), size};
}

void bind_to(int socket, const std::string& address) {
    check(bind(socket, reinterpret_cast<const sockaddr*>(address.data()),
               static_cast<socklen_t>(address.size())),
          "bind");
}

// Makes the answer leave from the address the request came to, by any route.
void reply_from_same_address(msghdr& message) {
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            auto* info = reinterpret_cast<in_pktinfo*>(CMSG_DATA(c));
            info->ipi_spec_dst = info->ipi_addr;
            info->ipi_ifindex = 0;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            reinterpret_cast<in6_pktinfo*>(CMSG_DATA(c))->ipi6_ifindex = 0;
        }
    }
}

// A request is its sequence number; an answer is that and the host's number.
void answer_one(int socket, std::uint8_t number) {
    std::uint8_t payload[9];
    alignas(cmsghdr) char control[128];
    sockaddr_storage peer;
    iovec data{payload, sizeof payload};
    msghdr message{&peer, sizeof peer, &data, 1, control, sizeof control, 0};
    if (recvmsg(socket, &message, MSG_DONTWAIT) != 8) return;
    reply_from_same_address(message);
    payload[8] = number;
    message.msg_flags = 0;
    data.iov_len = 9;
    sendmsg(socket, &message, MSG_DONTWAIT);  // no route back: the client counts it as lost
}

void answer_all(UniqueFd v4, UniqueFd v6, int stop, std::uint8_t number) {
    hurry();
    pollfd wait[3] = {{v4.get(), POLLIN, 0}, {v6.get(), POLLIN, 0}, {stop, POLLIN, 0}};
    while (true) {
        poll(wait, 3, -1);
        if (wait[2].revents != 0) return;
        for (int i : {0, 1})
            if (wait[i].revents != 0) answer_one(wait[i].fd, number);
    }
}

UniqueFd wildcard_socket(const Namespace& space, int domain) {
    UniqueFd socket = space.socket(domain, SOCK_DGRAM, 0);
    const int on = 1;
    if (domain == AF_INET) {
        check(setsockopt(socket.get(), IPPROTO_IP, IP_PKTINFO, &on, sizeof on), "IP_PKTINFO");
        bind_to(socket.get(), socket_address("0.0.0.0", Responder::kPort));
    } else {
        check(setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on), "IPV6_V6ONLY");
        check(setsockopt(socket.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on), "IPV6_RECVPKTINFO");
        bind_to(socket.get(), socket_address("::", Responder::kPort));
    }
    return socket;
}

}  // namespace

// ---- Responder

Responder::Responder(const Namespace& space, std::uint8_t number)
    : stop_(check(eventfd(0, EFD_CLOEXEC), "eventfd")),
      thread_(answer_all, wildcard_socket(space, AF_INET), wildcard_socket(space, AF_INET6), stop_.get(),
              number) {}

Responder::~Responder() {
    eventfd_write(stop_.get(), 1);
    thread_.join();
}

// ---- Probe

Probe::Probe(Host& client, const std::string& address, Span interval)
    : destination_(socket_address(address, Responder::kPort)) {
    const int domain = address.find(':') == std::string::npos ? AF_INET : AF_INET6;
    socket_ = client.space().socket(domain, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    requests_.reserve(1 << 16);
    thread_ = std::thread([this, interval] { work(interval); });
}

Probe::~Probe() {
    stop_ = true;
    thread_.join();
}

void Probe::work(Span interval) {
    hurry();
    const auto* address = reinterpret_cast<const sockaddr*>(destination_.data());
    for (Time next = Clock::now(); !stop_; next = std::max(next + interval, Clock::now() - interval)) {
        std::uint64_t number;
        {
            const std::lock_guard lock(mutex_);
            number = requests_.size();
            requests_.push_back({.sent = Clock::now()});
        }
        // Refused while there is no route or neighbour: that request is lost.
        sendto(socket_.get(), &number, sizeof number, 0, address,
               static_cast<socklen_t>(destination_.size()));
        for (Span left; (left = next + interval - Clock::now()) > 0s;) {
            pollfd wait{socket_.get(), POLLIN, 0};
            const timespec pause{left / 1s, (left % 1s).count()};
            if (ppoll(&wait, 1, &pause, nullptr) > 0) receive();
        }
    }
}

void Probe::receive() {
    std::uint8_t payload[16];
    while (true) {
        const ssize_t size = recv(socket_.get(), payload, sizeof payload, 0);
        if (size < 0) return;
        if (size != 9) continue;
        std::uint64_t number;
        std::memcpy(&number, payload, sizeof number);
        const std::lock_guard lock(mutex_);
        if (number >= requests_.size()) continue;
        Request& request = requests_[number];
        request.twice = request.by != Request::kNobody;
        request.by = payload[8];
        request.answered = Clock::now();
    }
}

std::vector<Request> requests_between(const std::vector<Request>& requests, Time from, Time until) {
    const auto earlier = [](const Request& request, Time time) { return request.sent < time; };
    return {std::lower_bound(requests.begin(), requests.end(), from, earlier),
            std::lower_bound(requests.begin(), requests.end(), until, earlier)};
}

std::vector<Request> Probe::requests(Time from, Time until) const {
    const std::lock_guard lock(mutex_);
    return requests_between(requests_, from, until);
}

bool Probe::wait_answer(const Host* host, Span patience) const {
    const Time from = Clock::now();
    return wait_until(
        [&] {
            const std::vector<Request> latest = requests(from);
            return std::any_of(latest.begin(), latest.end(),
                               [&](const Request& r) { return r.ok() && (!host || r.by == host->number()); });
        },
        patience);
}

Outage outage_of(const std::vector<Request>& requests) {
    Outage outage;
    std::optional<Time> last_ok;
    bool gap = false;
    for (const Request& request : requests) {
        ++outage.sent;
        outage.two_answers |= request.twice;
        if (!request.ok()) {
            ++outage.lost;
            gap = true;
            continue;
        }
        const Span lasted = last_ok ? request.sent - *last_ok : 0s;
        if (gap && lasted > outage.duration) {
            outage.duration = lasted;
            outage.ended = request.answered;
        }
        gap = false;
        last_ok = request.sent;
        if (outage.answered_by.empty() || outage.answered_by.back() != request.by)
            outage.answered_by.push_back(request.by);
    }
    outage.over = !gap && outage.sent > 0;
    if (gap && last_ok) outage.duration = std::max(outage.duration, requests.back().sent - *last_ok);
    return outage;
}

}  // namespace carpd::lab
