// What concerns the whole host: its configuration, carpd's processes, and what else runs there.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "carpctl/doctor_parts.h"
#include "carpctl/explain.h"

namespace carpd {

namespace {

constexpr double kLately_ms = 600'000;

// What of a group's configuration is another in the file; empty: nothing that shows.
std::string difference(const GroupConfig& file, const Json& group) {
    std::vector<std::string> addresses = group.at("addresses").get<std::vector<std::string>>(), in_file;
    for (const InterfaceAddress& address : file.addresses) in_file.push_back(address.to_string());
    std::sort(addresses.begin(), addresses.end());
    std::sort(in_file.begin(), in_file.end());
    if (in_file != addresses) return "addresses";
    if (file.advbase.seconds != number(group, "advbase")) return "advbase";
    if (file.advskew.value != number(group, "advskew")) return "advskew";
    if (file.preempt != group.at("preempt").get<bool>()) return "preempt";
    if ((file.mac == MacMode::virtual_mac) != (group.at("mac") == "virtual")) return "mac";
    if (file.peers.size() != group.at("peers").size()) return "peers";
    if ((file.key != Key{}) != group.at("has_password").get<bool>()) return "password";
    return "";
}

// The first thing that is another; empty: nothing that shows.
std::string difference(const Config& file, const Json& groups) {
    std::map<std::pair<std::string, int>, const GroupConfig*> in_file;
    for (const GroupConfig& config : file.groups) in_file[{config.interface, config.vhid.value}] = &config;
    for (const Json& group : groups) {
        const auto found = in_file.find({group.at("interface").get<std::string>(), number(group, "vhid")});
        if (found == in_file.end()) return fmt::format("the group {} is not in it", text(group, "name"));
        if (const auto key = difference(*found->second, group); !key.empty())
            return fmt::format("{} of the group {} differ there", key, text(group, "name"));
    }
    if (file.groups.size() != groups.size()) return "it has a group that doesn't run";
    return "";
}

std::string managed_advice(const std::string& manager) {
    return manager == "systemd-networkd"
               ? "Install /usr/lib/systemd/network/10-carpd.network, which the package has."
               : "Install /usr/lib/NetworkManager/conf.d/10-carpd.conf, which the package has.";
}

void judge_standing(const Case& known, Troubles& out) {
    for (const Json& group : known.now.at("groups")) {
        const Json& before = group_before(group, known);
        if (group.at("state") == "master" || before.is_null() || before.at("state") == "master" ||
            !group.at("balance").is_null())
            continue;
        for (const Json& shared : group.at("addresses")) {
            const auto address = address_in(shared.get<std::string>());
            for (const auto& [interface, standing] : known.host.addresses)
                if (standing == address)
                    out.push_back(
                        {"address-static", group.at("name").get<std::string>(),
                         fmt::format("{} stands on {} although this host is {}.", standing.to_string(),
                                     printable(interface), upper(text(group, "state"))),
                         fmt::format(
                             "carpd brings it and takes it away; somebody else has set it. Remove it "
                             "from the host's network configuration, and now: `ip address del {} dev {}`.",
                             standing.to_string(), printable(interface))});
        }
    }
}

void judge_settings(const Json& group, const Case& known, Troubles& out) {
    const auto found = known.host.interfaces.find(group.at("interface").get<std::string>());
    if (found == known.host.interfaces.end() || !group.at("interface_up").get<bool>()) return;
    const auto& [interface, facts] = *found;
    const std::string name = group.at("name").get<std::string>();
    if (group.at("mac") == "virtual" && has_family(group, Family::ipv4) && facts.arp_ignore == 0)
        out.push_back({"arp-ignore-off", name,
                       fmt::format("arp_ignore of {} is 0, so as MASTER this host answers ARP also with the "
                                   "interface's own MAC.",
                                   interface),
                       fmt::format("carpd sets it to 1 at its start; somebody has changed it: `sysctl "
                                   "net.ipv4.conf.{}.arp_ignore=1`, and look into /etc/sysctl.d.",
                                   interface)});
    if (!group.at("peers").empty()) return;
    for (const Family family : kFamilies) {
        const bool is_ipv6 = family == Family::ipv6;
        if (has_family(group, family) && !(is_ipv6 ? facts.hears_ipv6 : facts.hears_ipv4))
            out.push_back(
                {"multicast-not-joined", name,
                 fmt::format("{} has not told the network that it wants {}: switches that snoop keep "
                             "advertisements back.",
                             interface, is_ipv6 ? "ff02::12 (MLD)" : "224.0.0.18 (IGMP)"),
                 is_ipv6 ? "carpd's log says why."
                         : "carpd's log says why; often the limit is too low: raise "
                           "net.ipv4.igmp_max_memberships and restart carpd."});
    }
}

}  // namespace

void judge_config(const Case& known, Troubles& out) {
    if (known.config.is_invalid)
        out.push_back(
            {"config-invalid", "", known.config.problem,
             fmt::format("carpd would not start again with it; `carpd -n -f {}` says all that is wrong.",
                         known.config.file)});
    if (!known.config.has()) return;
    for (const ConfigError& warning : known.config.content.warnings)
        out.push_back(
            {"config-warning", "", warning.to_string(known.config.file), "Change that in the file."});
    if (const auto what = difference(known.config.content.config, known.now.at("groups")); !what.empty())
        out.push_back(
            {"config-not-loaded", "",
             fmt::format("carpd runs with another configuration than {}: {}.", known.config.file, what),
             "`carpctl reload` loads it; a restart would, too."});
}

void judge_daemon(const Case& known, Troubles& out) {
    const Json& status = known.now;
    if (const int restarts = number(status, "restarts"); restarts > 0)
        out.push_back({"engine-restarted", "",
                       fmt::format("carpd's engine died or hung, and was started again, {} time{}.", restarts,
                                   restarts == 1 ? "" : "s"),
                       "The log says why; a restart of carpd sets the count to 0."});
    double patience = 1e9;
    for (const Json& group : status.at("groups"))
        patience = std::min(patience, group.at("master_down_interval_ms").get<double>());
    const Json& last = status.contains("timers") ? status.at("timers").at("last") : Json(nullptr);
    if (!last.is_null() && last.at("age_ms").get<double>() < kLately_ms &&
        4 * last.at("late_ms").get<double>() > patience)
        out.push_back(
            {"late-timers", "",
             fmt::format(
                 "carpd was woken {} too late {} ago, {} times in all too late; others take over after {} "
                 "of silence.",
                 duration(last.at("late_ms")), duration(last.at("age_ms")),
                 count(status.at("timers"), "late"), duration(patience)),
             "This host is overloaded, stands still at times (snapshots, migration, a busy hypervisor), or "
             "carpd may not take real-time priority (LimitRTPRIO, CAP_SYS_NICE); or make advbase longer."});
    if (const Json& hooks = status.at("hooks"); !hooks.is_null()) {
        const auto bad = count(hooks, "failed") + count(hooks, "timed_out") + count(hooks, "missed");
        if (bad > 0)
            out.push_back(
                {"hooks-fail", "",
                 fmt::format("Of hooks {} failed, {} took too long, and {} weren't run.",
                             count(hooks, "failed"), count(hooks, "timed_out"), count(hooks, "missed")),
                 "carpd's log has what they said; a restart of carpd sets the counts to 0."});
    }
    for (const Json& track : status.at("tracks"))
        if (!track.at("passed").get<bool>())
            out.push_back({"check-fails", "",
                           fmt::format("The check {} fails: {}.", text(track, "name"), text(track, "why")),
                           track.at("withdraw").get<bool>() ? "Until it passes its groups stay in INIT."
                                                            : "Until it passes its groups are demoted."});
    if (const Json& sync = status.at("sync"); !sync.is_null()) {
        if (text(sync, "incomplete") != "no")
            out.push_back(
                {"sync-incomplete", "",
                 fmt::format("This host doesn't have all flows of its peers: {}.", text(sync, "incomplete")),
                 "`carpctl sync status` shows how far it is; a takeover now breaks connections."});
        if (number(sync, "peers_up") < number(sync, "peers"))
            out.push_back({"sync-peer-down", "",
                           fmt::format("Of {} peers of state synchronisation {} are heard.",
                                       number(sync, "peers"), number(sync, "peers_up")),
                           "`carpctl sync status` says which one is missing, and why."});
    }
    for (const Json& pool : pools_of(status))
        for (const Reason& reason : explain_hosts(pool))
            if (reason.code != "settling")
                out.push_back(
                    {"pool-disagrees", pool.at("name").get<std::string>(), reason.text,
                     "Configure the pool alike on all its hosts; `carpctl status` shows their shares."});
}

void judge_host(const Case& known, Troubles& out) {
    for (const Json& group : known.now.at("groups")) judge_settings(group, known, out);
    judge_standing(known, out);
    for (const BlockingRule& rule : known.host.blocking)
        out.push_back({"carp-blocked", "",
                       fmt::format("Rule {} of {} drops CARP (IP protocol 112) at the hook {}.", rule.number,
                                   printable(rule.chain), printable(rule.hook)),
                       fmt::format("`{}`, or accept protocol 112 before it; and look into what sets it.",
                                   printable(rule.undo))});
    const auto uses_macvlan = std::any_of(
        known.now.at("groups").begin(), known.now.at("groups").end(),
        [](const Json& group) { return group.at("dataplane") == "macvlan" && group.at("mac") == "virtual"; });
    for (const std::string& manager : known.host.managers)
        if (uses_macvlan)
            out.push_back(
                {"devices-managed", "",
                 fmt::format("{} runs here, and isn't told to leave carpd's devices alone.", manager),
                 managed_advice(manager)});
    std::set<std::string> filtered;  // hosts in both families say it of one port
    for (const ForeignMacTest& test : known.mac_tests)
        if (!test.passed && filtered.insert(test.interface).second)
            out.push_back(
                {"foreign-macs-filtered", "",
                 fmt::format("{} answers to {}'s own MAC, and not to another one: frames of foreign MACs "
                             "are kept back, so a virtual MAC doesn't work here.",
                             test.asked.to_string(), printable(test.interface)),
                 foreign_mac_advice(known.host.platform)});
}

}  // namespace carpd
