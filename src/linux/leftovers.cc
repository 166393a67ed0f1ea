#include "linux/leftovers.h"

#include <algorithm>

#include "linux/arp_settings.h"
#include "linux/data_plane.h"
#include "linux/gate.h"
#include "linux/log.h"
#include "linux/macvlan.h"

namespace carpd {

namespace {

void run(Netlink& netlink, const NetlinkBatch& batch) {
    const auto outcome = netlink.run(batch);
    if (outcome.error()) log(LogLevel::error, outcome.error()->to_string());
}

bool is_leftover(const Link& link) {
    return link.kind == "macvlan" && link.alias.starts_with(kDeviceAliasPrefix);
}

// Where the kernel doesn't keep who added an address (before 5.18), the configuration tells.
bool is_configured(const LinkAddress& address, const std::string& interface,
                   const std::vector<GroupConfig>& groups) {
    return std::any_of(groups.begin(), groups.end(), [&](const GroupConfig& group) {
        return (group.interface == interface || interface == "lo") &&
               std::any_of(group.addresses.begin(), group.addresses.end(),
                           [&](const InterfaceAddress& a) { return a.address == address.address.address; });
    });
}

void restore_parent_of(const Link& leftover, const std::vector<Link>& links) {
    const auto parent =
        std::find_if(links.begin(), links.end(), [&](const Link& l) { return l.ifindex == leftover.parent; });
    if (parent != links.end()) restore_arp(leftover.alias, parent->name);
}

// Most routes have gone with their devices by now.
void remove_marked_routes(Netlink& netlink, std::vector<std::string>& removed) {
    NetlinkBatch batch;
    const auto rules = netlink.rules(kOurProtocol);
    const auto routes = netlink.routes(kOurProtocol);
    if (!rules || !routes) return;
    for (const Rule& rule : *rules) {
        batch.delete_rule(rule);
        removed.push_back("removed the routing rule for " + rule.source.to_string());
    }
    for (const Route& route : *routes) {
        batch.delete_route(route);
        removed.push_back("removed the route to " + route.destination.to_string());
    }
    run(netlink, batch);
}

}  // namespace

std::map<int, std::string> standing_notes(Netlink& netlink) {
    std::map<int, std::string> notes;
    const auto links = netlink.links();
    if (!links) return notes;
    for (const Link& link : *links) {
        if (is_leftover(link)) notes[link.parent] = link.alias;
        if (const auto gate = GateHooks::find(netlink, link.ifindex)) notes[link.ifindex] = gate->note;
    }
    return notes;
}

GateHooks::Way standing_way(Netlink& netlink) {
    const auto links = netlink.links();
    for (const Link& link : links ? *links : std::vector<Link>())
        if (const auto gate = GateHooks::find(netlink, link.ifindex)) return gate->way;
    return GateHooks::Way::tcx;
}

std::vector<std::string> remove_what_is_not_held(Netlink& netlink, const std::vector<GroupConfig>& groups,
                                                 const DataPlane& data_plane) {
    std::vector<std::string> removed;
    NetlinkBatch batch;
    const auto links = netlink.links();
    const auto addresses = netlink.addresses();
    const auto rules = netlink.rules(kOurProtocol);
    const auto routes = netlink.routes(kOurProtocol);
    if (!links || !addresses || !rules || !routes) return removed;
    for (const Link& link : *links) {
        for (const LinkAddress& address : *addresses) {
            const bool is_marked =
                address.protocol == kOurProtocol || is_configured(address, link.name, groups);
            if (address.ifindex != link.ifindex || !is_marked || data_plane.holds(address)) continue;
            batch.delete_address(address);
            removed.push_back("removed " + address.address.to_string() + " from " + link.name);
        }
        if (is_leftover(link) && !data_plane.uses(link.ifindex)) {
            restore_parent_of(link, *links);
            batch.delete_link(link.ifindex);
            removed.push_back("removed " + link.name);
        }
    }
    for (const Rule& rule : *rules)
        if (!data_plane.holds(rule)) {
            batch.delete_rule(rule);
            removed.push_back("removed the routing rule for " + rule.source.to_string());
        }
    for (const Route& route : *routes)
        if (!data_plane.holds(route)) {
            batch.delete_route(route);
            removed.push_back("removed the route to " + route.destination.to_string());
        }
    run(netlink, batch);
    for (const Link& link : *links)
        if (!data_plane.uses(link.ifindex) && Gate::remove_leftovers(netlink, link))
            removed.push_back("removed the BPF gate from " + link.name);
    return removed;
}

void remove_addresses(Netlink& netlink, const std::vector<GroupConfig>& groups) {
    NetlinkBatch batch;
    const auto links = netlink.links();
    const auto addresses = netlink.addresses();
    if (!links || !addresses) return;
    for (const Link& link : *links) {
        bool is_first = true;
        for (const LinkAddress& address : *addresses) {
            if (address.ifindex != link.ifindex) continue;
            if (is_leftover(link)) {
                if (is_first) Macvlan{link.name, link.ifindex}.close();
                is_first = false;
            } else if (address.protocol != kOurProtocol && !is_configured(address, link.name, groups)) {
                continue;
            }
            batch.delete_address(address);
        }
    }
    if (const auto routes = netlink.routes(kOurProtocol))
        for (const Route& route : *routes)
            if (route.local) batch.delete_route(route);
    run(netlink, batch);
}

std::vector<std::string> remove_leftovers(Netlink& netlink, const std::vector<GroupConfig>& groups) {
    std::vector<std::string> removed;
    NetlinkBatch batch;
    const auto links = netlink.links();
    const auto addresses = netlink.addresses();
    if (!links || !addresses) return removed;
    for (const Link& link : *links) {
        std::string with;
        for (const LinkAddress& address : *addresses) {
            if (address.ifindex != link.ifindex) continue;
            if (is_leftover(link))
                with += (with.empty() ? " with " : ", ") + address.address.address.to_string();
            else if (address.protocol == kOurProtocol || is_configured(address, link.name, groups))
                removed.push_back("removed " + address.address.to_string() + " from " + link.name);
        }
        if (!is_leftover(link)) continue;
        batch.delete_link(link.ifindex);
        removed.push_back("removed " + link.name + with);
    }
    // First whatever answers, which is quick; removing a device takes the kernel 10 ms and more.
    remove_addresses(netlink, groups);
    for (const Link& link : *links)
        if (is_leftover(link)) restore_parent_of(link, *links);
    run(netlink, batch);
    remove_marked_routes(netlink, removed);
    // The gates last: until then what they guard is still there.
    for (const Link& link : *links)
        if (Gate::remove_leftovers(netlink, link))
            removed.push_back("removed the BPF gate from " + link.name);
    for (std::string& line : removed) line += ", left by an earlier run";
    return removed;
}

}  // namespace carpd
