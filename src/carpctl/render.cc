#include "carpctl/render.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "carpctl/explain.h"
#include "carpctl/parts.h"
#include "carpctl/render_pools.h"
#include "control/human.h"
#include "control/refusal.h"

namespace carpd {

namespace {

// ---- small pieces

std::string refused_packets(const Json& dropped, std::string_view indent, const Paint& paint) {
    return refused_lines(dropped, indent, paint, explain_refusal);
}

std::string interface_state(const Json& group) {
    if (!group.at("interface_present").get<bool>()) return "missing";
    if (!group.at("interface_up").get<bool>()) return "down";
    return group.at("interface_running").get<bool>() ? "up" : "up, but without a link";
}

std::string skew(const Json& group) {
    const int configured = number(group, "advskew"), effective = number(group, "effective_advskew");
    return configured == effective ? std::to_string(configured)
                                   : fmt::format("{} ({})", configured, effective);
}

std::string master(const Json& group) {
    const std::string state = text(group, "state");
    if (state == "master") return "this host";
    const Json& heard = group.at("last_heard");
    if (state == "init" || heard.is_null()) return "none heard";
    return fmt::format("{}, {} ago", text(heard, "source"), duration(heard.at("age_ms")));
}

std::string short_addresses(const Json& addresses) {
    constexpr std::size_t kShown = 3;
    if (addresses.size() <= kShown) return join(addresses, " ");
    const Json first(addresses.begin(), addresses.begin() + kShown);
    return fmt::format("{} and {} more", join(first, " "), addresses.size() - kShown);
}

std::string demotion_reasons(const Json& group) {
    std::string reasons;
    for (const auto& [name, amount] : group.at("demotion_reasons").items())
        reasons += fmt::format("{}{} {}", reasons.empty() ? "" : ", ", name, integer<int>(amount));
    return reasons;
}

// ---- the overview

Row overview_row(const Json& group) {
    return {text(group, "name"),
            upper(text(group, "state")),
            duration(group.at("since_ms")),
            text(group, "interface"),
            std::to_string(number(group, "vhid")),
            skew(group),
            std::to_string(number(group, "demotion")),
            master(group),
            short_addresses(group.at("addresses"))};
}

// Those of groups that one host serves; carpnodes stand with their pool.
std::string group_rows(const Json& groups, const Paint& paint) {
    std::vector<Row> rows = {
        {"GROUP", "STATE", "SINCE", "INTERFACE", "VHID", "SKEW", "DEMOTION", "MASTER", "ADDRESSES"}};
    std::vector<std::string> states = {""};
    for (const Json& group : groups) {
        if (!balance_of(group).is_null()) continue;
        rows.push_back(overview_row(group));
        states.push_back(text(group, "state"));
    }
    if (rows.size() == 1 && !groups.empty()) return {};
    const auto widths = column_widths(rows);
    std::string out;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        for (std::size_t column = 0; column < rows[i].size(); ++column) {
            const bool last = column + 1 == rows[i].size();
            const std::string cell = last ? rows[i][column] : pad(rows[i][column], widths[column]);
            out += i == 0 ? paint.dim(cell) : column == 1 ? paint.state(states[i], cell) : cell;
            out += last ? "\n" : "  ";
        }
    }
    return out;
}

// What an administrator should know of a group without asking for it.
std::vector<std::string> notes(const Json& group) {
    std::vector<std::string> notes;
    if (text(group, "state") == "init") notes.push_back("in INIT: " + text(group, "reason"));
    if (group.contains("waits_for_flows") && group.at("waits_for_flows").get<bool>())
        notes.push_back("MASTER, and answers when the flows of the peers are in the kernel");
    if (number(group, "demotion") != 0) notes.push_back("demoted by " + demotion_reasons(group));
    const Json& dropped = group.at("counters").at("dropped");
    for (const char* reason : {"bad_digest", "vrrp2", "vrrp3", "own_advert"})
        if (dropped.contains(reason) && !is_zero(dropped[reason]))
            notes.push_back(fmt::format("{} packets refused, {}: {}", integer<std::uint64_t>(dropped[reason]),
                                        reason, explain_refusal(reason)));
    return notes;
}

// ---- state synchronisation

std::string sync_line(const Json& sync, const Paint& paint) {
    const int known = number(sync, "peers");  // 0 where they find each other, and none was found
    const std::string peers =
        known == 0 ? "no peer found yet" : fmt::format("{} of {} peers", number(sync, "peers_up"), known);
    const std::string incomplete = text(sync, "incomplete");
    if (incomplete == "no") return fmt::format("\n{}  complete, {}\n", paint.dim("sync"), peers);
    const int demotion = number(sync, "demotion");
    const std::string effect = demotion != 0 ? fmt::format("groups are demoted by {}", demotion)
                                             : "this host is MASTER, so what it has counts";
    return fmt::format(
        "\n{}  {}\n", paint.dim("sync"),
        paint.warning(fmt::format("incomplete: {}, {}; {}", explain_incomplete(incomplete), peers, effect)));
}

// ---- tracks

std::string track_rows(const Json& tracks, const Paint& paint) {
    if (tracks.empty()) return {};
    std::vector<Row> rows = {{"TRACK", "KIND", "STATE", "SINCE", "GROUPS", "LAST VERDICT"}};
    for (const Json& track : tracks) {
        const bool passed = track.at("passed").get<bool>(), known = track.at("known").get<bool>();
        rows.push_back({text(track, "name"), text(track, "kind"), passed ? "passes" : "FAILS",
                        known ? duration(track.at("since_ms")) : "-",
                        track.at("groups").empty() ? "all" : join(track.at("groups"), " "),
                        text(track, "why")});
    }
    const auto lines = aligned(rows);
    std::string out = "\n" + paint.dim(lines[0]) + "\n";
    for (std::size_t i = 1; i < rows.size(); ++i)
        out += (rows[i][2] == "FAILS" ? paint.warning(lines[i]) : lines[i]) + "\n";
    return out;
}

// ---- the detailed view

std::string bsd_line(const Json& group) {
    return fmt::format("carp: {} vhid {} advbase {} advskew {}", upper(text(group, "state")),
                       number(group, "vhid"), number(group, "advbase"), number(group, "advskew"));
}

std::string_view explain_dataplane(std::string_view dataplane) {
    if (dataplane == "bpf") return "BPF gate: the kernel enforces the lease";
    if (dataplane == "scripts")
        return "scripts: the down script runs when the engine dies or hangs; the kernel enforces nothing";
    return "macvlan: the supervisor ends what a dead or frozen engine owns";
}

void add_identity(const Json& group, Details& out) {
    bool first = true;
    for (const Json& address : group.at("addresses")) {
        out.add(first ? "addresses" : "", address.get<std::string>());
        first = false;
    }
    const Json& mac = group.at("virtual_mac");
    out.add("mac", mac.is_null() ? "the interface's own" : mac.get<std::string>() + " (virtual)");
    out.add("data plane", std::string(explain_dataplane(text(group, "dataplane"))));
    out.add("interface", text(group, "interface") + ", " + interface_state(group));
    std::string sources;
    for (const char* key : {"source_ipv4", "source_ipv6"})
        if (!group.at(key).is_null()) sources += (sources.empty() ? "" : ", ") + text(group, key);
    out.add("sends from",
            sources.empty() ? "the group's first address: the interface has none of its own" : sources);
    const Json& peers = group.at("peers");
    const bool routed = group.at("peer_routed").get<bool>();
    out.add("sends to",
            peers.empty() ? "multicast" : join(peers, ", ") + (routed ? " (behind a router)" : ""));
    out.add("password",
            group.at("has_password").get<bool>() ? "yes" : "none: anyone on the LAN can take over");
    if (group.contains("accepts_another") && group.at("accepts_another").get<bool>())
        out.add("accepts", "another password or list, too: accept-* is set");
}

std::string preemption(const Json& group) {
    const Json& delay = group.at("preempt_delay_ms");
    if (delay == 0) return ", or from a slower one (preempt)";
    return fmt::format(", or from a slower one (preempt) {} after it came up", duration(delay));
}

void add_pool(const Json& balance, Details& out) {
    if (balance.is_null()) return;
    const std::string_view by = balance.at("master").is_null()      ? "nobody known"
                                : balance.at("at_home").get<bool>() ? "at home"
                                                                    : "served by a stand-in";
    out.add("pool",
            fmt::format("{}, {} by {} hash: carpnode {} of {}, {} of the clients, {}", text(balance, "pool"),
                        text(balance, "mode"), text(balance, "hash"), number(balance, "carpnode") + 1,
                        number(balance, "carpnodes"), percent(balance.at("share")), by));
}

void add_election(const Json& group, Details& out) {
    out.add("advertises", fmt::format("every {}", duration(group.at("advertisement_interval_ms"))));
    out.add("takes over",
            fmt::format("after {} without a master{}", duration(group.at("master_down_interval_ms")),
                        group.at("preempt").get<bool>() ? preemption(group) : ""));
    if (group.contains("together") && !group.at("together").is_null())
        out.add("together", fmt::format("in the set {}{}", text(group, "together"),
                                        group.at("held_by").is_null()
                                            ? ""
                                            : "; would take over, but " + text(group, "held_by") +
                                                  " hears a master that is better than we are"));
    const std::string reasons = demotion_reasons(group);
    out.add("demotion", reasons.empty()
                            ? "0"
                            : fmt::format("{}: {}; advertises advskew {}", number(group, "demotion"), reasons,
                                          number(group, "effective_advskew")));
    const Json& heard = group.at("last_heard");
    out.add("last heard", heard.is_null() ? "nobody yet"
                                          : fmt::format("{}, {} ago: advbase {} advskew {} demotion {}",
                                                        text(heard, "source"), duration(heard.at("age_ms")),
                                                        number(heard, "advbase"), number(heard, "advskew"),
                                                        number(heard, "demotion")));
    const Json& lease = group.at("lease_remaining_ms");
    if (!lease.is_null()) out.add("lease", "ends in " + duration(lease) + " unless it advertises");
    const Json& next = group.at("next_deadline_ms");
    if (!next.is_null()) out.add("next timer", "in " + duration(next));
}

void add_counters(const Json& counters, Details& out) {
    std::string label = "counters";
    for (const auto& [key, value] : counters.items()) {
        if (!value.is_number() || is_zero(value)) continue;
        std::string words = key;
        std::replace(words.begin(), words.end(), '_', ' ');
        out.add(label, fmt::format("{:>8}  {}", integer<std::uint64_t>(value), words));
        label.clear();
    }
}

}  // namespace

std::string Paint::wrap(std::string_view code, std::string_view text) const {
    return coloured_ ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
}

std::string Paint::state(std::string_view state, std::string_view text) const {
    return wrap(state == "master" ? "1;32" : state == "backup" ? "36" : "1;31", text);
}

std::string render_overview(const Json& status, const Paint& paint) {
    const Json& groups = status.at("groups");
    std::string out = group_rows(groups, paint);
    const std::string pools = render_pools(status, paint);
    if (!pools.empty()) out += (out.empty() ? "" : "\n") + pools;
    std::string below;
    if (const int restarts = number(status, "restarts"); restarts > 0)
        below += paint.warning(fmt::format(
                     "the engine died or hung, and was started again, {} time{}; the log says why", restarts,
                     restarts == 1 ? "" : "s")) +
                 "\n";
    if (std::any_of(groups.begin(), groups.end(),
                    [](const Json& g) { return text(g, "dataplane") == "macvlan"; }))
        below +=
            "data plane macvlan: the supervisor ends what a dead or frozen engine owns, the kernel doesn't\n";
    for (const Json& group : groups)
        for (const std::string& note : notes(group))
            below += fmt::format("{} {}\n", paint.bold(text(group, "name") + ":"), paint.warning(note));
    for (const Json& pool : pools_of(status))
        for (const Reason& reason : explain_hosts(pool))
            below += fmt::format("{} {}\n", paint.bold(text(pool, "name") + ":"), paint.warning(reason.text));
    const std::string refused = refused_packets(status.at("dropped"), "  ", paint);
    if (!refused.empty()) below += "refused packets of no group:\n" + refused;
    if (status.contains("sync") && !status.at("sync").is_null()) out += sync_line(status.at("sync"), paint);
    if (status.contains("tracks")) out += track_rows(status.at("tracks"), paint);
    return below.empty() ? out : out + "\n" + below;
}

std::string render_group(const Json& group, const Paint& paint) {
    const std::string state = text(group, "state");
    std::string out =
        fmt::format("{}: {} for {} ({})\n", paint.bold(text(group, "name")), paint.state(state, upper(state)),
                    duration(group.at("since_ms")), text(group, "reason"));
    out += fmt::format("  {}\n", bsd_line(group));
    Details details(paint);
    add_identity(group, details);
    add_pool(balance_of(group), details);
    add_election(group, details);
    add_counters(group.at("counters"), details);
    out += details.take();
    const std::string refused = refused_packets(group.at("counters").at("dropped"), "    ", paint);
    if (!refused.empty()) out += "  refused packets\n" + refused;
    return out;
}

std::string render_change(const Json& change, const Paint& paint) {
    const std::string line = text(change, "text");
    const bool transition = text(change, "event") == "transition";
    return fmt::format("{}  {}", paint.dim(text(change, "time")),
                       transition ? paint.state(text(change, "to"), line) : paint.warning(line));
}

}  // namespace carpd
