// Switches that snoop, and that nobody asks who wants which multicast: after some minutes they have forgotten
// what a host told them when it joined, and keep CARP's multicast back. Seen from the host that misses it.
#include <fmt/format.h>

#include <algorithm>

#include "carpctl/doctor_parts.h"

namespace carpd {

namespace {

constexpr double kSilence_ms = 16'000;  // rule V6

const Json& age(const Json& host, Family family) {
    return host.at(family == Family::ipv6 ? "ipv6_age_ms" : "ipv4_age_ms");
}

bool is_heard(const Json& host, Family family) {
    return !age(host, family).is_null() && age(host, family).get<double>() < kSilence_ms;
}

// Its beacons came in that family, so they were not kept back from the beginning.
bool has_stopped(const Json& host, Family family) {
    return !age(host, family).is_null() && !is_heard(host, family);
}

// Its own in that family, by which it was heard.
std::optional<IpAddress> address_of(const Json& host, Family family) {
    for (const Json& text : host.at("addresses"))
        if (const auto address = address_in(text.get<std::string>()); address && address->family() == family)
            return address;
    return std::nullopt;
}

bool answers(const IpAddress& address, const Json& group, const Case& known) {
    return std::any_of(known.answers.begin(), known.answers.end(), [&](const LanAnswer& answer) {
        return answer.interface == group.at("interface") && answer.address == address && !answer.macs.empty();
    });
}

// Somebody sends advertisements or beacons that don't come here, and it is no dead host or daemon: it is
// heard in the other family, or it is a MASTER beside this one.
bool is_alive(const Json& host, Family family, const std::string& group, const Troubles& found) {
    const Family other = family == Family::ipv6 ? Family::ipv4 : Family::ipv6;
    return is_heard(host, other) || std::any_of(found.begin(), found.end(), [&](const Trouble& trouble) {
               return trouble.code == "unheard-master" && trouble.group == group;
           });
}

}  // namespace

std::vector<IpAddress> hosts_that_stopped(const Json& group) {
    std::vector<IpAddress> addresses;
    const Json& hosts = group.value("hosts", Json());
    if (hosts.is_null() || !group.at("peers").empty()) return addresses;
    for (const Json& host : hosts)
        for (const Family family : kFamilies) {
            if (host.at("left").get<bool>() || !has_family(group, family)) continue;
            const auto address = address_of(host, family);
            if (address && has_stopped(host, family)) addresses.push_back(*address);
        }
    return addresses;
}

// Of IPv4 the kernel doesn't count the questions that were heard, so nothing is said of it.
void judge_querier(const Json& group, const Case& known, Troubles& out) {
    constexpr Family kFamily = Family::ipv6;
    const auto stopped = hosts_that_stopped(group);
    if (stopped.empty()) return;
    const auto facts = known.host.interfaces.find(group.at("interface").get<std::string>());
    if (facts == known.host.interfaces.end() || !facts->second.hears_ipv6 || facts->second.mld_queries != 0u)
        return;
    const std::string name = group.at("name").get<std::string>();
    for (const Json& host : group.at("hosts")) {
        const auto address = address_of(host, kFamily);
        if (!address || std::find(stopped.begin(), stopped.end(), *address) == stopped.end()) continue;
        if (!answers(*address, group, known) || !is_alive(host, kFamily, name, out)) continue;
        return out.push_back(
            {"no-querier", name,
             fmt::format("{} is there and answers at {}, but what it sends to ff02::12 has not come here for "
                         "{}, and {} has never heard an MLD query: most likely a switch that snoops has "
                         "forgotten that this host wants it, because nobody asks.",
                         text(host, "name").empty() ? "A host" : text(host, "name"), address->to_string(),
                         duration(age(host, kFamily)), facts->first),
             "Switch a querier for MLD (and IGMP) on in this VLAN, at the switch or the router, or switch "
             "snooping off. `peers` does without multicast. If it isn't that, look for filters between the "
             "hosts."});
    }
}

}  // namespace carpd
