#include "linux/message_socket.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

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

bool MessageSocket::send(std::string_view message, int attached) const {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof attached)] = {};
    iovec text{const_cast<char*>(message.data()), message.size()};
    msghdr whole{};
    whole.msg_iov = &text;
    whole.msg_iovlen = 1;
    whole.msg_control = control;
    whole.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&whole);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof attached);
    std::memcpy(CMSG_DATA(header), &attached, sizeof attached);
    return sendmsg(fd_.get(), &whole, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

std::optional<std::string_view> MessageSocket::receive(UniqueFd& attached) {
    buffer_.resize(kMaxMessage);
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    iovec text{buffer_.data(), buffer_.size()};
    msghdr whole{};
    whole.msg_iov = &text;
    whole.msg_iovlen = 1;
    whole.msg_control = control;
    whole.msg_controllen = sizeof control;
    const ssize_t size = recvmsg(fd_.get(), &whole, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    attached = UniqueFd();
    const cmsghdr* header = size > 0 ? CMSG_FIRSTHDR(&whole) : nullptr;
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        int fd;
        std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
        attached = UniqueFd(fd);
    }
    if (size > 0) return std::string_view(buffer_).substr(0, static_cast<std::size_t>(size));
    closed_ = size == 0 || errno == ECONNRESET;
    return std::nullopt;
}

void MessageSocket::discard() const {
    char byte;
    while (recv(fd_.get(), &byte, 1, MSG_DONTWAIT) > 0) continue;
}

}  // namespace carpd
