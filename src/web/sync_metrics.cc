// The metrics of state synchronisation.
#include "web/metrics_parts.h"

namespace carpd {

namespace {

using enum MetricType;

void add(OpenMetrics& out, std::string_view name, MetricType type, std::string_view help, const Json& value) {
    out.family(name, type, help);
    if (!value.is_null()) out.sample({}, number(value));
}

// Counters of one kind, each with its key as the label.
void add_by(OpenMetrics& out, std::string_view name, std::string_view help, std::string_view label,
            const Json& counts) {
    out.family(name, counter, help);
    for (const auto& [key, count] : counts.items())
        if (count.is_number()) out.sample({{label, key}}, number(count));
}

void add_kernel(OpenMetrics& out, const Json& sync) {
    const Json& kernel = sync.at("kernel");
    add(out, "carpd_sync_kernel_entries", gauge, "Entries of the kernel's table.", kernel.at("entries"));
    add(out, "carpd_sync_kernel_entries_limit", gauge, "So many it takes.", kernel.at("max"));
    add(out, "carpd_sync_kernel_events", counter, "Events of the kernel that were read.",
        kernel.at("events"));
    add(out, "carpd_sync_kernel_events_lost", counter, "Events of the kernel that were lost.",
        kernel.at("lost_events"));
    add(out, "carpd_sync_kernel_dumps", counter, "Times the kernel's whole table was read.",
        kernel.at("dumps"));
    const Json& changes = sync.at("changes");
    add(out, "carpd_sync_changes_waiting", gauge, "Changes that wait to be made to the kernel's table.",
        changes.at("waiting"));
    Json made = changes;
    made.erase("waiting");  // the failed ones are an object
    add_by(out, "carpd_sync_changes", "Changes that were made to the kernel's table, by what became of them.",
           "result", made);
    add_by(out, "carpd_sync_changes_failed", "Changes that the kernel refused.", "reason",
           changes.at("failed"));
}

void add_deferral(OpenMetrics& out, const Json& deferral) {
    if (deferral.is_null()) return;
    add(out, "carpd_sync_deferral_held", gauge, "First packets that wait for a peer now.",
        deferral.at("held"));
    const Json& counters = deferral.at("counters");
    out.family("carpd_sync_deferral_packets", counter, "First packets of flows, by what became of them.");
    for (const char* result : {"acknowledged", "timed_out", "not_told", "overflow", "passed", "lost"})
        out.sample({{"result", result}}, number(counters.at(result)));
    add(out, "carpd_sync_deferral_send_errors", counter, "Those that could not be sent on.",
        counters.at("send_errors"));
}

void add_host(OpenMetrics& out, const Json& sync) {
    add(out, "carpd_sync_age_seconds", gauge, "How long its process has run; its counters begin with it.",
        seconds(sync.at("running_ms")));
    add(out, "carpd_sync_flows", gauge, "Flows of this host, of which peers are told.", sync.at("flows"));
    add(out, "carpd_sync_flows_refused", counter,
        "Flows that peers were not told of, for there were too many.", sync.at("flows_refused"));
    add(out, "carpd_sync_memory_bytes", gauge, "What this host's own flows take.", sync.at("memory_bytes"));
    const Json& takeovers = sync.at("takeovers");
    add(out, "carpd_sync_takeovers", counter, "Groups that became MASTER and waited for flows.",
        takeovers.at("count"));
    add(out, "carpd_sync_takeovers_incomplete", counter, "Those that went on without all flows.",
        takeovers.at("bound_exceeded"));
    const Json& last = takeovers.at("last_commit_ms");
    add(out, "carpd_sync_last_commit_seconds", gauge, "How long the last of them waited.",
        last.is_null() ? last : Json(seconds(last)));
    add_by(out, "carpd_sync_datagrams_refused", "Datagrams that are of no peer, by why.", "reason",
           sync.at("datagrams_refused"));
}

// Each peer's address is its label: its name isn't known while it is down.
template <class Value>
void add_peers(OpenMetrics& out, const Json& peers, std::string_view name, MetricType type,
               std::string_view help, Value value) {
    out.family(name, type, help);
    for (const Json& peer : peers)
        out.sample({{"peer", peer.at("address").get_ref<const std::string&>()}}, value(peer));
}

struct PeerKind {
    std::string_view label;
    const char* key;
};
void add_peer_kinds(OpenMetrics& out, const Json& peers, std::string_view name, std::string_view help,
                    std::string_view label, const char* pointer, std::initializer_list<PeerKind> kinds) {
    out.family(name, counter, help);
    for (const Json& peer : peers)
        for (const PeerKind& kind : kinds)
            out.sample({{"peer", peer.at("address").get_ref<const std::string&>()}, {label, kind.label}},
                       number(peer.at(Json::json_pointer(pointer)).at(kind.key)));
}

void add_peer_state(OpenMetrics& out, const Json& peers) {
    const auto add_one = [&](std::string_view name, const char* key, std::string_view help) {
        add_peers(out, peers, name, gauge, help,
                  [at = Json::json_pointer(key)](const Json& peer) { return number(peer.at(at)); });
    };
    const auto add_seconds = [&](std::string_view name, const char* key, std::string_view help) {
        add_peers(out, peers, name, gauge, help,
                  [at = Json::json_pointer(key)](const Json& peer) { return seconds(peer.at(at)); });
    };
    add_one("carpd_sync_peer_up", "/up", "Whether there is a session with the peer.");
    add_seconds("carpd_sync_lag_seconds", "/told/lag_ms",
                "For how long the oldest change waits of which the peer doesn't know.");
    add_seconds("carpd_sync_round_trip_seconds", "/round_trip_ms", "To the peer and back.");
    add_one("carpd_sync_peer_told_all", "/told/complete", "Whether the peer knows all flows of this host.");
    add_one("carpd_sync_peer_heard_all", "/held/complete", "Whether this host knows all flows of the peer.");
    add_one("carpd_sync_waiting_flows", "/told/waiting", "Flows of which the peer has to be told.");
    add_one("carpd_sync_held_flows", "/held/flows", "Flows of the peer that this host knows.");
    add_one("carpd_sync_differing_buckets", "/held/differing_buckets",
            "Parts of the peer's table whose digest differs from this host's copy.");
}

void add_peer_counters(OpenMetrics& out, const Json& peers) {
    const auto add_one = [&](std::string_view name, const char* key, std::string_view help) {
        add_peers(out, peers, name, counter, help,
                  [at = Json::json_pointer(key)](const Json& peer) { return number(peer.at(at)); });
    };
    add_peer_kinds(out, peers, "carpd_sync_datagrams", "Datagrams to and from the peer.", "direction", "",
                   {{"received", "datagrams_received"}, {"sent", "datagrams_sent"}});
    add_peer_kinds(out, peers, "carpd_sync_bytes", "Their bytes.", "direction", "",
                   {{"received", "bytes_received"}, {"sent", "bytes_sent"}});
    add_peer_kinds(out, peers, "carpd_sync_records",
                   "Flows that the peer was told of, whole, as a new state or as ended.", "kind",
                   "/told/counters",
                   {{"full", "full_records"}, {"state", "state_records"}, {"end", "end_records"}});
    add_one("carpd_sync_datagrams_lost", "/told/counters/lost_datagrams",
            "Datagrams that the peer did not acknowledge.");
    add_one("carpd_sync_send_errors", "/send_errors", "Datagrams that could not be sent.");
    add_one("carpd_sync_buckets_asked", "/told/counters/buckets_asked",
            "Parts of this host's table that the peer asked for again, for their digest differed.");
    add_one("carpd_sync_peer_downs", "/counters/downs", "How often the session with the peer ended.");
    out.family("carpd_sync_peer_datagrams_refused", counter,
               "Datagrams from the peer's address that were refused, by why; a reason that there was.");
    for (const Json& peer : peers)
        for (const auto& [reason, count] : peer.at("counters").at("dropped").items())
            if (count != 0)
                out.sample({{"peer", peer.at("address").get_ref<const std::string&>()}, {"reason", reason}},
                           number(count));
}

}  // namespace

void add_sync(OpenMetrics& out, const Json& copy, const Json& sync) {
    add(out, "carpd_sync_up", gauge, "Whether its process answers.", !sync.is_null());
    add(out, "carpd_sync_peers", gauge, "Peers of state synchronisation that are known.", copy.at("peers"));
    add(out, "carpd_sync_peers_up", gauge, "Those with whom there is a session.", copy.at("peers_up"));
    add(out, "carpd_sync_copy_complete", gauge, "Whether this host has all flows of its peers.",
        copy.at("incomplete") == "no");
    if (sync.is_null()) return;
    const Json& peers = sync.at("peers");
    add_host(out, sync);
    add_kernel(out, sync);
    add_deferral(out, sync.at("deferral"));
    add_peer_state(out, peers);
    add_peer_counters(out, peers);
}

}  // namespace carpd
