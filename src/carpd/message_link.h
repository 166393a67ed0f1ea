// The engine's end of a pair of sockets to another process of carpd. The engine never waits: what the socket
// can't take is for the caller to say later, once it is not full any more.
#pragma once

#include <functional>
#include <string_view>

#include "base/expected.h"
#include "linux/message_socket.h"
#include "linux/sys_error.h"
#include "linux/unique_fd.h"

namespace carpd {

class MessageLink {
 public:
    // `socket` outlives it.
    static Expected<MessageLink, SysError> open(MessageSocket& socket);

    // Readable when there is something for hear().
    int fd() const { return epoll_.get(); }
    // False if it was not taken: the socket is full.
    bool send(std::string_view message);
    bool is_full() const { return is_full_; }
    // Passes on what was said, and notices that the socket isn't full any more.
    void hear(int at_most, const std::function<void(std::string_view)>& handle);

 private:
    MessageLink(MessageSocket& socket, UniqueFd epoll) : socket_(&socket), epoll_(std::move(epoll)) {}

    void set_full(bool full);

    MessageSocket* socket_;
    UniqueFd epoll_;
    bool is_full_ = false;
};

}  // namespace carpd
