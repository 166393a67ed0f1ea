#include "linux/sync_socket.h"

#include <linux/pkt_sched.h>
#include <netinet/ip.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "linux/socket_address.h"

namespace carpd {

namespace {

constexpr int kOn = 1, kHopLimit = 255;
// Datagrams of some hundred milliseconds at full speed: what a peer sends while we inject a burst.
constexpr int kBuffer = 8 * 1024 * 1024;
// Longer ones than we send are received, for a peer's interface may have a larger MTU.
constexpr std::size_t kRoom = 9216;

void set(int fd, int level, int option, int value) {
    setsockopt(fd, level, option, &value, sizeof value);
}

std::optional<SysError> join(int fd, const IpAddress& group, const SyncSocket::Options& options) {
    ipv6_mreq membership{};
    std::memcpy(&membership.ipv6mr_multiaddr, group.bytes().data(), sizeof membership.ipv6mr_multiaddr);
    membership.ipv6mr_interface = static_cast<unsigned>(options.ifindex);
    set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, kOn);
    set(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0);
    if (setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &kHopLimit, sizeof kHopLimit) == 0 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &membership, sizeof membership) == 0)
        return std::nullopt;
    return SysError{"hear hosts that look for peers on", options.interface, errno};
}

// Nothing here is worth a failure but what makes it the right socket.
std::optional<SysError> prepare(int fd, Family family, const SyncSocket::Options& options) {
    const bool ipv4 = family == Family::ipv4;
    const auto failed = [&](const char* what) { return SysError{what, options.interface, errno}; };
    set(fd, SOL_SOCKET, SO_RCVBUFFORCE, kBuffer);
    set(fd, SOL_SOCKET, SO_SNDBUFFORCE, kBuffer);
    set(fd, SOL_SOCKET, SO_PRIORITY, TC_PRIO_INTERACTIVE);
    if (ipv4) {
        set(fd, IPPROTO_IP, IP_TOS, IPTOS_CLASS_CS6);
        set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
        set(fd, IPPROTO_IP, IP_RECVTTL, kOn);
    } else {
        set(fd, IPPROTO_IPV6, IPV6_TCLASS, IPTOS_CLASS_CS6);
        set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
        set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, kOn);
        set(fd, IPPROTO_IPV6, IPV6_V6ONLY, kOn);
    }
    if (setsockopt(fd, ipv4 ? int{IPPROTO_IP} : int{IPPROTO_IPV6}, ipv4 ? IP_TTL : IPV6_UNICAST_HOPS,
                   &kHopLimit, sizeof kHopLimit) != 0)
        return failed("set the hop limit of a synchronisation socket on");
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, options.interface.data(),
                   static_cast<socklen_t>(options.interface.size())) != 0)
        return failed("bind the synchronisation socket to");
    const IpAddress any = IpAddress::any(family);
    const SocketAddress address(any, options.port);
    if (::bind(fd, address.get(), address.size) != 0)
        return failed("open the port for state synchronisation on");
    return options.group && !ipv4 ? join(fd, *options.group, options) : std::nullopt;
}

}  // namespace

struct SyncSocket::Memory {
    struct Place {
        std::uint8_t bytes[kRoom];
        sockaddr_storage from;
        alignas(cmsghdr) std::uint8_t control[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(in6_pktinfo))];
        iovec vector;
    };
    Place places[2 * kAtOnce];
    mmsghdr headers[kAtOnce];
};

SyncSocket::SyncSocket(const Options& options, Counters& counters)
    : ifindex_(options.ifindex),
      port_(options.port),
      routed_(options.routed),
      memory_(new Memory, [](Memory* memory) { delete memory; }),
      counters_(&counters) {
    received_.reserve(2 * kAtOnce);
}

Expected<SyncSocket, SysError> SyncSocket::open(const Options& options, Counters& counters) {
    SyncSocket opened(options, counters);
    for (const Family family : {Family::ipv4, Family::ipv6}) {
        const auto i = static_cast<std::size_t>(family);
        if (!options.families[i]) continue;
        UniqueFd socket(::socket(domain_of(family), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!socket) return Unexpected{SysError{"open a UDP socket", "", errno}};
        if (auto error = prepare(socket.get(), family, options)) return Unexpected{*error};
        opened.sockets_[i] = std::move(socket);
    }
    return opened;
}

std::span<const SyncSocket::Received> SyncSocket::receive() {
    received_.clear();
    for (const Family family : {Family::ipv4, Family::ipv6})
        if (sockets_[static_cast<std::size_t>(family)]) receive(family);
    return received_;
}

namespace {

struct Told {
    int hop_limit = -1;  // it isn't told
    bool to_group = false;
};

Told told_of(msghdr& header) {
    Told told;
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
        if ((part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_TTL) ||
            (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_HOPLIMIT))
            std::memcpy(&told.hop_limit, CMSG_DATA(part), sizeof told.hop_limit);
        if (part->cmsg_level != IPPROTO_IPV6 || part->cmsg_type != IPV6_PKTINFO) continue;
        in6_pktinfo arrived;
        std::memcpy(&arrived, CMSG_DATA(part), sizeof arrived);
        told.to_group = IN6_IS_ADDR_MULTICAST(&arrived.ipi6_addr);
    }
    return told;
}

}  // namespace

void SyncSocket::receive(Family family) {
    const auto which = static_cast<std::size_t>(family);
    Memory::Place* const places = memory_->places + which * kAtOnce;
    for (std::size_t i = 0; i < kAtOnce; ++i) {
        Memory::Place& place = places[i];
        place.vector = {place.bytes, kRoom};
        memory_->headers[i].msg_hdr = {
            &place.from, sizeof place.from, &place.vector, 1, place.control, sizeof place.control, 0};
    }
    const int count = ::recvmmsg(sockets_[which].get(), memory_->headers, kAtOnce, MSG_DONTWAIT, nullptr);
    for (int i = 0; i < count; ++i) {
        mmsghdr& header = memory_->headers[i];
        const Told told = told_of(header.msg_hdr);
        if ((header.msg_hdr.msg_flags & MSG_TRUNC) != 0) {
            ++counters_->too_long;
        } else if (!routed_ && told.hop_limit != kHopLimit) {
            ++counters_->routed;
        } else {
            received_.push_back({address_of(reinterpret_cast<const sockaddr*>(&places[i].from)),
                                 {places[i].bytes, header.msg_len},
                                 told.to_group});
        }
    }
}

std::size_t SyncSocket::send(const IpAddress& destination, std::span<const Bytes> datagrams) {
    const SocketAddress to(destination, port_, ifindex_);
    std::array<mmsghdr, kAtOnce> headers{};
    std::array<iovec, kAtOnce> vectors;
    const std::size_t count = std::min(datagrams.size(), kAtOnce);
    for (std::size_t i = 0; i < count; ++i) {
        vectors[i] = {const_cast<std::uint8_t*>(datagrams[i].data()), datagrams[i].size()};
        headers[i].msg_hdr.msg_name = const_cast<sockaddr_storage*>(&to.storage);
        headers[i].msg_hdr.msg_namelen = to.size;
        headers[i].msg_hdr.msg_iov = &vectors[i];
        headers[i].msg_hdr.msg_iovlen = 1;
    }
    const int fd = sockets_[static_cast<std::size_t>(destination.family())].get();
    const int taken = ::sendmmsg(fd, headers.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
    return taken > 0 ? static_cast<std::size_t>(taken) : 0;
}

}  // namespace carpd
