#include "sim/plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace carpd::sim {

std::string_view to_string(Kind kind) {
    constexpr std::string_view kNames[] = {"carpd", "OpenBSD", "FreeBSD", "NetBSD", "ucarp"};
    return kNames[static_cast<std::size_t>(kind)];
}

std::string_view to_string(FaultKind kind) {
    constexpr std::string_view kNames[kFaultKinds] = {"loss",
                                                      "one_way_loss",
                                                      "delay",
                                                      "duplication",
                                                      "reordering",
                                                      "corruption",
                                                      "partition",
                                                      "family_loss",
                                                      "multicast_loss",
                                                      "crash",
                                                      "kill",
                                                      "stop",
                                                      "pause",
                                                      "suspend",
                                                      "late_wake_ups",
                                                      "send_failures",
                                                      "install_failures",
                                                      "link_loss",
                                                      "flapping",
                                                      "interface_loss",
                                                      "forgery",
                                                      "replay",
                                                      "echo",
                                                      "state_request",
                                                      "demotion",
                                                      "reload",
                                                      "key_change",
                                                      "address_change",
                                                      "removal",
                                                      "demoting_check",
                                                      "withdrawing_check",
                                                      "lacks_flows"};
    return kNames[static_cast<std::size_t>(kind)];
}

std::string interface_name(std::size_t interface) {
    return fmt::format("lan{}", interface);
}

bool GroupPlan::has(Family family) const {
    return std::any_of(addresses.begin(), addresses.end(),
                       [family](const InterfaceAddress& a) { return a.address.family() == family; });
}

bool Plan::has_foreign(HostSet set) const {
    for (std::size_t h = 0; h < hosts.size(); ++h)
        if (contains(set, static_cast<int>(h)) && hosts[h].kind != Kind::carpd) return true;
    return false;
}

namespace {

// The slowest settings that a member of the group ever has.
AdvSkew slowest(const Plan& plan, int group) {
    const GroupPlan& g = plan.groups[static_cast<std::size_t>(group)];
    std::uint8_t skew = 0;
    for (std::size_t h = 0; h < plan.hosts.size(); ++h)
        if (contains(g.members, static_cast<int>(h))) skew = std::max(skew, g.settings[h].advskew);
    for (const Fault& f : plan.faults)
        if (f.kind == FaultKind::reload && f.group == group) skew = std::max(skew, f.settings.advskew);
    // Demoted stand-ins slow down.
    if (plan.has_foreign(g.members)) skew = std::max<std::uint8_t>(skew, 240);
    return AdvSkew{skew};
}

}  // namespace

Moment Plan::longest_interval(int group) const {
    const GroupPlan& g = groups[static_cast<std::size_t>(group)];
    return advertisement_interval(g.advbase, slowest(*this, group)).count();
}

// A master-down time; for stand-ins a second one, since two equal BSDs both yield and wait again; and six
// intervals, in which a demotion for failed sends is taken back and the best host preempts.
Moment Plan::settling_bound(int group) const {
    const GroupPlan& g = groups[static_cast<std::size_t>(group)];
    const Moment interval = longest_interval(group);
    const bool foreign = has_foreign(g.members);
    Moment down = master_down_interval(g.advbase, slowest(*this, group)).count();
    if (g.advbase.seconds == 0) down = 4 * kSecond;  // rule T5
    if (foreign) down = std::max(down, 7 * interval);
    Moment alone = down + 6 * interval + 100 * kMillisecond;
    // Who lacks flows waits to be relieved, and who gets them may take over then.
    const auto synchronises = [](const HostPlan& h) { return h.commit_wait > 0; };
    if (std::any_of(hosts.begin(), hosts.end(), synchronises)) alone += 4 * kCopying;
    if (g.set == 0) return alone;
    // Then a set that is split waits for so long, and moves again.
    return 3 * alone;
}

bool Plan::share_settings(int changed, int group) const {
    const int pool = groups[static_cast<std::size_t>(group)].pool;
    return changed == group || (pool != 0 && groups[static_cast<std::size_t>(changed)].pool == pool);
}

std::vector<int> Plan::together(int host, int group) const {
    const GroupPlan& g = groups[static_cast<std::size_t>(group)];
    std::vector<int> all;
    for (std::size_t i = 0; i < groups.size(); ++i)
        if (g.set != 0 && groups[i].set == g.set && contains(g.in_set, host))
            all.push_back(static_cast<int>(i));
    return all;
}

GroupConfig Plan::config(int host, int group, const Settings& settings) const {
    const GroupPlan& g = groups[static_cast<std::size_t>(group)];
    if (!g.from_files.empty()) return g.from_files[static_cast<std::size_t>(host)];
    GroupConfig c;
    c.name = g.name;
    c.interface = interface_name(g.interface);
    c.vhid = g.vhid;
    c.addresses = g.addresses;
    if (settings.addresses != 0) {
        InterfaceAddress more = g.addresses.front();
        std::array<std::uint8_t, 16> bytes{};
        std::copy(more.address.bytes().begin(), more.address.bytes().end(), bytes.begin());
        const std::size_t size = more.address.bytes().size();
        bytes[size - 2] = static_cast<std::uint8_t>(bytes[size - 2] + 100 + settings.addresses);
        more.address = IpAddress::from_bytes(Bytes(bytes).first(size));
        c.addresses.push_back(more);
    }
    c.key[0] = static_cast<std::uint8_t>('a' + settings.key);
    c.key[1] = g.vhid.value;
    if (g.pool != 0) {
        const PoolPlan& pool = pools[static_cast<std::size_t>(g.pool - 1)];
        c.key[1] = pool.balance.leader();
        c.balance = SharedValue<BalanceConfig>(pool.balance);
    }
    c.advbase = g.advbase;
    c.advskew = AdvSkew{settings.advskew};
    c.preempt = settings.preempt;
    if (contains(g.in_set, host)) c.together = fmt::format("set{}", g.set);
    if (!g.unicast) return c;
    for (std::size_t h = 0; h < hosts.size(); ++h) {
        if (!contains(g.members, static_cast<int>(h)) || static_cast<int>(h) == host) continue;
        if (g.has(Family::ipv4)) c.peers.push_back(hosts[h].own4);
        if (g.has(Family::ipv6)) c.peers.push_back(hosts[h].global6);
    }
    return c;
}

// ---- for people

namespace {

std::string seconds(Moment m) {
    return fmt::format("{}.{:06}s", m / kSecond, m % kSecond / 1000);
}

std::string duration(Moment m) {
    if (m >= kSecond) return fmt::format("{}.{:03}s", m / kSecond, m % kSecond / kMillisecond);
    return fmt::format("{}.{:03}ms", m / kMillisecond, m % kMillisecond / kMicrosecond);
}

std::string names(const Plan& plan, HostSet set) {
    std::string text;
    for (std::size_t h = 0; h < plan.hosts.size(); ++h)
        if (contains(set, static_cast<int>(h))) text += (text.empty() ? "" : ",") + plan.hosts[h].name;
    return text;
}

std::string details(const Plan& plan, const Fault& f) {
    const auto host = [&] { return plan.hosts[static_cast<std::size_t>(f.host)].name; };
    const auto group = [&] { return plan.groups[static_cast<std::size_t>(f.group)].name; };
    const auto concerned = [&] { return f.all_groups ? "all groups" : group(); };
    switch (f.kind) {
        case FaultKind::loss:
        case FaultKind::corruption: return fmt::format("{} per mille", f.chance);
        case FaultKind::delay:
        case FaultKind::duplication:
        case FaultKind::reordering: return fmt::format("{} per mille, {}", f.chance, duration(f.span));
        case FaultKind::one_way_loss:
            return fmt::format("{} -> {}", host(), plan.hosts[static_cast<std::size_t>(f.peer)].name);
        case FaultKind::partition: return fmt::format("{} | others", names(plan, f.side));
        case FaultKind::family_loss: return f.family == Family::ipv4 ? "IPv4" : "IPv6";
        case FaultKind::late_wake_ups: return fmt::format("{} by up to {}", host(), duration(f.span));
        case FaultKind::send_failures:
            if (!f.some_copies) return fmt::format("{} {} per mille", host(), f.chance);
            return fmt::format("{} {} per mille of {}, or of unicast to {}", host(), f.chance,
                               f.family == Family::ipv4 ? "IPv4" : "IPv6",
                               plan.hosts[static_cast<std::size_t>(f.peer)].name);
        case FaultKind::flapping:
            return fmt::format("{} {} {} times, every {}", host(), interface_name(f.interface), f.amount,
                               duration(f.span));
        case FaultKind::link_loss:
        case FaultKind::interface_loss: return fmt::format("{} {}", host(), interface_name(f.interface));
        case FaultKind::demoting_check: return fmt::format("{} {} by {}", host(), concerned(), f.amount);
        case FaultKind::withdrawing_check: return fmt::format("{} {}", host(), concerned());
        case FaultKind::forgery:
        case FaultKind::replay: return fmt::format("every {}", duration(f.span));
        case FaultKind::echo: return "";
        case FaultKind::state_request:
            return fmt::format("{} {} {} times, every {}", host(), group(), f.amount, duration(f.span));
        case FaultKind::demotion: return fmt::format("{} {} by {}", host(), group(), f.amount);
        case FaultKind::reload:
            return fmt::format("{} {} advskew {}{}", host(), group(), f.settings.advskew,
                               f.settings.preempt ? " preempt" : "");
        case FaultKind::key_change:
        case FaultKind::address_change:
        case FaultKind::removal: return fmt::format("{} {}", host(), group());
        default: return host();
    }
}

}  // namespace

std::string describe(const Plan&, const HostPlan& h) {
    return fmt::format("{:<3} {:<8} {:<22} clock {:+} ppm, buffer {}{}", h.name, to_string(h.kind),
                       h.has_own_addresses ? h.own4.to_string() + " " + h.own6.to_string() : "no own address",
                       h.clock_ppm, h.receive_buffer,
                       h.commit_wait == 0 ? "" : ", waits for flows for " + duration(h.commit_wait));
}

std::string describe(const Plan& plan, const GroupPlan& g) {
    std::string text = fmt::format("{:<4} vhid {:<3} advbase {}{}", g.name, g.vhid.value, g.advbase.seconds,
                                   g.unicast ? " unicast" : "");
    for (const InterfaceAddress& a : g.addresses) text += " " + a.to_string();
    for (std::size_t h = 0; h < plan.hosts.size(); ++h)
        if (contains(g.members, static_cast<int>(h)))
            text += fmt::format(", {} {}{}", plan.hosts[h].name, g.settings[h].advskew,
                                g.settings[h].preempt ? "p" : "");
    if (g.pool != 0) {
        const BalanceConfig& pool = plan.pools[static_cast<std::size_t>(g.pool - 1)].balance;
        text += fmt::format(", pool {} {} weight {}", to_string(pool.mode), to_string(pool.hash),
                            pool.carpnodes[static_cast<std::size_t>(g.vhid.value - pool.leader())].weight);
    }
    if (g.set != 0) text += fmt::format(", set {} on {}", g.set, names(plan, g.in_set));
    return text;
}

std::string describe(const Plan& plan, const Fault& f) {
    return fmt::format("{:>3}  {:>14} .. {:>14}  {:<16} {}", f.id, seconds(f.begin), seconds(f.end),
                       to_string(f.kind), details(plan, f));
}

}  // namespace carpd::sim
