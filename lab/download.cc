#include "lab/download.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "lab/error.h"
#include "linux/socket_address.h"

namespace carpd::lab {

Download::Download(Host& client, const std::string& server) : loop_(client.space()) {
    const SocketAddress address(IpAddress::parse(server).value(), TrafficServer::kDownloads);
    socket_ = client.space().socket(address.storage.ss_family, SOCK_STREAM, 0);
    const timeval patience{5, 0};
    check(setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience), "SO_SNDTIMEO");
    check(connect(socket_.get(), address.get(), address.size), "connecting through the firewall");
    {
        const auto lock = loop_.lock();
        loop_.watch(socket_.get(), EPOLLIN, [this] { hear(); });
    }
    if (!wait_more(5s)) fail("{} sends nothing", server);
}

void Download::hear() {
    std::uint8_t buffer[256 * 1024];
    const ssize_t size = recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0 || !pattern_.matches(Bytes(buffer, static_cast<std::size_t>(size)))) {
        loop_.forget(socket_.get());
        intact_ = false;
        return;
    }
    pattern_.advance(static_cast<std::size_t>(size));
    arrivals_.emplace_back(Clock::now(), pattern_.position());
}

bool Download::intact() const {
    const auto lock = loop_.lock();
    return intact_;
}

std::uint64_t Download::bytes() const {
    const auto lock = loop_.lock();
    return pattern_.position();
}

std::uint64_t Download::bytes_between(Time from, Time until) const {
    const auto lock = loop_.lock();
    const auto had = [&](Time time) -> std::uint64_t {
        const auto next = std::lower_bound(arrivals_.begin(), arrivals_.end(), time,
                                           [](const auto& arrival, Time t) { return arrival.first < t; });
        return next == arrivals_.begin() ? 0 : std::prev(next)->second;
    };
    return had(until) - had(from);
}

Span Download::longest_stall(Time from) const {
    const auto lock = loop_.lock();
    Span longest = 0s;
    for (const auto& [time, bytes] : arrivals_) {
        if (time < from) continue;
        longest = std::max(longest, time - from);
        from = time;
    }
    return std::max(longest, Clock::now() - from);
}

bool Download::wait_more(Span patience) const {
    const std::uint64_t before = bytes();
    return wait_until([&] { return bytes() > before; }, patience);
}

}  // namespace carpd::lab
