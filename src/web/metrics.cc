#include "web/metrics.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "web/metrics_parts.h"

namespace carpd {

namespace {

using enum MetricType;

void add_head(OpenMetrics& out, bool up) {
    out.family("carpd_build", info, "The version of carpd.");
    out.sample({{"version", CARPD_VERSION}}, 1);
    out.family("carpd_up", gauge, "Whether carpd's engine answers.");
    out.sample({}, up ? 1 : 0);
}

// INIT, BACKUP, MASTER, in the order in which a host becomes useful; as other exporters of such have them.
double number_of_state(const Json& state) {
    return state == "master" ? 2 : state == "backup" ? 1 : 0;
}

// ---- groups

struct Group {
    const Json& json;
    std::string labels;

    const Json& at(const char* key) const { return json.at(key); }
    const Json& counter(const char* key) const { return json.at("counters").at(key); }
};
using Groups = std::vector<Group>;

Groups groups_of(const Json& status) {
    Groups groups;
    for (const Json& group : status.at("groups"))
        groups.push_back(
            {group, OpenMetrics::labels({{"group", group.at("name").get_ref<const std::string&>()},
                                         {"interface", group.at("interface").get_ref<const std::string&>()},
                                         {"vhid", std::to_string(group.at("vhid").get<int>())}})});
    return groups;
}

// `value` of each group that has one.
template <class Value>
void add(OpenMetrics& out, const Groups& groups, std::string_view name, MetricType type,
         std::string_view help, Value value) {
    out.family(name, type, help);
    for (const Group& group : groups) out.sample(group.labels, {}, value(group));
}

template <class Value>
void add_if(OpenMetrics& out, const Groups& groups, std::string_view name, std::string_view help,
            Value value) {
    out.family(name, gauge, help);
    for (const Group& group : groups)
        if (const std::optional<double> known = value(group)) out.sample(group.labels, {}, *known);
}

// Two counters of a group, told apart by a label.
struct Kind {
    std::string_view label;
    const char* key;
};
void add_kinds(OpenMetrics& out, const Groups& groups, std::string_view name, std::string_view help,
               std::string_view label, std::initializer_list<Kind> kinds) {
    out.family(name, counter, help);
    for (const Group& group : groups)
        for (const Kind& kind : kinds)
            out.sample(group.labels, {{label, kind.label}}, number(group.counter(kind.key)));
}

void add_states(OpenMetrics& out, const Groups& groups) {
    add(out, groups, "carpd_group_state", gauge, "The group's state: 0 INIT, 1 BACKUP, 2 MASTER.",
        [](const Group& g) { return number_of_state(g.at("state")); });
    add(out, groups, "carpd_group_is_master", gauge, "Whether this host is MASTER of the group.",
        [](const Group& g) { return g.at("state") == "master" ? 1 : 0; });
    add(out, groups, "carpd_group_state_age_seconds", gauge, "How long it has been in its state.",
        [](const Group& g) { return seconds(g.at("since_ms")); });
    add(out, groups, "carpd_group_interface_running", gauge, "Whether its interface has a carrier.",
        [](const Group& g) { return number(g.at("interface_running")); });
    add(out, groups, "carpd_group_hears_rival", gauge, "Whether another MASTER is heard while this host is.",
        [](const Group& g) { return number(g.at("hears_rival")); });
    add(out, groups, "carpd_group_family_unheard", gauge,
        "Whether a BACKUP hears its master in one family only.",
        [](const Group& g) { return g.at("unheard_family").is_null() ? 0 : 1; });
    add_if(out, groups, "carpd_group_lease_seconds", "What is left of a MASTER's lease.",
           [](const Group& g) -> std::optional<double> {
               if (g.at("state") != "master" || g.at("lease_remaining_ms").is_null()) return std::nullopt;
               return seconds(g.at("lease_remaining_ms"));
           });
    add_if(out, groups, "carpd_master_last_seen_seconds",
           "How long ago the group's master on another host was last heard.",
           [](const Group& g) -> std::optional<double> {
               if (g.at("last_heard").is_null()) return std::nullopt;
               return seconds(g.at("last_heard").at("age_ms"));
           });
}

void add_election(OpenMetrics& out, const Groups& groups) {
    add(out, groups, "carpd_group_advskew", gauge, "advskew as configured.",
        [](const Group& g) { return number(g.at("advskew")); });
    add(out, groups, "carpd_group_effective_advskew", gauge, "advskew as it is advertised.",
        [](const Group& g) { return number(g.at("effective_advskew")); });
    add(out, groups, "carpd_group_advert_interval_seconds", gauge, "Between two of its advertisements.",
        [](const Group& g) { return seconds(g.at("advertisement_interval_ms")); });
    add(out, groups, "carpd_group_demotion", gauge, "The demotion counter.",
        [](const Group& g) { return number(g.at("demotion")); });
    out.family("carpd_demotion", gauge, "What the demotion counter is made of, by its name.");
    for (const Group& group : groups)
        for (const auto& [name, amount] : group.at("demotion_reasons").items())
            out.sample(group.labels, {{"reason", name}}, number(amount));
}

void add_counters(OpenMetrics& out, const Groups& groups) {
    add_kinds(out, groups, "carpd_adverts_received", "Authentic advertisements of other hosts.", "family",
              {{"ipv4", "advertisements_received_ipv4"}, {"ipv6", "advertisements_received_ipv6"}});
    add_kinds(out, groups, "carpd_adverts_sent", "Advertisements that were sent.", "family",
              {{"ipv4", "advertisements_sent_ipv4"}, {"ipv6", "advertisements_sent_ipv6"}});
    add_kinds(out, groups, "carpd_bow_outs", "Advertisements by which a master gives up.", "direction",
              {{"received", "bow_outs_received"}, {"sent", "bow_outs_sent"}});
    add_kinds(out, groups, "carpd_transitions", "Changes of state, by the new one.", "to",
              {{"init", "transitions_to_init"},
               {"backup", "transitions_to_backup"},
               {"master", "transitions_to_master"}});
    const auto add_one = [&](std::string_view name, const char* key, std::string_view help) {
        add(out, groups, name, counter, help, [key](const Group& g) { return number(g.counter(key)); });
    };
    add_one("carpd_send_errors", "send_errors", "Advertisements that could not be sent.");
    add_one("carpd_announcements", "announcements",
            "Gratuitous ARP and neighbour advertisements of a MASTER, in rounds.");
    add_one("carpd_rivals", "rivals_heard", "Advertisements of another MASTER, heard by a MASTER.");
    add_one("carpd_takeovers_held", "takeovers_held",
            "Takeovers that did not happen, for a group of its set hears a better master.");
    add_one("carpd_commits_missed", "commits_missed",
            "Takeovers that did not have all flows of the peers in time.");
}

// A group's stand there when there are any: seventeen of thousands of groups would be a burden.
void add_dropped(OpenMetrics& out, const Groups& groups, const Json& status) {
    out.family("carpd_packets_dropped", counter, "Packets that belong to no group and were refused, by why.");
    for (const auto& [reason, count] : status.at("dropped").items())
        out.sample({{"reason", reason}}, number(count));
    out.family("carpd_group_packets_dropped", counter,
               "Packets of a group that were refused, by why; a reason that there was.");
    for (const Group& group : groups)
        for (const auto& [reason, count] : group.counter("dropped").items())
            if (count != 0) out.sample(group.labels, {{"reason", reason}}, number(count));
}

void add_peers(OpenMetrics& out, const Groups& groups, const Json& status) {
    const auto add_one = [&](std::string_view name, std::string_view help, auto counts) {
        out.family(name, gauge, help);
        for (std::size_t i = 0; i < groups.size(); ++i) {
            const Json& hosts = status.at("groups")[i].at("hosts");
            if (hosts.is_null()) continue;
            out.sample(groups[i].labels, {},
                       static_cast<double>(std::count_if(hosts.begin(), hosts.end(), counts)));
        }
    };
    add_one("carpd_group_peers", "Other hosts of the group that run carpd and are heard.",
            [](const Json& host) {
                return !host.at("left").get<bool>() &&
                       host.at("trouble").dump().find("silent") == std::string::npos;
            });
    add_one("carpd_group_peers_troubled", "Those that fell silent, are deaf to this one, or differ from it.",
            [](const Json& host) { return !host.at("trouble").empty(); });
}

// ---- the rest

void add_pools(OpenMetrics& out, const Json& status) {
    const Json& pools = status.at("pools");
    out.family("carpd_pool_share_ratio", gauge, "The part of a pool's clients that this host serves.");
    for (const Json& pool : pools) {
        double share = 0;
        for (const Json& host : pool.at("hosts"))
            if (host.at("host") == "self") share = number(host.at("share"));
        out.sample({{"pool", pool.at("name").get_ref<const std::string&>()}}, share);
    }
    out.family("carpd_pool_hosts", gauge, "Hosts of the pool that serve clients.");
    for (const Json& pool : pools) {
        double hosts = 0;
        for (const Json& host : pool.at("hosts")) hosts += host.at("host").is_null() ? 0 : 1;
        out.sample({{"pool", pool.at("name").get_ref<const std::string&>()}}, hosts);
    }
}

void add_tracks(OpenMetrics& out, const Json& status) {
    const auto add_one = [&](std::string_view name, MetricType type, std::string_view help, auto value) {
        out.family(name, type, help);
        for (const Json& track : status.at("tracks"))
            out.sample({{"track", track.at("name").get_ref<const std::string&>()},
                        {"kind", track.at("kind").get_ref<const std::string&>()}},
                       value(track));
    };
    add_one("carpd_track_up", gauge, "Whether the check passes.",
            [](const Json& track) { return number(track.at("passed")); });
    add_one("carpd_track_failures", counter, "Looks that failed.",
            [](const Json& track) { return number(track.at("counters").at("failures")); });
    add_one("carpd_track_changes", counter, "How often the check began to pass or to fail.",
            [](const Json& track) { return number(track.at("counters").at("changes")); });
}

void add_processes(OpenMetrics& out, const Json& status) {
    out.family("carpd_engine_age_seconds", gauge, "How long the engine has run; its counters begin with it.");
    out.sample({}, seconds(status.at("running_ms")));
    out.family("carpd_engine_restarts", counter, "Engines that replaced one that died or hung.");
    out.sample({}, number(status.at("restarts")));
    out.family("carpd_timers_late", counter, "Timers that were served late, for the host was too busy.");
    out.sample({}, number(status.at("timers").at("late")));
    const Json& worst = status.at("timers").at("worst");
    out.family("carpd_timer_worst_lateness_seconds", gauge, "The latest of them, since the engine began.");
    out.sample({}, worst.is_null() ? 0 : seconds(worst.at("late_ms")));
    if (const Json& hooks = status.at("hooks"); !hooks.is_null()) {
        const auto add_one = [&](std::string_view name, const char* key, std::string_view help) {
            out.family(name, counter, help);
            out.sample({}, number(hooks.at(key)));
        };
        add_one("carpd_hooks_run", "run", "Hooks that ended.");
        add_one("carpd_hooks_failed", "failed", "Those that did not start or did not exit with 0.");
        add_one("carpd_hooks_timed_out", "timed_out", "Those of the failed that took too long.");
        add_one("carpd_hooks_missed", "missed", "Events left out because too many waited.");
    }
}

void add_histograms(OpenMetrics& out, const Json& status) {
    const auto add_one = [&](std::string_view name, const char* key, std::string_view help) {
        const Json& json = status.at("histograms").at(key);
        auto bounds = json.at("bounds_ms").get<std::vector<double>>();
        for (double& bound : bounds) bound /= 1000;
        out.family(name, histogram, help);
        out.histogram(bounds, json.at("counts").get<std::vector<std::uint64_t>>(),
                      seconds(json.at("sum_ms")));
    };
    add_one("carpd_advert_interval_seconds", "advert_interval",
            "Between two advertisements of a master that is heard, of all groups.");
    add_one("carpd_timer_lateness_seconds", "timer_lateness",
            "How much later than asked for timers of groups were served.");
    add_one("carpd_failover_duration_seconds", "failover",
            "From the last advertisement of the master before to when this host's addresses answer.");
}

void add_reasons(OpenMetrics& out, const Json& status) {
    out.family("carpd_transition_reasons", counter,
               "Changes of state of all groups, by the new one and why.");
    for (const auto& [to, causes] : status.at("transitions").items())
        for (const auto& [reason, count] : causes.items())
            out.sample({{"to", to}, {"reason", reason}}, number(count));
}

}  // namespace

std::string metrics_of(const Json& status, const Json& sync) {
    OpenMetrics out;
    const Groups groups = groups_of(status);
    add_head(out, true);
    add_processes(out, status);
    add_histograms(out, status);
    add_reasons(out, status);
    add_states(out, groups);
    add_election(out, groups);
    add_counters(out, groups);
    add_dropped(out, groups, status);
    add_peers(out, groups, status);
    add_tracks(out, status);
    add_pools(out, status);
    if (const Json& copy = status.at("sync"); !copy.is_null()) add_sync(out, copy, sync);
    return std::move(out).finish();
}

std::string metrics_without_engine() {
    OpenMetrics out;
    add_head(out, false);
    return std::move(out).finish();
}

}  // namespace carpd
