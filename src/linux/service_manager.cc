#include "linux/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace carpd {

ServiceManager ServiceManager::open() {
    ServiceManager manager;
    const char* path = std::getenv("NOTIFY_SOCKET");
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    const std::size_t length = path == nullptr ? 0 : std::strlen(path);
    if (length < 2 || length >= sizeof to.sun_path) return manager;
    std::memcpy(to.sun_path, path, length);
    if (path[0] == '@') to.sun_path[0] = 0;  // an abstract one
    UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
    if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), size) == 0)
        manager.socket_ = std::move(socket);
    return manager;
}

void ServiceManager::tell(std::string_view state) const {
    if (socket_) send(socket_.get(), state.data(), state.size(), MSG_NOSIGNAL);
}

}  // namespace carpd
