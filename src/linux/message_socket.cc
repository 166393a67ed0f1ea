#include "linux/message_socket.h"

#include <sys/socket.h>

#include <cerrno>

namespace carpd {

Expected<std::pair<MessageSocket, MessageSocket>, SysError> MessageSocket::open_pair(int unread) {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
        return Unexpected{SysError{"make a pair of sockets", "", errno}};
    for (int fd : fds)  // without the right to have so much there is less
        if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &unread, sizeof unread) != 0)
            setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &unread, sizeof unread);
    return std::pair(MessageSocket(UniqueFd(fds[0])), MessageSocket(UniqueFd(fds[1])));
}

bool MessageSocket::send(std::string_view message) const {
    return ::send(fd_.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

std::optional<std::string_view> MessageSocket::receive() {
    buffer_.resize(kMaxMessage);
    const ssize_t size = recv(fd_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (size > 0) return std::string_view(buffer_).substr(0, static_cast<std::size_t>(size));
    closed_ = size == 0 || errno == ECONNRESET;
    return std::nullopt;
}

void MessageSocket::discard() const {
    char byte;
    while (recv(fd_.get(), &byte, 1, MSG_DONTWAIT) > 0) continue;
}

}  // namespace carpd
