#include "linux/kernel_events.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace carpd {

UniqueFd open_kernel_events(std::uint32_t groups) {
    UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE));
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = groups;
    if (fd && bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
    return fd;
}

bool read_kernel_events(int fd, const std::function<bool(const nlmsghdr&)>& concerns) {
    constexpr int kAtOnce = 16;
    alignas(nlmsghdr) std::array<char, 32768> buffer;
    bool any = false;
    for (int i = 0; i < kAtOnce; ++i) {
        const ssize_t size = recv(fd, buffer.data(), buffer.size(), 0);
        if (size < 0 && errno == ENOBUFS) any = true;
        if (size <= 0) return any;
        for_each_message(buffer.data(), static_cast<std::size_t>(size), [&](const nlmsghdr& message) {
            any |= concerns(message);
            return true;
        });
    }
    return any;
}

void for_each_message(const char* bytes, std::size_t size, const std::function<bool(const nlmsghdr&)>& take) {
    int left = static_cast<int>(size);
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(bytes); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left))
        if (!take(*message)) return;
}

}  // namespace carpd
