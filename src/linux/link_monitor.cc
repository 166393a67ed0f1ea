#include "linux/link_monitor.h"

#include <linux/if_addr.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "linux/netlink_attributes.h"

namespace carpd {

namespace {

constexpr int kReceiveBuffer = 4 * 1024 * 1024;

constexpr std::uint32_t kGroups =
    RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_TC | 1u << (RTNLGRP_IPV6_NETCONF - 1);

void note(std::vector<std::string>& names, const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

void note_loss(LinkMonitor::Changes& changes, const std::string& name) {
    note(changes.changed, name);
    note(changes.deprived, name);
}

bool same_place(const LinkAddress& a, const LinkAddress& b) {
    return a.ifindex == b.ifindex && a.address == b.address;
}

}  // namespace

Expected<LinkMonitor, SysError> LinkMonitor::open(Netlink& netlink) {
    UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
    const sockaddr_nl groups{AF_NETLINK, 0, 0, kGroups};
    if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&groups), sizeof groups) != 0)
        return Unexpected{SysError{"watch the network interfaces", "", errno}};
    setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer);
    LinkMonitor monitor(netlink, std::move(socket));
    if (auto error = monitor.resync()) return Unexpected{std::move(*error)};
    return monitor;
}

LinkMonitor::Changes LinkMonitor::drain() {
    Changes changes;
    alignas(nlmsghdr) char buffer[32 * 1024];
    for (;;) {
        const ssize_t size = ::recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && errno == ENOBUFS) {
            stale_ = true;
            continue;
        }
        if (size < 0) break;
        int left = static_cast<int>(size);
        for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer); mnl_nlmsg_ok(message, left);
             message = mnl_nlmsg_next(message, &left))
            apply(*message, changes);
    }
    if (stale_) {
        for (const Interface& interface : interfaces_) note_loss(changes, interface.name());
        if (!resync()) stale_ = false;
        for (const Interface& interface : interfaces_) note_loss(changes, interface.name());
    }
    return changes;
}

std::optional<SysError> LinkMonitor::resync() {
    auto links = netlink_->links();
    if (!links) return links.error();
    auto addresses = netlink_->addresses();
    if (!addresses) return addresses.error();
    interfaces_.clear();
    for (Link& link : *links) interfaces_.push_back({std::move(link), {}});
    for (const LinkAddress& address : *addresses) {
        Interface* interface = find_mutable(address.ifindex);
        if (interface && address.ifindex != kLoopback) interface->addresses.push_back(address);
    }
    return std::nullopt;
}

void LinkMonitor::apply(const nlmsghdr& message, Changes& changes) {
    const auto type = message.nlmsg_type;
    if (type == RTM_NEWLINK || type == RTM_DELLINK) {
        auto link = parse_link(message);
        if (!link) return;
        type == RTM_NEWLINK ? put_link(std::move(*link), changes) : remove_link(link->ifindex, changes);
    } else if (type == RTM_NEWADDR || type == RTM_DELADDR) {
        apply_address(message, changes);
    } else if (type == RTM_DELQDISC || type == RTM_DELTFILTER) {
        const auto& body = *static_cast<const tcmsg*>(mnl_nlmsg_get_payload(&message));
        if (const Interface* interface = find(body.tcm_ifindex)) note(changes.deprived, interface->name());
    } else if (type == RTM_NEWNETCONF) {
        const auto found = attributes<NETCONFA_MAX>(message, sizeof(netconfmsg));
        const Interface* interface = find(static_cast<int>(get_u32(found[NETCONFA_IFINDEX])));
        if (interface != nullptr && found[NETCONFA_FORWARDING] != nullptr)
            note(changes.changed, interface->name());
    }
}

void LinkMonitor::apply_address(const nlmsghdr& message, Changes& changes) {
    const auto address = parse_address(message);
    Interface* interface = address ? find_mutable(address->ifindex) : nullptr;
    if (interface == nullptr) return;
    const bool is_there = message.nlmsg_type == RTM_NEWADDR;
    if (interface->ifindex() == kLoopback) {  // they aren't kept, see Interface
        if (!is_there) changes.lost.push_back(*address);
        return;
    }
    if (!update_addresses(interface->addresses, *address, is_there)) return;
    note(changes.changed, interface->name());
    if (!is_there) changes.lost.push_back(*address);
}

void LinkMonitor::put_link(Link link, Changes& changes) {
    Interface* interface = find_mutable(link.ifindex);
    if (interface == nullptr) {
        note(changes.changed, link.name);
        interfaces_.push_back({std::move(link), {}});
        return;
    }
    if (interface->link == link) return;
    note_loss(changes, interface->name());
    note_loss(changes, link.name);
    interface->link = std::move(link);
}

void LinkMonitor::remove_link(int ifindex, Changes& changes) {
    const Interface* interface = find(ifindex);
    if (interface == nullptr) return;
    note_loss(changes, interface->name());
    interfaces_.erase(interfaces_.begin() + (interface - interfaces_.data()));
}

bool LinkMonitor::update_addresses(std::vector<LinkAddress>& addresses, const LinkAddress& address,
                                   bool present) {
    const auto place = std::find_if(addresses.begin(), addresses.end(),
                                    [&](const LinkAddress& a) { return same_place(a, address); });
    if (place == addresses.end()) {
        if (present) addresses.push_back(address);
        return present;
    }
    if (!present) {
        addresses.erase(place);
        return true;
    }
    return std::exchange(*place, address) != address;
}

const Interface* LinkMonitor::find(std::string_view name) const {
    const auto place = std::find_if(interfaces_.begin(), interfaces_.end(),
                                    [name](const Interface& i) { return i.name() == name; });
    return place == interfaces_.end() ? nullptr : &*place;
}

const Interface* LinkMonitor::find(int ifindex) const {
    const auto place = std::find_if(interfaces_.begin(), interfaces_.end(),
                                    [ifindex](const Interface& i) { return i.ifindex() == ifindex; });
    return place == interfaces_.end() ? nullptr : &*place;
}

Interface* LinkMonitor::find_mutable(int ifindex) {
    return const_cast<Interface*>(find(ifindex));
}

LinkStatus link_status(const Interface* interface, const std::function<bool(const IpAddress&)>& is_shared) {
    LinkStatus status;
    if (interface == nullptr) return status;
    status.present = true;
    status.up = interface->up();
    status.running = interface->running();
    for (const LinkAddress& address : interface->addresses) {
        const IpAddress& ip = address.address.address;
        // The kernel refuses to send from an address that is still tentative or turned out to be a duplicate.
        if (is_shared(ip) || address.flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) continue;
        IpAddress& source = ip.family() == Family::ipv4 ? status.source4 : status.source6;
        const bool better = ip.is_link_local() && !source.is_link_local();
        if (source.is_unspecified() || better) source = ip;
        const bool global = ip.family() == Family::ipv6 && !ip.is_link_local();
        if (global && status.global6.is_unspecified()) status.global6 = ip;
    }
    return status;
}

}  // namespace carpd
