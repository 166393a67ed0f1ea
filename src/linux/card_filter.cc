#include "linux/card_filter.h"

#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace carpd {

namespace {

// 2001:db8::1:100 -> ff02::1:ff01:100
IpAddress solicited_node(const IpAddress& address) {
    std::array<std::uint8_t, 16> bytes{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0xff};
    std::copy(address.bytes().end() - 3, address.bytes().end(), bytes.end() - 3);
    return IpAddress::from_bytes(bytes);
}

MacAddress multicast_mac(const IpAddress& group) {
    MacAddress mac{{0x33, 0x33}};
    std::copy(group.bytes().end() - 4, group.bytes().end(), mac.bytes.end() - 4);
    return mac;
}

bool is_multicast(const MacAddress& mac) {
    return mac.bytes[0] & 1;
}

int type_of(const MacAddress& mac) {
    return is_multicast(mac) ? PACKET_MR_MULTICAST : PACKET_MR_UNICAST;
}

void change_membership(int socket, int option, int ifindex, const IpAddress& group) {
    ipv6_mreq request{};
    std::memcpy(&request.ipv6mr_multiaddr, group.bytes().data(), group.bytes().size());
    request.ipv6mr_interface = static_cast<unsigned>(ifindex);
    setsockopt(socket, IPPROTO_IPV6, option, &request, sizeof request);
}

}  // namespace

Expected<CardFilter, SysError> CardFilter::open() {
    CardFilter filter;
    filter.packets_ = UniqueFd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    if (!filter.packets_) return Unexpected{SysError{"open a packet socket", "", errno}};
    filter.members_ = UniqueFd(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return filter;
}

void CardFilter::change(int ifindex, int option, int type, const MacAddress& mac) {
    packet_mreq request{};
    request.mr_ifindex = ifindex;
    request.mr_type = static_cast<unsigned short>(type);
    request.mr_alen = static_cast<unsigned short>(mac.bytes.size());
    std::copy(mac.bytes.begin(), mac.bytes.end(), request.mr_address);
    setsockopt(packets_.get(), SOL_PACKET, option, &request, sizeof request);
}

void CardFilter::take_in(int ifindex, const MacAddress& mac) {
    change(ifindex, PACKET_ADD_MEMBERSHIP, type_of(mac), mac);
    if (!is_multicast(mac)) return;
    Member& member = members4_[{ifindex, mac.bytes.back()}];
    if (++member.users > 1) return;
    member.socket = UniqueFd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ip_mreqn request{};
    request.imr_multiaddr.s_addr = htonl(0xe0000100u | mac.bytes.back());  // 224.0.1.x
    request.imr_ifindex = ifindex;
    setsockopt(member.socket.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request);
}

void CardFilter::leave_out(int ifindex, const MacAddress& mac) {
    change(ifindex, PACKET_DROP_MEMBERSHIP, type_of(mac), mac);
    const auto member = members4_.find({ifindex, mac.bytes.back()});
    if (is_multicast(mac) && member != members4_.end() && --member->second.users == 0)
        members4_.erase(member);
}

// The card is told by the packet socket as well: the other has a limit (net.core.optmem_max), beyond which
// only snooping switches would keep the solicitations from us.
void CardFilter::join(int ifindex, const IpAddress& address) {
    const IpAddress group = solicited_node(address);
    if (++joined_[{ifindex, group}] > 1) return;
    change(ifindex, PACKET_ADD_MEMBERSHIP, PACKET_MR_MULTICAST, multicast_mac(group));
    change_membership(members_.get(), IPV6_JOIN_GROUP, ifindex, group);
}

void CardFilter::leave(int ifindex, const IpAddress& address) {
    const IpAddress group = solicited_node(address);
    const auto place = joined_.find({ifindex, group});
    if (place == joined_.end() || --place->second > 0) return;
    joined_.erase(place);
    change(ifindex, PACKET_DROP_MEMBERSHIP, PACKET_MR_MULTICAST, multicast_mac(group));
    change_membership(members_.get(), IPV6_LEAVE_GROUP, ifindex, group);
}

}  // namespace carpd
