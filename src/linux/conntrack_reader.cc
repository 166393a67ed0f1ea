#include "linux/conntrack_reader.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace carpd {

Expected<ConntrackReader, SysError> ConntrackReader::open() {
    UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    if (!socket) return Unexpected{SysError{"open a connection-tracking socket", "", errno}};
    return ConntrackReader(std::move(socket));
}

std::optional<FlowEvent> ConntrackReader::read(const FlowTuple& tuple, std::uint16_t zone) {
    std::uint8_t buffer[4096];  // an entry takes a few hundred bytes
    const std::size_t size = put_get(tuple, zone, ++sequence_, buffer);
    if (::send(socket_.get(), buffer, size, 0) < 0) return std::nullopt;
    for (;;) {
        const ssize_t got = ::recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return std::nullopt;
        Bytes bytes(buffer, static_cast<std::size_t>(got));
        const auto message = next_message(bytes);
        if (!message) continue;
        nlmsghdr header;
        std::memcpy(&header, message->data(), sizeof header);
        if (header.nlmsg_seq != sequence_) continue;  // an answer to something older
        auto event = parse_flow(*message);
        if (!event) return std::nullopt;
        event->kind = FlowEvent::Kind::changed;
        event->tells_protocol = event->tells_labels = event->tells_sequence = true;
        return *event;
    }
}

}  // namespace carpd
