#include "linux/conntrack_events.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_compat.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

#include <algorithm>
#include <cerrno>

namespace carpd {

namespace {

constexpr std::uint32_t kGroups = NF_NETLINK_CONNTRACK_NEW | NF_NETLINK_CONNTRACK_UPDATE |
                                  NF_NETLINK_CONNTRACK_DESTROY | NF_NETLINK_CONNTRACK_EXP_NEW |
                                  NF_NETLINK_CONNTRACK_EXP_DESTROY;

// ---- the filter in the kernel

constexpr std::uint32_t kAttributes = NLMSG_HDRLEN + sizeof(nfgenmsg);  // where they begin
constexpr std::uint8_t kSynSent = 1;                                    // enum tcp_conntrack
constexpr std::uint8_t kDrop = 254, kKeep = 255;  // jumps to the ends are written as these offsets first

// Puts the place of the attribute `type` into A: one of the message's, or of those nested in A's.
void find_attribute(std::vector<sock_filter>& code, std::uint32_t type, bool nested) {
    if (!nested) code.push_back(BPF_STMT(BPF_LD | BPF_IMM, kAttributes));
    code.push_back(BPF_STMT(BPF_LDX | BPF_IMM, type));
    code.push_back(
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS,
                 static_cast<std::uint32_t>(SKF_AD_OFF + (nested ? SKF_AD_NLATTR_NEST : SKF_AD_NLATTR))));
}

// Those of a new TCP connection that nobody has answered end at kDrop, all others at kKeep.
template <class Jump>
void drop_unanswered(std::vector<sock_filter>& code, const Jump& jump) {
    code.push_back(BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(nlmsghdr, nlmsg_type)));
    jump(BPF_JEQ, htons(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW), 0, kKeep);
    code.push_back(BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(nlmsghdr, nlmsg_flags)));
    jump(BPF_JSET, htons(NLM_F_CREATE), 0, kKeep);
    for (const std::uint32_t type : {CTA_HELP, CTA_TUPLE_MASTER, CTA_LABELS}) {
        find_attribute(code, type, false);
        jump(BPF_JEQ, 0, 0, kKeep);
    }
    find_attribute(code, CTA_PROTOINFO, false);
    for (const std::uint32_t type :
         {std::uint32_t{CTA_PROTOINFO_TCP}, std::uint32_t{CTA_PROTOINFO_TCP_STATE}}) {
        jump(BPF_JEQ, 0, kKeep, 0);
        find_attribute(code, type, true);
    }
    jump(BPF_JEQ, 0, kKeep, 0);
    code.push_back(BPF_STMT(BPF_MISC | BPF_TAX, 0));
    code.push_back(BPF_STMT(BPF_LD | BPF_B | BPF_IND, NLA_HDRLEN));
    jump(BPF_JEQ, kSynSent, kDrop, kKeep);
}

// Drops what was done through the socket with this port (0: nothing was), and of the events that nobody wants
// to hear (sync/filter.h) those that are a third of all where TCP connections are short, unless they are
// wanted: a new one that nobody has answered, if it hasn't what no later event tells.
std::vector<sock_filter> make_filter(const ConntrackEvents::Options& options) {
    std::vector<sock_filter> code;
    const auto jump = [&](std::uint16_t test, std::uint32_t value, std::uint8_t then,
                          std::uint8_t otherwise) {
        code.push_back(BPF_JUMP(static_cast<std::uint16_t>(BPF_JMP | test | BPF_K), value, then, otherwise));
    };
    // Headers are in the host's byte order, and the filter reads in network order.
    if (options.ignored_port != 0) {
        code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(nlmsghdr, nlmsg_pid)));
        jump(BPF_JEQ, htonl(options.ignored_port), kDrop, 0);
    }
    if (options.unanswered)
        code.push_back(BPF_STMT(BPF_RET | BPF_K, 0xffffffff));
    else
        drop_unanswered(code, jump);

    const std::size_t end = code.size();
    code.push_back(BPF_STMT(BPF_RET | BPF_K, 0));
    code.push_back(BPF_STMT(BPF_RET | BPF_K, 0xffffffff));
    for (std::size_t i = 0; i < end; ++i)
        for (std::uint8_t* target : {&code[i].jt, &code[i].jf})
            if (*target >= kDrop) *target = static_cast<std::uint8_t>(end - i - 1 + (*target - kDrop));
    return code;
}

bool set_filter(int fd, const ConntrackEvents::Options& options) {
    std::vector<sock_filter> code = make_filter(options);
    const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
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
    if (!set_filter(socket.get(), options)) return failed();
    const sockaddr_nl groups{AF_NETLINK, 0, 0, kGroups};
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&groups), sizeof groups) != 0) return failed();
    return ConntrackEvents(std::move(socket));
}

void ConntrackEvents::hear_all(bool all) {
    for (const int group : {NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_EXP_NEW})
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
