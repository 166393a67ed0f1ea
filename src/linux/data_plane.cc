#include "linux/data_plane.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "balance/macs.h"
#include "linux/clock.h"
#include "linux/leftovers.h"
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

// So many groups are settled at once that nobody waits long.
constexpr std::size_t kAtOnce = 64;

template <class T>
bool contains(const Few<T>& values, const T& value) {
    return std::find(values.begin(), values.end(), value) != values.end();
}

// The elements of `a` that are not in `b`, each given to `then`.
template <class T, class F>
void for_each_missing(const Few<T>& a, const Few<T>& b, F then) {
    for (const T& value : a) {
        if (!contains(b, value)) then(value);
    }
}

// 192.0.2.100/24 -> 192.0.2.0/24
InterfaceAddress prefix_of(const InterfaceAddress& address) {
    std::array<std::uint8_t, 16> bytes{};
    const Bytes own = address.address.bytes();
    for (unsigned bit = 0; bit < address.prefix_length; ++bit)
        bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] | (own[bit / 8] & (0x80u >> (bit % 8))));
    return {IpAddress::from_bytes(Bytes(bytes).first(own.size())), address.prefix_length};
}

// The subnets that the kernel made routes to, because the interface has an address there.
std::vector<InterfaceAddress> subnets_of(const Interface& interface) {
    std::vector<InterfaceAddress> subnets;
    for (const LinkAddress& own : interface.addresses)
        if (!(own.flags & IFA_F_NOPREFIXROUTE) && own.address.prefix_length < own.address.address.bit_count())
            subnets.push_back(own.address);
    return subnets;
}

bool is_in(const InterfaceAddress& address, const std::vector<InterfaceAddress>& subnets) {
    return std::any_of(subnets.begin(), subnets.end(), [&](const InterfaceAddress& subnet) {
        return subnet.prefix_length <= address.prefix_length &&
               subnet.address.shares_prefix(address.address, subnet.prefix_length);
    });
}

bool speaks_as_interface(const GroupConfig& config) {
    return config.mac == MacMode::interface_mac || (config.balance && hides_mac(config.balance->mode));
}

bool log_error(const std::optional<SysError>& error) {
    if (error) log(LogLevel::error, error->to_string());
    return error.has_value();
}

Route local_route(const InterfaceAddress& address) {
    Route route;
    route.destination = address;
    route.ifindex = kLoopback;
    route.table = RT_TABLE_LOCAL;
    route.protocol = kOurProtocol;
    route.local = true;
    return route;
}

void add(NetlinkBatch& batch, const LinkAddress& address) {
    batch.add_address(address.ifindex, address.address.address, kOurProtocol);
}

}  // namespace

DataPlane::Group* DataPlane::find(GroupId id) {
    return id < groups_.size() && groups_[id].parent != 0 ? &groups_[id] : nullptr;
}

const DataPlane::Group* DataPlane::find(GroupId id) const {
    return const_cast<DataPlane*>(this)->find(id);
}

std::string DataPlane::device_of(const Group& group) const {
    if (has_macvlan(group)) return Macvlan::name_for(group.parent, Vhid{group.mac.bytes.back()});
    return group.mode == MacMode::virtual_mac ? "lo" : parents_.at(group.parent).name;
}

std::optional<SysError> DataPlane::prepare(GroupId id, const GroupConfig& config, const Interface& parent) {
    if (config.balance && !gate_)
        return SysError{"balance load by a macvlan; that needs dataplane = \"bpf\"", "", 0};
    const Group* known = find(id);
    if (known != nullptr && (known->parent != parent.ifindex() || known->mode != config.mac)) release(id);
    if (id >= groups_.size()) groups_.resize(id + 1);
    Group& group = groups_[id];
    const bool is_new = group.parent == 0;
    group.mode = config.mac;
    group.parent = parent.ifindex();
    Parent& interface = parents_[group.parent];
    interface.name = parent.name();
    auto subnets = subnets_of(parent);
    if (std::exchange(interface.on_link, subnets) != subnets) ++interface.on_link_version;
    group.router =
        config.has(Family::ipv6) && read_sysctl(ipv6_setting(interface.name, "forwarding")).value_or(0) != 0;
    if (group.mode == MacMode::interface_mac)
        group.ifindex = parent.ifindex();
    else if (is_new) {
        group.ifindex = kLoopback;
        arp_.borrow(group.parent, interface.name);
    }
    group.mac = speaks_as_interface(config) ? parent.mac() : virtual_mac(config.vhid);
    enter_pool(id, group, config);
    const bool moved =
        std::exchange(group.on_link_version, interface.on_link_version) != interface.on_link_version;
    if (gate_ && moved && group.installed) {
        Exchange exchange;
        hold(group, wanted_holdings(id, group, config), exchange);
        for (const auto& failure : run(exchange)) log(LogLevel::error, failure.error.to_string());
    }
    std::optional<SysError> error;
    if (gate_)
        error = guard(id, group, config);
    else if (has_macvlan(group))
        error = is_new ? make_macvlan(group, config) : macvlan(group).follow_mtu(*netlink_, parent.link.mtu);
    if (error) release(id);
    return error;
}

std::optional<SysError> DataPlane::guard(GroupId id, const Group& group, const GroupConfig& config) {
    Gate::Guarded guarded{group.parent, group.mac, {}, group.router, {}, {}};
    if (group.mode == MacMode::virtual_mac)
        guarded.heard_at =
            config.balance && config.balance->by_ip() ? pool_mac(*config.balance) : virtual_mac(config.vhid);
    if (config.balance)
        guarded.place = SharedValue<PoolPlace>(PoolPlace{config.balance, config.key, config.vhid});
    for (const InterfaceAddress& address : config.addresses) guarded.addresses.push_back(address.address);
    return gate_->guard(id, std::move(guarded), arp_.note(group.parent));
}

std::optional<SysError> DataPlane::make_macvlan(Group& group, const GroupConfig& config) {
    Macvlan device{Macvlan::name_for(group.parent, config.vhid), 0};
    if (stands_beside_ && device.adopt(*netlink_, group.parent, group.mac)) {
        group.ifindex = device.ifindex;
        return std::nullopt;
    }
    auto error = device.make(*netlink_, group.parent, group.mac,
                             std::string(kDeviceAliasPrefix) + config.name + arp_.note(group.parent));
    group.ifindex = device.ifindex;
    return error;
}

// A macvlan's replies must leave through it to carry its MAC, although the parent's route to the same subnet
// is better: a rule sends them to a table of the group's own. In the main table, a route for hosts whose
// interface has no address of its own in that subnet; it loses to any other.
DataPlane::Holdings DataPlane::wanted_holdings(GroupId id, const Group& group,
                                               const GroupConfig& config) const {
    Holdings wanted;
    if (!installs_) return wanted;
    for (const InterfaceAddress& address : config.addresses) {
        const IpAddress& ip = address.address;
        // A link-local address is one of a link.
        const bool elsewhere = ip.is_link_local() && group.ifindex == kLoopback;
        wanted.addresses.push_back({elsewhere ? group.parent : group.ifindex, {ip, ip.bit_count()}});
        if (has_macvlan(group)) wanted.rules.push_back({ip, kFirstTable + id, kRulePriority, kOurProtocol});
        if (address.prefix_length == ip.bit_count()) continue;
        Route route;
        route.destination = prefix_of(address);
        route.ifindex = has_macvlan(group) ? group.ifindex : group.parent;
        route.protocol = kOurProtocol;
        if (has_macvlan(group)) {
            route.table = kFirstTable + id;
            if (!contains(wanted.routes, route)) wanted.routes.push_back(route);
        }
        if (gate_ && is_in(address, parents_.at(group.parent).on_link)) continue;
        route.table = RT_TABLE_MAIN;
        route.metric = kFirstMetric + id;
        route.preferred_source = ip;
        const bool same_subnet = std::any_of(wanted.routes.begin(), wanted.routes.end(), [&](const Route& r) {
            return r.table == route.table && r.destination == route.destination;
        });
        if (!same_subnet) wanted.routes.push_back(route);
    }
    return wanted;
}

void DataPlane::install(std::span<Installation> wanted) {
    while (!withdrawn_.empty()) drop_withdrawn();
    // First those who need nothing, for what the others add may yet fail.
    for (Installation& each : wanted) each.installed = join_standing(each);
    Exchange exchange;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (wanted[i].installed) continue;
        Group* group = find(wanted[i].group);
        wanted[i].installed = group != nullptr;
        if (group == nullptr) continue;
        if (has_macvlan(*group))
            macvlan(*group).open(parents_.at(group->parent).name, wanted[i].config->has(Family::ipv6));
        exchange.going.set_owner(i);
        exchange.coming.set_owner(i);
        Holdings holdings = wanted_holdings(wanted[i].group, *group, *wanted[i].config);
        const bool waits =
            !stands_beside_ && can_wait(*group, holdings) && !stand_there(*group, holdings.addresses);
        if (waits && group->settled) installed_.push_back(wanted[i].group);
        group->settled = !waits;
        group->installed = true;
        group->lingers = false;
        hold(*group, std::move(holdings), exchange);
    }
    for (const auto& failure : run(exchange)) {
        if (!std::exchange(wanted[failure.owner].installed, false)) continue;
        find(wanted[failure.owner].group)->lacks = true;
        log(LogLevel::error, failure.error.to_string());
    }
    for (const Installation& each : wanted)
        if (each.installed) renew_lease(each.group, each.lease_until);
}

// Another installed carpnode of the pool has in the kernel all that this one wants, so that only its gate is
// to be opened. One that lingers isn't enough: nobody puts back what it loses.
bool DataPlane::join_standing(const Installation& wanted) {
    Group* group = find(wanted.group);
    if (group == nullptr || group->pool == 0 || group->keeps_addresses()) return false;
    const auto& members = pools_.at({group->parent, group->pool}).members;
    Holdings holdings = wanted_holdings(wanted.group, *group, *wanted.config);
    group->installed = std::any_of(members.begin(), members.end(), [&](GroupId member) {
        const Group& other = groups_[member];
        return other.installed && other.settled && !other.lacks && other.holdings == holdings;
    });
    if (!group->installed) return false;
    group->lacks = false;
    group->holdings = std::move(holdings);
    return true;
}

// Routes may need the address, and a link-local one is of its link.
bool DataPlane::can_wait(const Group& group, const Holdings& wanted) const {
    return gate_ && group.pool == 0 && group.ifindex == kLoopback && wanted.routes.empty() &&
           std::all_of(wanted.addresses.begin(), wanted.addresses.end(),
                       [](const LinkAddress& a) { return a.ifindex == kLoopback; });
}

// As addresses, not as local routes: of the group itself or of others of its pool.
bool DataPlane::stand_there(const Group& group, const Few<LinkAddress>& addresses) const {
    return (group.keeps_addresses() && group.settled) ||
           std::all_of(addresses.begin(), addresses.end(), [&](const LinkAddress& address) {
               return pool_holds(group,
                                 [&](const Holdings& held) { return contains(held.addresses, address); });
           });
}

void DataPlane::hold(Group& group, Holdings wanted, Exchange& exchange) {
    if (!group.settled)
        for (const LinkAddress& address : std::exchange(wanted.addresses, {}))
            wanted.routes.push_back(local_route(address.address));
    // Who lacks something adds all: what is there already changes nothing.
    const Holdings none, &had = group.holdings, &has = std::exchange(group.lacks, false) ? none : had;
    NetlinkBatch &going = exchange.going, &coming = exchange.coming;
    Holdings& leaving = exchange.leaving;
    for_each_missing(had.rules, wanted.rules, [&](const Rule& r) { going.delete_rule(r); });
    for_each_missing(had.routes, wanted.routes,
                     [&](const Route& r) { r.local ? leaving.routes.push_back(r) : going.delete_route(r); });
    for_each_missing(had.addresses, wanted.addresses,
                     [&](const LinkAddress& a) { leaving.addresses.push_back(a); });
    for_each_missing(wanted.addresses, has.addresses, [&](const LinkAddress& a) { add(coming, a); });
    for_each_missing(wanted.rules, has.rules, [&](const Rule& r) { coming.add_rule(r); });
    for_each_missing(wanted.routes, has.routes, [&](const Route& r) { coming.add_route(r); });
    group.holdings = std::move(wanted);
}

std::vector<Netlink::Outcome::Failure> DataPlane::run(const Exchange& exchange) {
    log_error(netlink_->run(exchange.going).error());
    const auto outcome = netlink_->run(exchange.coming);
    NetlinkBatch leaving;
    // An address may have moved to another group.
    for (const LinkAddress& address : exchange.leaving.addresses)
        if (!owner_of(address)) leaving.delete_address(address);
    for (const Route& route : exchange.leaving.routes)
        if (!is_held(route)) leaving.delete_route(route);
    log_error(netlink_->run(leaving).error());
    return outcome.failures;
}

bool DataPlane::is_held(const Route& route) const {
    return std::any_of(groups_.begin(), groups_.end(), [&](const Group& group) {
        return group.installed && contains(group.holdings.routes, route);
    });
}

void DataPlane::renew_lease(GroupId id, Instant until) {
    const Group* group = find(id);
    if (gate_ && group != nullptr && group->installed) gate_->open_until(id, until);
}

void DataPlane::enter_pool(GroupId id, Group& group, const GroupConfig& config) {
    const std::uint8_t wanted = config.balance ? config.balance->leader() : 0;
    if (group.pool != wanted) leave_pool(id, group);
    if (wanted == 0) return;
    Pool& pool = pools_[{group.parent, wanted}];
    if (group.pool == 0) pool.members.push_back(id);
    if (config.vhid.value == wanted) pool.leader = id;
    pool.has_connections_to_keep = config.balance->by_ip();
    group.pool = wanted;
}

void DataPlane::leave_pool(GroupId id, Group& group) {
    if (group.pool == 0) return;
    const auto place = pools_.find({group.parent, std::exchange(group.pool, std::uint8_t{0})});
    Pool& pool = place->second;
    std::erase(pool.members, id);
    if (pool.leader == id) pool.leader.reset();
    if (pool.members.empty()) pools_.erase(place);
}

bool DataPlane::pool_settles(const Group& group) const {
    const auto place = pools_.find({group.parent, group.pool});
    if (group.pool == 0 || place == pools_.end()) return false;
    const Pool& pool = place->second;
    return pool.has_connections_to_keep && pool.leader && settling_.contains(*pool.leader);
}

bool DataPlane::pool_holds(const Group& group, auto has) const {
    const auto place = pools_.find({group.parent, group.pool});
    return group.pool != 0 && place != pools_.end() &&
           std::any_of(place->second.members.begin(), place->second.members.end(),
                       [&](GroupId member) { return has(groups_[member].holdings); });
}

void DataPlane::set_pool(GroupId leader, CarpnodeSet at_home, Instant settling_until,
                         Instant hand_over_until) {
    if (!gate_) return;
    gate_->set_pool(leader, at_home, settling_until, hand_over_until);
    if (settling_until > host_now()) {
        settling_.insert(leader);
        return;
    }
    const Group* group = find(leader);
    if (settling_.erase(leader) == 0 || group == nullptr || group->pool == 0) return;
    for (const GroupId member : pools_.at({group->parent, group->pool}).members)
        if (std::exchange(groups_[member].lingers, false)) withdrawn_.push_back(member);
}

std::optional<PoolTraffic> DataPlane::traffic_of(GroupId carpnode) const {
    return gate_ ? gate_->traffic_of(carpnode) : std::nullopt;
}

void DataPlane::withdraw(GroupId id, Instant hand_over_until) {
    Group* group = find(id);
    if (group == nullptr || !group->installed) return;
    group->installed = false;
    if (gate_) gate_->open_until(id, std::max(hand_over_until, Instant{}));
    group->lingers = pool_settles(*group);
    if (group->lingers) return;
    withdrawn_.push_back(id);
    if (gate_) return;
    if (has_macvlan(*group)) macvlan(*group).close();
    drop_withdrawn();
}

void DataPlane::settle() {
    if (withdrawn_.empty())
        add_installed();
    else
        drop_withdrawn();
}

void DataPlane::drop_withdrawn() {
    NetlinkBatch batch;
    for (std::size_t i = 0; i < kAtOnce && !withdrawn_.empty(); ++i) {
        Group* group = find(withdrawn_.back());
        withdrawn_.pop_back();
        if (group == nullptr || group->keeps_addresses()) continue;
        const Holdings had = std::exchange(group->holdings, {});
        for (const LinkAddress& address : had.addresses)
            if (!pool_holds(*group, [&](const Holdings& held) { return contains(held.addresses, address); }))
                batch.delete_address(address);
        for (const Rule& rule : had.rules) batch.delete_rule(rule);
        for (const Route& route : had.routes)
            if (!pool_holds(*group, [&](const Holdings& held) { return contains(held.routes, route); }))
                batch.delete_route(route);
        group->settled = true;
    }
    for (const auto& failure : netlink_->run(batch).failures)
        if (failure.error.error != ENODEV) log(LogLevel::error, failure.error.to_string());
}

void DataPlane::add_installed() {
    Exchange exchange;
    std::vector<Group*> owners;
    for (std::size_t i = 0; i < kAtOnce && !installed_.empty(); ++i) {
        Group* group = find(installed_.back());
        installed_.pop_back();
        if (group == nullptr || !group->keeps_addresses() || group->settled) continue;
        Holdings holdings = group->holdings;
        for (const Route& route : group->holdings.routes)
            if (route.local) holdings.addresses.push_back({kLoopback, route.destination});
        erase_if(holdings.routes, [](const Route& route) { return route.local; });
        group->settled = true;
        exchange.coming.set_owner(owners.size());
        owners.push_back(group);
        hold(*group, std::move(holdings), exchange);
    }
    // Where an address is refused the local route goes on serving.
    NetlinkBatch kept;
    for (const auto& failure : run(exchange)) {
        log(LogLevel::error, failure.error.to_string());
        Holdings& holdings = owners[failure.owner]->holdings;
        for (const LinkAddress& address : holdings.addresses) {
            const Route route = local_route(address.address);
            if (contains(holdings.routes, route)) continue;
            holdings.routes.push_back(route);
            kept.add_route(route);
        }
    }
    log_error(netlink_->run(kept).error());
}

void DataPlane::announce(GroupId id, const GroupConfig& config, std::vector<OutgoingFrame>& out) const {
    const Group* group = find(id);
    if (group == nullptr || config.balance) return;
    for (const InterfaceAddress& address : config.addresses) {
        const IpAddress& ip = address.address;
        if (ip.family() == Family::ipv6) {
            out.push_back({group->parent, neighbor_advertisement(group->mac, ip, group->router)});
        } else {
            for (const auto operation : {ArpOperation::request, ArpOperation::reply})
                out.push_back({group->parent, gratuitous_arp(operation, group->mac, ip)});
        }
    }
}

// Makes the device anew if it is gone. Returns whether that was so.
bool DataPlane::renew_macvlan(GroupId id, Group& group, const GroupConfig& config) {
    const auto link = netlink_->link(group.ifindex);
    if (!link) return false;
    const bool is_gone = !link->has_value();
    // Where that fails the interface itself is gone.
    if (is_gone && make_macvlan(group, config)) return false;
    NetlinkBatch batch;
    if (!is_gone && (*link)->mac != group.mac) batch.set_mac(group.ifindex, group.mac);
    if (!is_gone && !(*link)->up) batch.set_up(group.ifindex, true);
    if (group.installed) {
        macvlan(group).open(parents_.at(group.parent).name, config.has(Family::ipv6));
        group.holdings = wanted_holdings(id, group, config);
    }
    return netlink_->run(batch).changed != 0 || is_gone;
}

bool DataPlane::renew(GroupId id, const GroupConfig& config) {
    Group* group = find(id);
    if (group == nullptr) return false;
    bool is_repaired = false;
    if (gate_) is_repaired = gate_->renew(group->parent);
    if (has_macvlan(*group)) is_repaired = renew_macvlan(id, *group, config);
    if (!group->installed) return is_repaired;
    // Adding what is there changes nothing, so there is no need to look first.
    NetlinkBatch batch;
    for (const LinkAddress& address : group->holdings.addresses) add(batch, address);
    for (const Rule& rule : group->holdings.rules) batch.add_rule(rule);
    if (netlink_->run(batch).changed != 0) is_repaired = true;
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
    if (std::exchange(group->lingers, false)) withdrawn_.push_back(id);
    while (!withdrawn_.empty()) drop_withdrawn();
    leave_pool(id, *group);
    if (gate_) gate_->release(id);
    if (has_macvlan(*group)) log_error(macvlan(*group).remove(*netlink_));
    if (group->mode == MacMode::virtual_mac) arp_.give_back(group->parent, parents_.at(group->parent).name);
    *group = {};
}

MacAddress DataPlane::mac_of(GroupId id) const {
    const Group* group = find(id);
    return group == nullptr ? MacAddress{} : group->mac;
}

std::string DataPlane::device(GroupId id) const {
    const Group* group = find(id);
    return group == nullptr ? "" : device_of(*group);
}

std::optional<GroupId> DataPlane::owner_of(const LinkAddress& address) const {
    const auto same = [&](const LinkAddress& a) {
        return a.ifindex == address.ifindex && a.address.address == address.address.address;
    };
    for (GroupId id = 0; id < groups_.size(); ++id) {
        if (!groups_[id].installed) continue;
        const auto& held = groups_[id].holdings.addresses;
        if (std::any_of(held.begin(), held.end(), same)) return id;
    }
    return std::nullopt;
}

}  // namespace carpd
