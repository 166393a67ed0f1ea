#include "linux/data_plane.h"

#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "linux/log.h"
#include "linux/sysctl.h"
#include "wire/neighbor.h"

namespace carpd {

namespace {

// Each group's own routing table, and the metric of its routes in the main one: both are worse than anything
// an administrator sets, and differ between groups.
constexpr std::uint32_t kFirstTable = 11'200'000;
constexpr std::uint32_t kFirstMetric = 0xff000000;
constexpr std::uint32_t kRulePriority = 112;

template <class T>
bool contains(const std::vector<T>& values, const T& value) {
    return std::find(values.begin(), values.end(), value) != values.end();
}

// The elements of `a` that are not in `b`, each given to `then`.
template <class T, class F>
void for_each_missing(const std::vector<T>& a, const std::vector<T>& b, F then) {
    for (const T& value : a) {
        if (!contains(b, value)) then(value);
    }
}

LinkAddress host_address(int ifindex, const IpAddress& address) {
    return {ifindex, {address, address.bit_count()}};
}

// 192.0.2.100/24 -> 192.0.2.0/24
InterfaceAddress prefix_of(const InterfaceAddress& address) {
    std::array<std::uint8_t, 16> bytes{};
    const Bytes own = address.address.bytes();
    for (unsigned bit = 0; bit < address.prefix_length; ++bit)
        bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] | (own[bit / 8] & (0x80u >> (bit % 8))));
    return {IpAddress::from_bytes(Bytes(bytes).first(own.size())), address.prefix_length};
}

std::string ipv4_setting(const std::string& device, const char* name) {
    return "ipv4/conf/" + device + "/" + name;
}
std::string ipv6_setting(const std::string& device, const char* name) {
    return "ipv6/conf/" + device + "/" + name;
}

bool log_error(const Netlink::Outcome& outcome) {
    if (outcome.error) log(LogLevel::error, outcome.error->to_string());
    return outcome.error.has_value();
}

// What the macvlan needs of the network stack, before it is brought up.
void tune_device(const std::string& device) {
    write_sysctl(ipv6_setting(device, "disable_ipv6"), 1);
    write_sysctl(ipv4_setting(device, "forwarding"), 0);
    // It answers for its own addresses only, not for the parent's.
    write_sysctl(ipv4_setting(device, "arp_ignore"), 1);
    write_sysctl(ipv4_setting(device, "arp_announce"), 2);
    write_sysctl(ipv6_setting(device, "accept_ra"), 0);
    write_sysctl(ipv6_setting(device, "autoconf"), 0);
    // Clients whose gateway is the address reach us here, while their route points to the parent: strict
    // reverse path filtering would drop what they want forwarded. The kernel takes the larger of both values;
    // 2 is loose.
    const int strict = std::max(read_sysctl(ipv4_setting("all", "rp_filter")).value_or(0),
                                read_sysctl(ipv4_setting(device, "rp_filter")).value_or(0));
    if (strict == 1) write_sysctl(ipv4_setting(device, "rp_filter"), 2);
}

}  // namespace

DataPlane::Group* DataPlane::find(GroupId id) {
    const auto place = groups_.find(id);
    return place == groups_.end() ? nullptr : &place->second;
}

const DataPlane::Group* DataPlane::find(GroupId id) const {
    return const_cast<DataPlane*>(this)->find(id);
}

std::optional<SysError> DataPlane::prepare(GroupId id, const GroupConfig& config, const Interface& parent) {
    const Group* known = find(id);
    if (known != nullptr && (known->parent != parent.ifindex() || known->mode != config.mac)) release(id);
    Group& group = groups_[id];
    const bool is_new = group.parent == 0;
    group.parent_name = parent.name();
    if (!is_new) {
        follow_parent(group, parent);
        return std::nullopt;
    }
    group.mode = config.mac;
    group.parent = parent.ifindex();
    std::optional<SysError> error;
    if (group.mode == MacMode::interface_mac) {
        group.ifindex = parent.ifindex();
        group.device = parent.name();
        group.mac = parent.mac();
    } else {
        group.device = "carp" + std::to_string(group.parent) + "." + std::to_string(config.vhid.value);
        group.mac = virtual_mac(config.vhid);
        borrow_arp(group);
        error = make_device(group, config);
    }
    if (error) release(id);
    return error;
}

std::optional<SysError> DataPlane::make_device(Group& group, const GroupConfig& config) {
    NetlinkBatch add;
    add.add_macvlan(group.device, group.parent, group.mac);
    if (auto outcome = netlink_->run(add); outcome.error) return outcome.error;
    group.ifindex = static_cast<int>(if_nametoindex(group.device.c_str()));

    const ArpSettings& arp = arp_[group.parent];
    std::string alias = std::string(kDeviceAliasPrefix) + config.name;
    if (arp.ignore) alias += " arp_ignore=" + std::to_string(*arp.ignore);
    if (arp.announce) alias += " arp_announce=" + std::to_string(*arp.announce);
    tune_device(group.device);
    NetlinkBatch configure;
    configure.set_alias(group.ifindex, alias);
    configure.stop_address_generation(group.ifindex);
    configure.set_up(group.ifindex, true);
    return netlink_->run(configure).error;
}

// Lets the network stack use the device as it uses the parent.
void DataPlane::open_device(const Group& group, bool with_ipv6) {
    for (const auto setting : {ipv4_setting, ipv6_setting}) {
        const auto forwarding = read_sysctl(setting(group.parent_name, "forwarding"));
        if (forwarding && forwarding != read_sysctl(setting(group.device, "forwarding")))
            write_sysctl(setting(group.device, "forwarding"), *forwarding);
    }
    if (with_ipv6) write_sysctl(ipv6_setting(group.device, "disable_ipv6"), 0);
}

// Turning IPv6 off takes its addresses away without telling the network that their multicast groups are left:
// that would be the virtual MAC's last word here, after its first on the host that took over.
void DataPlane::close_device(const Group& group) {
    write_sysctl(ipv6_setting(group.device, "disable_ipv6"), 1);
    write_sysctl(ipv4_setting(group.device, "forwarding"), 0);
}

// The same interface, perhaps renamed, or with another MAC or MTU.
void DataPlane::follow_parent(Group& group, const Interface& parent) {
    if (group.mode == MacMode::interface_mac) {
        group.device = parent.name();
        group.mac = parent.mac();
        return;
    }
    // The kernel lowers a macvlan's MTU with its parent's, but doesn't raise it again.
    const auto link = netlink_->link(group.ifindex);
    if (!link || !*link || (*link)->mtu == parent.link.mtu) return;
    NetlinkBatch batch;
    batch.set_mtu(group.ifindex, parent.link.mtu);
    log_error(netlink_->run(batch));
}

// Replies from the address must leave through the macvlan to carry its MAC, although the parent's route to
// the same subnet is better: a rule sends them to a table of the group's own. In the main table, a route for
// hosts whose interface has no address of its own in that subnet; it loses to any other.
DataPlane::Holdings DataPlane::wanted_holdings(GroupId id, const Group& group,
                                               const GroupConfig& config) const {
    Holdings wanted;
    for (const InterfaceAddress& address : config.addresses) {
        const IpAddress& ip = address.address;
        wanted.addresses.push_back(ip);
        if (group.mode == MacMode::virtual_mac)
            wanted.rules.push_back({ip, kFirstTable + id, kRulePriority, kOurProtocol});
        if (address.prefix_length == ip.bit_count()) continue;
        Route route;
        route.destination = prefix_of(address);
        route.ifindex = group.ifindex;
        route.protocol = kOurProtocol;
        if (group.mode == MacMode::virtual_mac) {
            route.table = kFirstTable + id;
            if (!contains(wanted.routes, route)) wanted.routes.push_back(route);
        }
        route = {route.destination, group.ifindex, RT_TABLE_MAIN, kFirstMetric + id, kOurProtocol, {}, ip};
        const bool same_subnet = std::any_of(wanted.routes.begin(), wanted.routes.end(), [&](const Route& r) {
            return r.table == route.table && r.destination == route.destination;
        });
        if (!same_subnet) wanted.routes.push_back(route);
    }
    return wanted;
}

bool DataPlane::install(GroupId id, const GroupConfig& config) {
    Group* group = find(id);
    if (group == nullptr) return false;
    Holdings wanted = wanted_holdings(id, *group, config);
    const Holdings& had = group->holdings;
    NetlinkBatch batch;
    if (group->mode == MacMode::virtual_mac) open_device(*group, config.has(Family::ipv6));
    for_each_missing(wanted.addresses, had.addresses,
                     [&](const IpAddress& a) { batch.add_address(group->ifindex, a, kOurProtocol); });
    for_each_missing(had.rules, wanted.rules, [&](const Rule& r) { batch.delete_rule(r); });
    for_each_missing(had.routes, wanted.routes, [&](const Route& r) { batch.delete_route(r); });
    for_each_missing(wanted.rules, had.rules, [&](const Rule& r) { batch.add_rule(r); });
    for_each_missing(wanted.routes, had.routes, [&](const Route& r) { batch.add_route(r); });
    for_each_missing(had.addresses, wanted.addresses,
                     [&](const IpAddress& a) { batch.delete_address(host_address(group->ifindex, a)); });
    group->holdings = std::move(wanted);
    group->installed = true;
    return !log_error(netlink_->run(batch));
}

void DataPlane::withdraw(GroupId id) {
    Group* group = find(id);
    if (group == nullptr || !group->installed) return;
    if (group->mode == MacMode::virtual_mac) close_device(*group);
    NetlinkBatch batch;
    for (const IpAddress& address : group->holdings.addresses)
        batch.delete_address(host_address(group->ifindex, address));
    for (const Rule& rule : group->holdings.rules) batch.delete_rule(rule);
    for (const Route& route : group->holdings.routes) batch.delete_route(route);
    group->holdings = {};
    group->installed = false;
    const auto outcome = netlink_->run(batch);
    if (outcome.error && outcome.error->error != ENODEV) log(LogLevel::error, outcome.error->to_string());
}

void DataPlane::announce(GroupId id, const GroupConfig& config, CarpSocket& socket) {
    const Group* group = find(id);
    if (group == nullptr) return;
    const bool router = config.has(Family::ipv6) &&
                        read_sysctl(ipv6_setting(group->parent_name, "forwarding")).value_or(0) != 0;
    for (const InterfaceAddress& address : config.addresses) {
        const IpAddress& ip = address.address;
        if (ip.family() == Family::ipv6) {
            socket.send_frame(group->parent, neighbor_advertisement(group->mac, ip, router).bytes());
        } else {
            for (const auto operation : {ArpOperation::request, ArpOperation::reply})
                socket.send_frame(group->parent, gratuitous_arp(operation, group->mac, ip).bytes());
        }
    }
}

bool DataPlane::renew(GroupId id, const GroupConfig& config) {
    Group* group = find(id);
    if (group == nullptr) return false;
    NetlinkBatch batch;
    bool is_remade = false;
    if (group->mode == MacMode::virtual_mac) {
        const auto link = netlink_->link(group->ifindex);
        if (!link) return false;
        is_remade = !link->has_value();
        // Where that fails the interface itself is gone.
        if (is_remade && make_device(*group, config)) return false;
        if (!is_remade && (*link)->mac != group->mac) batch.set_mac(group->ifindex, group->mac);
        if (!is_remade && !(*link)->up) batch.set_up(group->ifindex, true);
        if (group->installed) open_device(*group, config.has(Family::ipv6));
    }
    if (is_remade && group->installed) group->holdings = wanted_holdings(id, *group, config);
    // Adding what is there changes nothing, so there is no need to look first.
    for (const IpAddress& address : group->holdings.addresses)
        batch.add_address(group->ifindex, address, kOurProtocol);
    for (const Rule& rule : group->holdings.rules) batch.add_rule(rule);
    const bool is_repaired = netlink_->run(batch).changed != 0 || is_remade;
    NetlinkBatch routes;
    for (const Route& route : group->holdings.routes) {
        // With an address the kernel takes its routes, or only their preferred source.
        if (is_repaired) routes.delete_route(route);
        routes.add_route(route);
    }
    return netlink_->run(routes).changed != 0 || is_repaired;
}

void DataPlane::release(GroupId id) {
    Group* group = find(id);
    if (group == nullptr) return;
    withdraw(id);
    if (group->mode == MacMode::virtual_mac) {
        const auto link = netlink_->link(group->ifindex);
        const bool is_there = group->ifindex != 0 && link && *link && (*link)->name == group->device;
        NetlinkBatch batch;
        if (is_there) batch.delete_link(group->ifindex);
        log_error(netlink_->run(batch));
        return_arp(*group);
    }
    groups_.erase(id);
}

// The parent must not answer for addresses on its macvlans, nor ask with them as the sender: either would
// tell the LAN that they are at the parent's MAC.
void DataPlane::borrow_arp(const Group& group) {
    ArpSettings& arp = arp_[group.parent];
    if (++arp.users > 1) return;
    const auto raise = [&](const char* name, int value) -> std::optional<int> {
        const auto before = read_sysctl(ipv4_setting(group.parent_name, name));
        if (!before || *before >= value || !write_sysctl(ipv4_setting(group.parent_name, name), value))
            return std::nullopt;
        return before;
    };
    arp.ignore = raise("arp_ignore", 1);
    arp.announce = raise("arp_announce", 2);
}

void DataPlane::return_arp(const Group& group) {
    ArpSettings& arp = arp_[group.parent];
    if (--arp.users > 0) return;
    if (arp.ignore) write_sysctl(ipv4_setting(group.parent_name, "arp_ignore"), *arp.ignore);
    if (arp.announce) write_sysctl(ipv4_setting(group.parent_name, "arp_announce"), *arp.announce);
    arp_.erase(group.parent);
}

MacAddress DataPlane::mac_of(GroupId id) const {
    const Group* group = find(id);
    return group == nullptr ? MacAddress{} : group->mac;
}

std::string_view DataPlane::device(GroupId id) const {
    const Group* group = find(id);
    return group == nullptr ? std::string_view() : group->device;
}

bool DataPlane::is_ours(const IpAddress& address) const {
    return std::any_of(groups_.begin(), groups_.end(), [&address](const auto& entry) {
        return contains(entry.second.holdings.addresses, address);
    });
}

namespace {

// The number behind " NAME=" in a macvlan's alias, as make_device() wrote it.
std::optional<int> remembered(const std::string& alias, const std::string& name) {
    const std::size_t place = alias.rfind(" " + name + "=");
    if (place == std::string::npos) return std::nullopt;
    return std::atoi(alias.c_str() + place + name.size() + 2);
}

void restore_arp(const Link& leftover, const std::vector<Link>& links) {
    const auto parent =
        std::find_if(links.begin(), links.end(), [&](const Link& l) { return l.ifindex == leftover.parent; });
    if (parent == links.end()) return;
    for (const char* name : {"arp_ignore", "arp_announce"}) {
        if (const auto value = remembered(leftover.alias, name))
            write_sysctl(ipv4_setting(parent->name, name), *value);
    }
}

bool is_leftover(const Link& link) {
    return link.kind == "macvlan" && link.alias.starts_with(kDeviceAliasPrefix);
}

bool is_configured(const LinkAddress& address, const std::string& interface,
                   const std::vector<GroupConfig>& groups) {
    return std::any_of(groups.begin(), groups.end(), [&](const GroupConfig& group) {
        return group.interface == interface &&
               std::any_of(group.addresses.begin(), group.addresses.end(),
                           [&](const InterfaceAddress& a) { return a.address == address.address.address; });
    });
}

}  // namespace

// Most routes have gone with their devices by now.
void DataPlane::remove_marked_routes(std::vector<std::string>& removed) {
    NetlinkBatch batch;
    const auto rules = netlink_->rules(kOurProtocol);
    const auto routes = netlink_->routes(kOurProtocol);
    if (!rules || !routes) return;
    for (const Rule& rule : *rules) {
        batch.delete_rule(rule);
        removed.push_back("removed the routing rule for " + rule.source.to_string());
    }
    for (const Route& route : *routes) {
        batch.delete_route(route);
        removed.push_back("removed the route to " + route.destination.to_string());
    }
    log_error(netlink_->run(batch));
}

void DataPlane::remove_addresses(const std::vector<GroupConfig>& groups) {
    NetlinkBatch batch;
    const auto links = netlink_->links();
    const auto addresses = netlink_->addresses();
    if (!links || !addresses) return;
    for (const Link& link : *links) {
        bool is_first = true;
        for (const LinkAddress& address : *addresses) {
            if (address.ifindex != link.ifindex) continue;
            if (is_leftover(link)) {  // as in close_device()
                if (is_first) write_sysctl(ipv6_setting(link.name, "disable_ipv6"), 1);
                is_first = false;
            } else if (address.protocol != kOurProtocol && !is_configured(address, link.name, groups)) {
                continue;
            }
            batch.delete_address(address);
        }
    }
    log_error(netlink_->run(batch));
}

std::vector<std::string> DataPlane::remove_leftovers(const std::vector<GroupConfig>& groups) {
    std::vector<std::string> removed;
    NetlinkBatch remove;
    const auto links = netlink_->links();
    const auto addresses = netlink_->addresses();
    if (!links || !addresses) return removed;
    for (const Link& link : *links) {
        std::string with;
        for (const LinkAddress& address : *addresses) {
            if (address.ifindex != link.ifindex) continue;
            const bool is_marked = address.protocol == kOurProtocol;
            if (is_leftover(link)) {
                with += (with.empty() ? " with " : ", ") + address.address.address.to_string();
            } else if (is_marked || is_configured(address, link.name, groups)) {
                removed.push_back("removed " + address.address.to_string() + " from " + link.name);
            }
        }
        if (!is_leftover(link)) continue;
        remove.delete_link(link.ifindex);
        removed.push_back("removed " + link.name + with);
    }
    // First whatever answers, which is quick; removing a device takes the kernel 10 ms and more.
    remove_addresses(groups);
    for (const Link& link : *links)
        if (is_leftover(link)) restore_arp(link, *links);
    log_error(netlink_->run(remove));
    remove_marked_routes(removed);
    for (std::string& line : removed) line += ", left by an earlier run";
    return removed;
}

}  // namespace carpd
