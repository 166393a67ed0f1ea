#include "linux/conntrack_dump.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "linux/conntrack_expectation.h"

namespace carpd {

namespace {

SysError failure(int error) {
    return SysError{"read the connection-tracking table", "", error};
}

// The error that an answer tells; 0: none.
int told_error(Bytes message) {
    nlmsgerr answer;
    if (message.size() < sizeof(nlmsghdr) + sizeof answer.error) return EPROTO;
    std::memcpy(&answer.error, message.data() + sizeof(nlmsghdr), sizeof answer.error);
    return -answer.error;
}

}  // namespace

Expected<ConntrackDump, SysError> ConntrackDump::start(std::optional<Family> family) {
    UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    std::uint8_t request[kLongestConntrackMessage];
    const std::size_t size = put_dump(family, 1, request);
    if (!socket || ::send(socket.get(), request, size, 0) < 0) return Unexpected{failure(errno)};
    return ConntrackDump(std::move(socket), family);
}

Expected<bool, SysError> ConntrackDump::read(const std::function<void(const FlowEvent&)>& take) {
    ssize_t size;
    do size = ::recv(socket_.get(), buffer_.get(), kPiece, MSG_DONTWAIT);
    while (size < 0 && errno == EINTR);
    if (size < 0) return Unexpected{failure(errno)};
    Bytes bytes(buffer_.get(), static_cast<std::size_t>(size));
    while (const auto message = next_message(bytes)) {
        nlmsghdr header;
        std::memcpy(&header, message->data(), sizeof header);
        if (header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR) {
            if (const int error = told_error(*message)) return Unexpected{failure(error)};
            return begin_expectations();
        }
        const auto event = parse_flow(*message);
        if (event)
            take(*event);
        else
            ++refused_[static_cast<std::size_t>(event.error())];
    }
    return true;
}

// False if they were what has ended now.
Expected<bool, SysError> ConntrackDump::begin_expectations() {
    if (std::exchange(flows_are_over_, true)) return false;
    std::uint8_t request[kLongestConntrackMessage];
    const std::size_t size = put_expectation_dump(family_, 2, request);
    if (::send(socket_.get(), request, size, 0) < 0) return Unexpected{failure(errno)};
    return true;
}

}  // namespace carpd
