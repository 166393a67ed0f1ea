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
    return std::nullopt;
}

}  // namespace

struct SyncSocket::Memory {
    struct Place {
        std::uint8_t bytes[kRoom];
        sockaddr_storage from;
        alignas(cmsghdr) std::uint8_t control[CMSG_SPACE(sizeof(int))];
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

// -1: it isn't told.
int hop_limit(msghdr& header) {
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
        const bool is_it = (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_TTL) ||
                           (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_HOPLIMIT);
        int value = 0;
        if (!is_it) continue;
        std::memcpy(&value, CMSG_DATA(part), sizeof value);
        return value;
    }
    return -1;
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
        if ((header.msg_hdr.msg_flags & MSG_TRUNC) != 0) {
            ++counters_->too_long;
        } else if (!routed_ && hop_limit(header.msg_hdr) != kHopLimit) {
            ++counters_->routed;
        } else {
            received_.push_back({address_of(reinterpret_cast<const sockaddr*>(&places[i].from)),
                                 {places[i].bytes, header.msg_len}});
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
