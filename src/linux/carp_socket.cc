#include "linux/carp_socket.h"

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_sched.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/siphash.h"
#include "wire/ip_packet.h"

namespace carpd {

namespace {

constexpr int kSendBuffer = 4 * 1024 * 1024;
constexpr int kOn = 1;

// Lets an IP packet pass that says CARP and was sent to this host, to a group, or to 00:00:5e:00:xx:xx, which
// to the kernel is another host's even where the card takes it in: flood probes come so (rule N12). A
// promiscuous card also delivers what is meant for others. What has a VLAN's tag comes once more, by the
// VLAN's interface.
std::array<sock_filter, 15> carp_filter() {
    const auto of_the_kernel = [](int what) { return static_cast<std::uint32_t>(SKF_AD_OFF + what); };
    constexpr std::uint32_t kDestinationMac = static_cast<std::uint32_t>(SKF_LL_OFF), kVlanId = 0x0fff;
    constexpr std::uint32_t kIpv4Protocol = 9, kIpv6NextHeader = 6;
    return {{
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, of_the_kernel(SKF_AD_PROTOCOL)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 11),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kIpv6NextHeader),
        BPF_STMT(BPF_JMP | BPF_JA, 1),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kIpv4Protocol),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kCarpProtocol, 0, 7),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, of_the_kernel(SKF_AD_VLAN_TAG)),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kVlanId, 5, 0),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, of_the_kernel(SKF_AD_PKTTYPE)),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, PACKET_MULTICAST, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kDestinationMac),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x00005e00, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
        BPF_STMT(BPF_RET | BPF_K, 0),
    }};
}

bool attach(int fd, std::span<sock_filter> filter) {
    const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

// To all protocols, though two are meant: sockets of one protocol come behind the kernel's own use of it,
// which would copy every packet of this host first.
bool bind_everywhere(int fd) {
    sockaddr_ll everywhere{};
    everywhere.sll_family = AF_PACKET;
    everywhere.sll_protocol = htons(ETH_P_ALL);
    return ::bind(fd, reinterpret_cast<const sockaddr*>(&everywhere), sizeof everywhere) == 0;
}

// No PACKET_QDISC_BYPASS: it would save half a microsecond, but a frame that meets a full ring would be lost.
// Through the queue, at control priority, it goes ahead of bulk traffic instead.
UniqueFd open_sender(int type) {
    UniqueFd socket(::socket(AF_PACKET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int priority = TC_PRIO_CONTROL;
    if (!socket) return socket;
    setsockopt(socket.get(), SOL_SOCKET, SO_PRIORITY, &priority, sizeof priority);
    // What a slow card has not sent yet: room for the announcements of a thousand groups.
    setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kSendBuffer, sizeof kSendBuffer);
    return socket;
}

// Sends whole packets, and hears none: what it stands for is "somebody here speaks protocol 112".
UniqueFd open_raw(Family family) {
    const bool ipv4 = family == Family::ipv4;
    UniqueFd socket(
        ::socket(ipv4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, kCarpProtocol));
    sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
    const int priority = TC_PRIO_CONTROL;
    if (!socket || !attach(socket.get(), nothing) ||
        setsockopt(socket.get(), ipv4 ? IPPROTO_IP : IPPROTO_IPV6, ipv4 ? IP_HDRINCL : IPV6_HDRINCL, &kOn,
                   sizeof kOn) != 0)
        return {};
    setsockopt(socket.get(), SOL_SOCKET, SO_PRIORITY, &priority, sizeof priority);
    return socket;
}

// A control message that names the interface to leave through.
template <class Info>
std::size_t put_control(std::span<char> space, int level, int type, const Info& info) {
    auto* header = reinterpret_cast<cmsghdr*>(space.data());
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(header), &info, sizeof info);
    return CMSG_SPACE(sizeof info);
}

}  // namespace

std::uint64_t packet_digest(const Received& packet) {
    return siphash({static_cast<std::uint64_t>(packet.ifindex), 0}, packet.bytes) | 1;
}

Expected<CarpSocket, SysError> CarpSocket::open() {
    CarpSocket socket;
    if (auto error = socket.open_all()) return Unexpected{std::move(*error)};
    return socket;
}

std::optional<SysError> CarpSocket::open_all() {
    if (!open_receiver()) return SysError{"open a packet socket to receive", "", errno};
    send_ = open_sender(SOCK_RAW);
    send_apart_ = open_sender(SOCK_RAW);
    send_bare_ = open_sender(SOCK_DGRAM);
    if (send_) send_ring_ = SendRing::open(send_.get());
    if (!send_ring_ || !send_apart_ || !send_bare_)
        return SysError{"open a packet socket to send", "", errno};
    raw_ipv4_ = open_raw(Family::ipv4);
    if (!raw_ipv4_) return SysError{"open a raw IPv4 socket", "", errno};
    raw_ipv6_ = open_raw(Family::ipv6);
    // A host without IPv6 is fine.
    if (!raw_ipv6_ && errno != EAFNOSUPPORT) return SysError{"open a raw IPv6 socket", "", errno};
    return std::nullopt;
}

// Protocol 0 receives nothing until bind, so no packet slips in before the filter.
bool CarpSocket::open_receiver() {
    receive_ = UniqueFd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    auto filter = carp_filter();
    if (!receive_ || !attach(receive_.get(), filter)) return false;
    setsockopt(receive_.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &kOn, sizeof kOn);
    receive_ring_ = ReceiveRing::open(receive_.get());
    return receive_ring_ && bind_everywhere(receive_.get());
}

std::span<const Received> CarpSocket::receive() {
    received_.clear();
    receive_ring_->release();
    while (received_.size() < kBatch) {
        const auto packet = receive_ring_->next();
        if (!packet) break;
        const sockaddr_ll& sender = *packet->sender;
        Received received{sender.sll_ifindex, packet->bytes, {}};
        if (sender.sll_halen == received.source_mac.bytes.size())
            std::memcpy(received.source_mac.bytes.data(), sender.sll_addr, sender.sll_halen);
        received_.push_back(received);
    }
    return received_;
}

namespace {

sockaddr_ll destination_of(const OutgoingFrame& frame) {
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = frame.ifindex;
    std::memcpy(&to.sll_protocol, &frame.frame.bytes()[2 * ETH_ALEN],
                sizeof to.sll_protocol);  // both in network order
    return to;
}

bool go_the_same_way(const sockaddr_ll& a, const sockaddr_ll& b) {
    return a.sll_ifindex == b.sll_ifindex && a.sll_protocol == b.sll_protocol;
}

}  // namespace

void CarpSocket::send_frames(std::span<OutgoingFrame> frames) {
    for (OutgoingFrame& frame : frames) frame.sent = false;
    while (!frames.empty()) {
        const sockaddr_ll to = destination_of(frames.front());
        std::size_t count = 0;
        while (count < frames.size() && send_ring_->has_place() &&
               go_the_same_way(destination_of(frames[count]), to))
            send_ring_->put(frames[count++].frame.bytes());
        if (count == 0) {
            send_apart(frames.front(), to);
            frames = frames.subspan(1);
            continue;
        }
        const std::size_t sent = send_ring_->flush(to);
        for (OutgoingFrame& frame : frames.first(sent)) frame.sent = true;
        // One that was refused is passed over; perhaps the others can be sent.
        frames = frames.subspan(sent < count ? sent + 1 : sent);
    }
}

// A slow card still has all that the ring holds: the socket's own buffer takes many more.
void CarpSocket::send_apart(OutgoingFrame& frame, const sockaddr_ll& to) {
    const Bytes bytes = frame.frame.bytes();
    frame.sent = sendto(send_apart_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT,
                        reinterpret_cast<const sockaddr*>(&to), sizeof to) >= 0;
}

// The kernel writes the Ethernet header.
void CarpSocket::send_multicast(int ifindex, Bytes ip_packet, const IpAddress& destination) {
    const MacAddress mac = multicast_mac(destination);
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = ifindex;
    to.sll_protocol = htons(destination.family() == Family::ipv4 ? ETH_P_IP : ETH_P_IPV6);
    to.sll_halen = ETH_ALEN;
    std::memcpy(to.sll_addr, mac.bytes.data(), ETH_ALEN);
    sendto(send_bare_.get(), ip_packet.data(), ip_packet.size(), MSG_DONTWAIT,
           reinterpret_cast<const sockaddr*>(&to), sizeof to);
}

SendOutcome CarpSocket::send_unicast(int ifindex, Bytes ip_packet, const IpAddress& destination) {
    const bool ipv4 = destination.family() == Family::ipv4;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in6_pktinfo))] = {};
    sockaddr_in to4{};
    sockaddr_in6 to6{};
    iovec vector{const_cast<std::uint8_t*>(ip_packet.data()), ip_packet.size()};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control;
    if (ipv4) {
        to4.sin_family = AF_INET;
        std::memcpy(&to4.sin_addr, destination.bytes().data(), 4);
        message.msg_name = &to4;
        message.msg_namelen = sizeof to4;
        in_pktinfo info{};
        info.ipi_ifindex = ifindex;
        message.msg_controllen = put_control(control, IPPROTO_IP, IP_PKTINFO, info);
    } else {
        to6.sin6_family = AF_INET6;
        std::memcpy(&to6.sin6_addr, destination.bytes().data(), 16);
        if (destination.is_link_local()) to6.sin6_scope_id = static_cast<std::uint32_t>(ifindex);
        message.msg_name = &to6;
        message.msg_namelen = sizeof to6;
        in6_pktinfo info{};
        info.ipi6_ifindex = static_cast<unsigned>(ifindex);
        message.msg_controllen = put_control(control, IPPROTO_IPV6, IPV6_PKTINFO, info);
    }
    const int fd = ipv4 ? raw_ipv4_.get() : raw_ipv6_.get();
    if (::sendmsg(fd, &message, MSG_DONTWAIT) >= 0) return SendOutcome::sent;
    return errno == EHOSTUNREACH || errno == EHOSTDOWN ? SendOutcome::unreachable : SendOutcome::failed;
}

void CarpSocket::change_card_filter(int ifindex, int option) {
    for (const Family family : kFamilies) {
        packet_mreq request{};
        request.mr_ifindex = ifindex;
        request.mr_type = PACKET_MR_MULTICAST;
        request.mr_alen = ETH_ALEN;
        const std::uint8_t ipv4_group[ETH_ALEN] = {0x01, 0x00, 0x5e, 0x00, 0x00, 0x12};
        const std::uint8_t ipv6_group[ETH_ALEN] = {0x33, 0x33, 0x00, 0x00, 0x00, 0x12};
        std::memcpy(request.mr_address, family == Family::ipv4 ? ipv4_group : ipv6_group, ETH_ALEN);
        setsockopt(send_.get(), SOL_PACKET, option, &request, sizeof request);
    }
}

namespace {

// Joins or leaves CARP's group on one socket; errno if that failed.
int change_membership_of(int fd, int ifindex, Family family, bool join) {
    const IpAddress group = carp_multicast_group(family);
    int result;
    if (family == Family::ipv4) {
        ip_mreqn request{};
        std::memcpy(&request.imr_multiaddr, group.bytes().data(), 4);
        request.imr_ifindex = ifindex;
        result = setsockopt(fd, IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &request,
                            sizeof request);
    } else {
        ipv6_mreq request{};
        std::memcpy(&request.ipv6mr_multiaddr, group.bytes().data(), 16);
        request.ipv6mr_interface = static_cast<unsigned>(ifindex);
        result =
            setsockopt(fd, IPPROTO_IPV6, join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &request, sizeof request);
    }
    return result == 0 ? 0 : errno;
}

}  // namespace

int CarpSocket::change_membership(int ifindex, Family family, bool join) {
    auto& sockets = members_[static_cast<std::size_t>(family)];
    int error = ENOBUFS;
    for (const UniqueFd& socket : sockets) {
        error = change_membership_of(socket.get(), ifindex, family, join);
        if (error == 0 || error == EADDRINUSE) return 0;
        if (join && error != ENOBUFS && error != ENOMEM) return error;
    }
    if (!join) return 0;
    // Full (net.ipv4.igmp_max_memberships is 20 for one socket): open another.
    UniqueFd socket(::socket(family == Family::ipv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket) return errno;
    error = change_membership_of(socket.get(), ifindex, family, true);
    if (error == 0) sockets.push_back(std::move(socket));
    return error;
}

std::optional<SysError> CarpSocket::join(int ifindex) {
    // The kernel counts these joins; leaving first keeps it at one, however often we are called.
    change_card_filter(ifindex, PACKET_DROP_MEMBERSHIP);
    change_card_filter(ifindex, PACKET_ADD_MEMBERSHIP);
    if (const int error = change_membership(ifindex, Family::ipv4, true))
        return SysError{"join 224.0.0.18", "", error};
    if (raw_ipv6_) {
        if (const int error = change_membership(ifindex, Family::ipv6, true))
            return SysError{"join ff02::12", "", error};
    }
    return std::nullopt;
}

void CarpSocket::leave(int ifindex) {
    change_card_filter(ifindex, PACKET_DROP_MEMBERSHIP);
    for (const Family family : kFamilies) change_membership(ifindex, family, false);
}

}  // namespace carpd
