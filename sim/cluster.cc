#include "sim/cluster.h"

#include <fmt/format.h>

#include <algorithm>

namespace carpd::sim {

namespace {

std::vector<IpAddress> addresses(const GroupConfig& group) {
    std::vector<IpAddress> all;
    for (const InterfaceAddress& a : group.addresses) all.push_back(a.address);
    std::sort(all.begin(), all.end());
    return all;
}

bool contains(const std::vector<IpAddress>& all, const IpAddress& address) {
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
    if (a.key != b.key)
        out.push_back(names +
                      " have different passwords: neither hears the other, and both will be MASTER; "
                      "give them the same");
    if (addresses(a) != addresses(b))
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
        cluster.groups.push_back(std::move(group));
    }
    return cluster;
}

Plan plan_of(const std::vector<HostFile>& hosts, const SharedGroup& group) {
    Plan plan;
    plan.checked = false;
    plan.min_delay = 50 * kMicrosecond;
    plan.max_delay = 500 * kMicrosecond;
    plan.healed = plan.end = kNoMoment;
    GroupPlan g;
    g.vhid = Vhid{1};  // the simulator's place for it: it is the only one
    g.addresses = group.configs.front().addresses;
    g.unicast = !group.configs.front().peers.empty();
    for (std::size_t i = 0; i < group.hosts.size(); ++i) {
        const GroupConfig& config = group.configs[i];
        HostPlan host;
        host.name = hosts[group.hosts[i]].name;
        // Of a multicast group only the order matters, for ties: that of the files.
        const std::string number = std::to_string(i + 1);
        host.own4 = own_address(group, i, Family::ipv4).value_or(*IpAddress::parse("192.0.2." + number));
        host.own6 = *IpAddress::parse("fe80::" + number);
        host.global6 = own_address(group, i, Family::ipv6).value_or(*IpAddress::parse("2001:db8::" + number));
        if (host.global6.is_link_local()) host.own6 = host.global6;
        host.receive_buffer = 256;
        plan.hosts.push_back(host);
        g.members |= static_cast<HostSet>(1u << i);
        g.settings[i].advskew = config.advskew.value;
        g.settings[i].preempt = config.preempt;
        g.advbase = std::max(g.advbase, config.advbase);  // the slowest counts for how long settling takes
        g.from_files.push_back(config);
        g.from_files.back().vhid = g.vhid;
        g.from_files.back().interface = "lan";
    }
    plan.groups.push_back(std::move(g));
    return plan;
}

}  // namespace carpd::sim
