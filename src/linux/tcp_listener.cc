#include "linux/tcp_listener.h"

#include <cerrno>
#include <string>

#include "linux/socket_address.h"

namespace carpd {

Expected<UniqueFd, SysError> listen_tcp(const IpAddress& address, std::uint16_t port) {
    const SocketAddress at(address, port);
    UniqueFd fd(socket(domain_of(address.family()), SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    if (fd && setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd.get(), at.get(), at.size) == 0 && listen(fd.get(), SOMAXCONN) == 0)
        return fd;
    return Unexpected{SysError{"listen at", address.to_string() + " port " + std::to_string(port), errno}};
}

}  // namespace carpd
