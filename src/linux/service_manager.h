// Tells systemd how the service is, by the messages of sd_notify(3), where it wants to know (NOTIFY_SOCKET in
// the environment). Who calls it: the engine, in its loop. Never blocks, which libsystemd's own call may:
// what has no place in systemd's queue is lost, and said again with the next message.
#pragma once

#include <string>
#include <string_view>

#include "linux/unique_fd.h"

namespace carpd {

class ServiceManager {
 public:
    // To nobody if there is no such socket.
    static ServiceManager open();

    bool listens() const { return static_cast<bool>(socket_); }
    // Such as "READY=1\nSTATUS=2 groups".
    void tell(std::string_view state) const;

 private:
    UniqueFd socket_;
};

}  // namespace carpd
