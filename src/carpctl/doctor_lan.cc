// Who else is on the LAN: other MASTERs, heard or not, and whoever answers for the group's addresses.
#include <fmt/format.h>

#include <algorithm>

#include "carpctl/doctor_parts.h"

namespace carpd {

namespace {

std::string joined(const std::set<MacAddress>& macs) {
    std::string text;
    for (const MacAddress& mac : macs) text += (text.empty() ? "" : ", ") + mac.to_string();
    return text;
}

std::string one_way_advice(const Case& known) {
    return "Advertisements go one way only, or a key differs: look for switches that snoop IGMP without a "
           "querier "
           "(switch snooping off for these ports, or a querier on), for filters of protocol 112, and for "
           "hypervisors "
           "that keep foreign MACs back; `peers` makes them unicast. " +
           foreign_mac_advice(known.host.platform);
}

void judge_rival(const Json& group, const Case& known, Troubles& out) {
    const Json& heard = group.at("last_heard");
    if (!group.at("hears_rival").get<bool>() || heard.is_null()) return;
    const std::string from = text(heard, "source");
    out.push_back(
        {"two-masters", group.at("name").get<std::string>(),
         fmt::format("{} advertises as MASTER, too, and was heard {} ago: it does not hear this host, or "
                     "refuses what it hears.",
                     from, duration(heard.at("age_ms"))),
         fmt::format("Run `carpctl doctor` on {}. {}", from, one_way_advice(known))});
}

void judge_families(const Json& group, Troubles& out) {
    const Json& unheard = group.at("unheard_family");
    if (unheard.is_null()) return;
    const bool is_ipv6 = unheard == "ipv6";
    const std::string suspects =
        group.at("peers").empty()
            ? fmt::format("switches that snoop {} without a querier, filters of protocol 112",
                          is_ipv6 ? "MLD" : "IGMP")
            : "filters of protocol 112, and whether `peers` there names this host in both families";
    out.push_back(
        {"family-unheard", group.at("name").get<std::string>(),
         fmt::format("The master, {}, is heard in {} only.", text(group.at("last_heard"), "source"),
                     is_ipv6 ? "IPv4" : "IPv6"),
         fmt::format("As long as one family is heard nothing happens by itself. Look for what keeps {} back "
                     "on the way: {}.",
                     is_ipv6 ? "IPv6" : "IPv4", suspects)});
}

// Hosts that refuse each other are both MASTER, which needs no finding of its own.
bool refuses_digests(const std::string& group, const Troubles& found) {
    return std::any_of(found.begin(), found.end(), [&](const Trouble& trouble) {
        return trouble.group == group &&
               (trouble.code == "key-differs" || trouble.code == "addresses-differ");
    });
}

// While being MASTER, nobody else is to answer.
void judge_answers_to_master(const Json& group, const LanAnswer& answer, const Case& known, Troubles& out) {
    const std::string name = group.at("name").get<std::string>(), address = answer.address.to_string();
    std::set<MacAddress> others = answer.macs;
    const Json& virtual_mac = group.at("virtual_mac");
    const auto own = virtual_mac.is_null() ? std::nullopt : MacAddress::parse(virtual_mac.get<std::string>());
    const bool is_explained = group.at("hears_rival").get<bool>() || refuses_digests(name, out);
    if (own && others.erase(*own) > 0 && !is_explained)
        out.push_back(
            {"unheard-master", name,
             fmt::format("Another host answers for {} with the virtual MAC {}, too: a second MASTER, whose "
                         "advertisements don't come here or are refused.",
                         address, own->to_string()),
             one_way_advice(known)});
    if (others.empty()) return;
    out.push_back(
        {"duplicate-address", name,
         fmt::format("{} is also at {}, while this host is MASTER.", address, joined(others)),
         own ? "Find the host with that MAC, and take the address away from it: it is no MASTER of this "
               "group, "
               "or one with mac = \"interface\"."
             : "Find the host with that MAC: it was given the address by other means, or it is MASTER, too, "
               "and its advertisements don't come here."});
}

void judge_answers_to_backup(const Json& group, const LanAnswer& answer, const Case& known, Troubles& out) {
    const Json& heard = group.at("last_heard");
    if (heard.is_null() || text(group, "obstacle") == "no_master_heard") return;
    const std::string name = group.at("name").get<std::string>(), address = answer.address.to_string();
    if (answer.macs.empty())
        return out.push_back(
            {"address-unanswered", name,
             fmt::format("{} advertises as MASTER, but nobody answers for {}.", text(heard, "source"),
                         address),
             fmt::format(
                 "Run `carpctl doctor` there. Answers come from the virtual MAC; what keeps that back keeps "
                 "the service back. {}",
                 foreign_mac_advice(known.host.platform))});
    std::set<MacAddress> others = answer.macs;
    const Json& virtual_mac = group.at("virtual_mac");
    const bool has_virtual = !virtual_mac.is_null();
    if (has_virtual)
        if (const auto mac = MacAddress::parse(virtual_mac.get<std::string>())) others.erase(*mac);
    if (has_virtual ? others.empty() : others.size() < 2) return;
    out.push_back(
        {"duplicate-address", name,
         has_virtual ? fmt::format("{} is at {}, which is not the group's virtual MAC {}.", address,
                                   joined(others), text(group, "virtual_mac"))
                     : fmt::format("{} is at {}.", address, joined(others)),
         "Find the host with that MAC, and take the address away from it; or give all hosts of the group "
         "the same `mac`."});
}

}  // namespace

std::string foreign_mac_advice(const std::string& platform) {
    constexpr std::pair<std::string_view, std::string_view> kAdvice[] = {
        {"VMware",
         "On VMware, set the port group to accept forged transmits, MAC address changes and promiscuous mode "
         "(or MAC learning), and with teamed uplinks Net.ReversePathFwdCheckPromisc = 1."},
        {"Hyper-V", "On Hyper-V: Set-VMNetworkAdapter -MacAddressSpoofing On."},
        {"Proxmox", "On Proxmox, leave the firewall's MAC filter of the VM off (macfilter: 0)."},
        {"QEMU",
         "With libvirt, leave the filters clean-traffic and no-mac-spoofing away (macvtap: "
         "trustGuestRxFilters=\"yes\"); on Proxmox, macfilter: 0."},
        {"OpenStack",
         "On OpenStack, name the address and the virtual MAC among the port's allowed_address_pairs, or "
         "switch its port security off."},
        {"AWS",
         "AWS passes neither multicast nor foreign MACs: use `peers`, mac = \"interface\", and a hook that "
         "moves "
         "the address by its API."},
        {"Google",
         "Google Cloud passes neither multicast nor foreign MACs: use `peers`, mac = \"interface\", and a "
         "hook that moves the address by its API."},
        {"Azure",
         "Azure passes neither multicast nor foreign MACs: use `peers`, mac = \"interface\", and a hook that "
         "moves the address by its API."}};
    for (const auto& [name, advice] : kAdvice)
        if (name == platform) return std::string(advice);
    return "Where foreign MACs can't pass, mac = \"interface\" on all hosts does without.";
}

void judge_lan(const Json& group, const Case& known, Troubles& out) {
    judge_rival(group, known, out);
    judge_families(group, out);
    const Json& before = group_before(group, known);
    const std::string state = text(group, "state");
    // Who changed meanwhile was asked about what isn't so any more.
    if (before.is_null() || before.at("state") != state) return;
    for (const LanAnswer& answer : known.answers) {
        if (answer.interface != group.at("interface")) continue;
        const auto is_it = [&](const Json& text) {
            return address_in(text.get<std::string>()) == answer.address;
        };
        const Json &addresses = group.at("addresses"), &peers = group.at("peers");
        if (std::any_of(peers.begin(), peers.end(), is_it) && answer.macs.empty())
            out.push_back({"peer-silent", group.at("name").get<std::string>(),
                           fmt::format("The peer {} doesn't answer on {}.", answer.address.to_string(),
                                       answer.interface),
                           "Is it switched off, and is that its own address? Without it nobody takes over."});
        if (!group.at("balance").is_null() || std::none_of(addresses.begin(), addresses.end(), is_it))
            continue;
        if (state == "master") judge_answers_to_master(group, answer, known, out);
        if (state == "backup") judge_answers_to_backup(group, answer, known, out);
    }
}

}  // namespace carpd
