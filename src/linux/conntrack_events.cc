#include "linux/conntrack_events.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_compat.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

#include <algorithm>
#include <cerrno>

namespace carpd {

namespace {

constexpr std::uint32_t kGroups =
    NF_NETLINK_CONNTRACK_NEW | NF_NETLINK_CONNTRACK_UPDATE | NF_NETLINK_CONNTRACK_DESTROY;

// Drops messages that name this port as the one who caused them.
bool ignore_port(int fd, std::uint32_t port) {
    // The header is in the host's byte order, and the filter reads in network order.
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(nlmsghdr, nlmsg_pid)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(port), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
    };
    const sock_fprog program{std::size(code), code};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

void set_buffer(int fd, std::size_t size) {
    const int half = static_cast<int>(std::min<std::size_t>(size / 2, 1 << 30));  // the kernel doubles it
    // In a user namespace that isn't the host's only the limit that the host allows can be had.
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &half, sizeof half) != 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &half, sizeof half);
}

}  // namespace

ConntrackEvents::ConntrackEvents(UniqueFd socket)
    : socket_(std::move(socket)), memory_(std::make_unique<Memory>()) {
    events_.reserve(kAtOnce);
    for (std::size_t i = 0; i < kAtOnce; ++i) {
        memory_->places[i] = {memory_->bytes[i], kLongest};
        memory_->headers[i].msg_hdr.msg_iov = &memory_->places[i];
        memory_->headers[i].msg_hdr.msg_iovlen = 1;
    }
}

Expected<ConntrackEvents, SysError> ConntrackEvents::open(const Options& options) {
    UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
    const auto failed = [] { return Unexpected{SysError{"watch connection tracking", "", errno}}; };
    if (!socket) return failed();
    set_buffer(socket.get(), options.buffer);
    // Before it hears anything.
    if (options.ignored_port != 0 && !ignore_port(socket.get(), options.ignored_port)) return failed();
    const sockaddr_nl groups{AF_NETLINK, 0, 0, kGroups};
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&groups), sizeof groups) != 0) return failed();
    return ConntrackEvents(std::move(socket));
}

void ConntrackEvents::hear_all(bool all) {
    for (const int group : {NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE})
        CARPD_ASSERT(setsockopt(socket_.get(), SOL_NETLINK,
                                all ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP, &group,
                                sizeof group) == 0);
}

ConntrackEvents::Batch ConntrackEvents::read() {
    events_.clear();
    int count = 0;
    while ((count = ::recvmmsg(socket_.get(), memory_->headers, kAtOnce, MSG_DONTWAIT, nullptr)) < 0) {
        if (errno == ENOBUFS) losing_ = true;
        if (errno != ENOBUFS && errno != EINTR) break;
    }
    for (int i = 0; i < count; ++i) take(Bytes(memory_->bytes[i], memory_->headers[i].msg_len));  // one event

    Batch batch;
    batch.events = events_;
    batch.more = count == static_cast<int>(kAtOnce);
    if (!losing_ || batch.more) return batch;
    losing_ = false;
    batch.lost = count_losses();
    return batch;
}

void ConntrackEvents::take(Bytes datagram) {
    const auto event = parse_flow(datagram);
    if (event)
        events_.push_back(*event);
    else
        ++refused_[static_cast<std::size_t>(event.error())];
}

// The kernel counts what it drops, in 32 bits.
std::uint32_t ConntrackEvents::count_losses() {
    std::uint32_t numbers[SK_MEMINFO_VARS] = {};
    socklen_t size = sizeof numbers;
    getsockopt(socket_.get(), SOL_SOCKET, SO_MEMINFO, numbers, &size);
    const std::uint32_t drops = numbers[SK_MEMINFO_DROPS];
    return std::max(1u, drops - std::exchange(drops_, drops));
}

}  // namespace carpd
