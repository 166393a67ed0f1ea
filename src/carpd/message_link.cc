#include "carpd/message_link.h"

#include <sys/epoll.h>

#include <cerrno>
#include <utility>

namespace carpd {

Expected<MessageLink, SysError> MessageLink::open(MessageSocket& socket) {
    UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
    epoll_event event{.events = EPOLLIN, .data = {}};
    if (!epoll || epoll_ctl(epoll.get(), EPOLL_CTL_ADD, socket.fd(), &event) != 0)
        return Unexpected{SysError{"watch a socket", "", errno}};
    return MessageLink(socket, std::move(epoll));
}

bool MessageLink::send(std::string_view message) {
    const bool taken = socket_->send(message);
    if (!taken) set_full(true);
    return taken;
}

void MessageLink::set_full(bool full) {
    is_full_ = full;
    epoll_event event{.events = full ? EPOLLIN | EPOLLOUT : EPOLLIN, .data = {}};
    epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, socket_->fd(), &event);  // fails where it is not watched any more
}

void MessageLink::hear(int at_most, const std::function<void(std::string_view)>& handle) {
    epoll_event event;
    if (epoll_wait(epoll_.get(), &event, 1, 0) != 1) return;
    if (is_full_ && (event.events & EPOLLOUT) != 0) set_full(false);
    for (int heard = 0; heard < at_most; ++heard) {
        const auto message = socket_->receive();
        if (!message) break;
        handle(*message);
    }
    // The supervisor has died, and the other process, too: the engine is about to learn it. This would wake
    // it for ever.
    if (socket_->is_closed()) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, socket_->fd(), nullptr);
}

}  // namespace carpd
