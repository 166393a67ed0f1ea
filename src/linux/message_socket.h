// One end of a pair of sockets that carries messages between two of our processes: whole ones, in order, none
// lost that was taken. The pair outlives the processes at its ends: what one has not read when it dies, its
// successor reads. Neither end ever waits.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/expected.h"
#include "linux/sys_error.h"
#include "linux/unique_fd.h"

namespace carpd {

class MessageSocket {
 public:
    static constexpr std::size_t kMaxMessage = 128 * 1024;

    // Holds about `unread` bytes for each side to read, some thousand messages of a few hundred bytes in 4
    // MiB.
    static Expected<std::pair<MessageSocket, MessageSocket>, SysError> open_pair(int unread = 4 << 20);

    // The end that a program was given by who started it, as the descriptor `fd`.
    static MessageSocket inherited(UniqueFd fd) { return MessageSocket(std::move(fd)); }

    // False if so much is unread that it was not taken, or nobody will ever read it.
    bool send(std::string_view message) const;
    // With a descriptor, of which whoever receives the message gets a copy.
    bool send(std::string_view message, int attached) const;
    // The oldest message, which is ours until the next call; nothing if none waits. Of one longer than
    // kMaxMessage what fits.
    std::optional<std::string_view> receive();
    // The same; `attached` becomes the descriptor that came with it, or none.
    std::optional<std::string_view> receive(UniqueFd& attached);
    // Forgets all that waits.
    void discard() const;
    // receive() found that no process has the other end any more.
    bool is_closed() const { return closed_; }

    int fd() const { return fd_.get(); }
    void close() { fd_ = UniqueFd(); }

 private:
    explicit MessageSocket(UniqueFd fd) : fd_(std::move(fd)) {}

    UniqueFd fd_;
    std::string buffer_;  // empty until something is received
    bool closed_ = false;
};

}  // namespace carpd
