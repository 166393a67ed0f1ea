#include "sim/cluster.h"

#include <fmt/format.h>

#include <algorithm>

namespace carpd::sim {

namespace {

std::vector<IpAddress> sorted(const Few<InterfaceAddress>& addresses) {
    std::vector<IpAddress> all;
    for (const InterfaceAddress& a : addresses) all.push_back(a.address);
    std::sort(all.begin(), all.end());
    return all;
}

std::vector<IpAddress> addresses(const GroupConfig& group) {
    return sorted(group.addresses);
}

// What `speaker` signs is authentic to `listener` (rules D1 to D5).
bool accepts(const GroupConfig& listener, const GroupConfig& speaker) {
    if (speaker.key == listener.key && addresses(speaker) == addresses(listener)) return true;
    const auto& others = listener.accept_addresses.empty() ? listener.addresses : listener.accept_addresses;
    return listener.accepts_another() && speaker.key == listener.accept_key.value_or(listener.key) &&
           addresses(speaker) == sorted(others);
}

bool contains(const auto& all, const IpAddress& address) {
    return std::find(all.begin(), all.end(), address) != all.end();
}

bool same_group(const GroupConfig& a, const GroupConfig& b) {
    const auto ours = addresses(a), theirs = addresses(b);
    return a.vhid == b.vhid && std::any_of(ours.begin(), ours.end(), [&](const IpAddress& address) {
               return contains(theirs, address);
           });
}

// A host's own address as the others' peers name it: it is in all of their lists and not in its own.
std::optional<IpAddress> own_address(const SharedGroup& group, std::size_t place, Family family) {
    const std::size_t another = place == 0 ? 1 : 0;
    for (const IpAddress& candidate : group.configs[another].peers) {
        bool everywhere = candidate.family() == family;
        for (std::size_t i = 0; i < group.configs.size(); ++i)
            everywhere = everywhere && contains(group.configs[i].peers, candidate) == (i != place);
        if (everywhere) return candidate;
    }
    return std::nullopt;
}

// Whether every host is named in the others' peers, where there are any, in each family.
bool peers_fit(const SharedGroup& group) {
    for (std::size_t i = 0; i < group.configs.size(); ++i)
        for (Family family : kFamilies)
            if (group.configs[i].has(family) && !own_address(group, i, family)) return false;
    return true;
}

// What two hosts of a group have to agree about.
void compare(const std::string& names, const GroupConfig& a, const GroupConfig& b,
             std::vector<std::string>& out) {
    const bool a_hears = accepts(a, b), b_hears = accepts(b, a);
    if (a_hears != b_hears)
        out.push_back(names +
                      " differ in password or addresses, and only one accepts what the other signs: both "
                      "will be MASTER; give both the same, or both the other's in accept-...");
    if (!a_hears && !b_hears && a.key != b.key)
        out.push_back(names +
                      " have different passwords: neither hears the other, and both will be MASTER; "
                      "give them the same");
    if (!a_hears && !b_hears && addresses(a) != addresses(b))
        out.push_back(names +
                      " list different addresses: neither hears the other, and both will be MASTER; "
                      "list the same on both");
    if (a.advbase != b.advbase)
        out.push_back(
            fmt::format("{} have advbase {} and {}: the one with less will take over from the other "
                        "for no reason; give them the same",
                        names, a.advbase.seconds, b.advbase.seconds));
    else if (a.advskew == b.advskew)
        out.push_back(
            fmt::format("{} both have advskew {}: which is MASTER depends on their addresses; give "
                        "the one that shall be a smaller advskew",
                        names, a.advskew.value));
    if (a.peers.empty() != b.peers.empty())
        out.push_back(names + ": one has peers and the other sends multicast; give both peers, or none");
    if (a.mac != b.mac)
        out.push_back(names + " announce different kinds of MAC address; give them the same mac");
}

void compare(const std::vector<HostFile>& hosts, const SharedGroup& group, std::vector<std::string>& out) {
    const std::string name = group.configs.front().name;
    const bool unicast = std::all_of(group.configs.begin(), group.configs.end(),
                                     [](const GroupConfig& c) { return !c.peers.empty(); });
    for (std::size_t i = 0; i < group.hosts.size(); ++i)
        for (std::size_t j = i + 1; j < group.hosts.size(); ++j)
            compare(fmt::format("group {}: {} and {}", name, hosts[group.hosts[i]].name,
                                hosts[group.hosts[j]].name),
                    group.configs[i], group.configs[j], out);
    if (unicast && !peers_fit(group))
        out.push_back(
            fmt::format("group {}: the peers are not each other's: every host needs the addresses of all "
                        "others as peers, and not its own",
                        name));
}

// Whether `predicate` holds of what any host has for both groups.
template <class Predicate>
bool on_any_host(const SharedGroup& a, const SharedGroup& b, const Predicate& predicate) {
    for (std::size_t i = 0; i < a.hosts.size(); ++i)
        for (std::size_t j = 0; j < b.hosts.size(); ++j)
            if (a.hosts[i] == b.hosts[j] && predicate(a.configs[i], b.configs[j])) return true;
    return false;
}

bool move_together(const SharedGroup& a, const SharedGroup& b) {
    return on_any_host(a, b, [](const GroupConfig& ours, const GroupConfig& theirs) {
        return !ours.together.empty() && ours.together == theirs.together;
    });
}

// Joins all that have to do with `group`, and it.
void add(std::vector<SharedGroups>& sets, SharedGroup group) {
    SharedGroups joined;
    std::erase_if(sets, [&](SharedGroups& set) {
        const bool concerned = std::any_of(
            set.begin(), set.end(), [&](const SharedGroup& other) { return move_together(group, other); });
        if (concerned) joined.insert(joined.end(), set.begin(), set.end());
        return concerned;
    });
    joined.push_back(std::move(group));
    sets.push_back(std::move(joined));
}

void put_in_order(SharedGroups& set, std::vector<std::string>& warnings) {
    constexpr std::size_t kMost = 255;  // the simulator tells them apart by their vhids
    std::sort(set.begin(), set.end(), [](const SharedGroup& a, const SharedGroup& b) {
        const auto place = [](const SharedGroup& g) {
            return std::pair(g.configs[0].vhid, addresses(g.configs[0]).front());
        };
        return place(a) < place(b);
    });
    if (set.size() <= kMost) return;
    warnings.push_back(fmt::format("the set of group {} has {} groups: only the first {} are played",
                                   set[0].configs[0].name, set.size(), kMost));
    set.resize(kMost);
}

}  // namespace

Cluster match(const std::vector<HostFile>& hosts) {
    std::vector<SharedGroup> found;
    for (std::size_t h = 0; h < hosts.size(); ++h)
        for (const GroupConfig& config : hosts[h].config.groups) {
            auto place = std::find_if(found.begin(), found.end(), [&](const SharedGroup& g) {
                return g.hosts.back() != h && same_group(g.configs.front(), config);
            });
            if (place == found.end()) place = found.insert(found.end(), SharedGroup{});
            place->hosts.push_back(h);
            place->configs.push_back(config);
        }
    Cluster cluster;
    for (SharedGroup& group : found) {
        if (group.hosts.size() == 1) {
            cluster.warnings.push_back(
                fmt::format("group {} (vhid {}) of {} is on no other host: no file has this vhid with one of "
                            "its addresses",
                            group.configs[0].name, group.configs[0].vhid.value, hosts[group.hosts[0]].name));
            continue;
        }
        compare(hosts, group, cluster.warnings);
        add(cluster.sets, std::move(group));
    }
    for (SharedGroups& set : cluster.sets) put_in_order(set, cluster.warnings);
    return cluster;
}

namespace {

// The host's address on its networks. Where peers name none only the order matters, for ties: that of the
// files.
HostPlan host_plan(const std::string& name, const std::string& number) {
    HostPlan host;
    host.name = name;
    host.own4 = *IpAddress::parse("192.0.2." + number);
    host.own6 = *IpAddress::parse("fe80::" + number);
    host.global6 = *IpAddress::parse("2001:db8::" + number);
    host.receive_buffer = 256;
    return host;
}

// As the first of its groups says that has peers.
void take_own_addresses(HostPlan& host, std::size_t number, const SharedGroups& groups) {
    for (auto group = groups.rbegin(); group != groups.rend(); ++group) {
        const auto at = std::find(group->hosts.begin(), group->hosts.end(), number);
        if (at == group->hosts.end()) continue;
        const auto place = static_cast<std::size_t>(at - group->hosts.begin());
        host.own4 = own_address(*group, place, Family::ipv4).value_or(host.own4);
        host.global6 = own_address(*group, place, Family::ipv6).value_or(host.global6);
    }
    if (host.global6.is_link_local()) host.own6 = host.global6;
}

// The simulator's hosts have the same address on all of their networks.
void rename_peers(GroupConfig& config, const SharedGroup& group, const std::vector<std::size_t>& numbers,
                  const std::vector<HostPlan>& hosts) {
    for (IpAddress& peer : config.peers)
        for (std::size_t i = 0; i < group.hosts.size(); ++i)
            if (own_address(group, i, peer.family()) == peer) {
                const auto place =
                    std::find(numbers.begin(), numbers.end(), group.hosts[i]) - numbers.begin();
                const HostPlan& host = hosts[static_cast<std::size_t>(place)];
                peer = peer.family() == Family::ipv4 ? host.own4 : host.global6;
                break;
            }
}

// Groups on one interface of a host are on one network.
std::size_t network_of(const SharedGroup& group, const SharedGroups& groups, Plan& plan) {
    for (std::size_t i = 0; i < plan.groups.size(); ++i)
        if (on_any_host(group, groups[i], [](const GroupConfig& a, const GroupConfig& b) {
                return a.interface == b.interface;
            }))
            return plan.groups[i].interface;
    return plan.groups.empty() ? 0 : plan.interfaces++;
}

}  // namespace

Plan plan_of(const std::vector<HostFile>& hosts, const SharedGroups& groups) {
    Plan plan;
    plan.checked = false;
    plan.min_delay = 50 * kMicrosecond;
    plan.max_delay = 500 * kMicrosecond;
    plan.healed = plan.end = kNoMoment;
    std::vector<std::size_t> numbers;  // of the plan's hosts, in the list of files
    for (std::size_t h = 0; h < hosts.size(); ++h) {
        const bool has_any = std::any_of(groups.begin(), groups.end(), [h](const SharedGroup& g) {
            return std::find(g.hosts.begin(), g.hosts.end(), h) != g.hosts.end();
        });
        if (!has_any) continue;
        numbers.push_back(h);
        plan.hosts.push_back(host_plan(hosts[h].name, std::to_string(numbers.size())));
        take_own_addresses(plan.hosts.back(), h, groups);
    }
    for (const SharedGroup& group : groups) {
        GroupPlan g;
        if (groups.size() > 1) g.name = group.configs.front().name;
        g.vhid = Vhid{static_cast<std::uint8_t>(plan.groups.size() + 1)};  // the simulator's place for it
        g.addresses = group.configs.front().addresses;
        g.unicast = !group.configs.front().peers.empty();
        g.interface = network_of(group, groups, plan);
        g.set = groups.size() > 1 ? 1 : 0;
        g.from_files.resize(plan.hosts.size());
        for (std::size_t i = 0; i < group.hosts.size(); ++i) {
            const auto h = static_cast<std::size_t>(
                std::find(numbers.begin(), numbers.end(), group.hosts[i]) - numbers.begin());
            GroupConfig& config = g.from_files[h] = group.configs[i];
            g.members |= static_cast<HostSet>(1u << h);
            if (!config.together.empty()) g.in_set |= static_cast<HostSet>(1u << h);
            g.settings[h].advskew = config.advskew.value;
            g.settings[h].preempt = config.preempt;
            g.advbase =
                std::max(g.advbase, config.advbase);  // the slowest counts for how long settling takes
            rename_peers(config, group, numbers, plan.hosts);
            config.vhid = g.vhid;
            config.balance = {};  // who is MASTER of a carpnode doesn't depend on the others
            config.interface = interface_name(g.interface);
        }
        plan.groups.push_back(std::move(g));
    }
    return plan;
}

}  // namespace carpd::sim
