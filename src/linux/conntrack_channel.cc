#include "linux/conntrack_channel.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace carpd {

ConntrackChannel::ConntrackChannel(UniqueFd socket, std::uint32_t port)
    : socket_(std::move(socket)),
      port_(port),
      buffer_(std::make_unique<std::uint8_t[]>(kMost * kLongestConntrackMessage)) {}

std::optional<ConntrackChannel> ConntrackChannel::open() {
    UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    sockaddr_nl own{AF_NETLINK, 0, 0, 0};
    socklen_t size = sizeof own;
    if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0 ||
        ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0)
        return std::nullopt;
    const int on = 1;  // errors without a copy of what caused them
    setsockopt(socket.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    return ConntrackChannel(std::move(socket), own.nl_pid);
}

std::span<std::uint8_t> ConntrackChannel::space() const {
    CARPD_ASSERT(count_ < kMost);
    return {buffer_.get() + size_, kLongestConntrackMessage};
}

void ConntrackChannel::written(std::size_t size) {
    last_ = size_;
    size_ += size;
    ++count_;
}

std::span<const int> ConntrackChannel::exchange() {
    if (count_ == 0) return {};
    const std::size_t count = count_;
    std::fill_n(errors_.begin(), count, 0);
    ask_for_answer({buffer_.get() + last_, size_ - last_});
    int error = ::send(socket_.get(), buffer_.get(), size_, 0) < 0 ? errno : hear(count);
    if (error != 0) std::fill_n(errors_.begin(), count, error);
    base_ += static_cast<std::uint32_t>(count);
    size_ = last_ = count_ = 0;
    return std::span(errors_).first(count);
}

// The kernel has answered when send() returns, so nothing here ever waits. Returns an error of the socket.
int ConntrackChannel::hear(std::size_t count) {
    for (;;) {
        std::uint8_t answer[256];
        const ssize_t size = ::recv(socket_.get(), answer, sizeof answer, MSG_DONTWAIT);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return errno;
        struct {
            nlmsghdr header;
            int error;  // the beginning of nlmsgerr
        } message;
        if (static_cast<std::size_t>(size) < sizeof message) continue;
        std::memcpy(&message, answer, sizeof message);
        const std::uint32_t place = message.header.nlmsg_seq - base_;
        if (message.header.nlmsg_type != NLMSG_ERROR || place >= count)
            continue;  // an answer to something older
        errors_[place] = -message.error;
        if (place == count - 1) return 0;
    }
}

}  // namespace carpd
