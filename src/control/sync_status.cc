#include "control/sync_status.h"

#include "base/assert.h"
#include "control/request_fields.h"

namespace carpd {

namespace {

// Round trips and commits are fractions of a millisecond.
double exact_milliseconds(Duration d) {
    return std::chrono::duration<double, std::milli>(d).count();
}

Json named(const std::vector<NamedCount>& counts) {
    Json json = Json::object();
    for (const NamedCount& count : counts) json[std::string(count.name)] = count.count;
    return json;
}

// ---- the host

Json to_json(const SyncHostCounters& c) {
    Json failed = Json::object();
    for (std::size_t i = 0; i < kFlowChangeFailures; ++i)
        failed[std::string(to_string(static_cast<FlowChangeFailure>(i)))] = c.failed[i];
    return {{"claimed", c.claimed},
            {"taken_over", c.taken_over},
            {"given_up", c.given_up},
            {"kept", c.kept},
            {"foreign_ended", c.foreign_ended},
            {"not_told", c.not_told},
            {"swept", c.swept},
            {"refreshed", c.refreshed},
            {"lost_events", c.lost_events},
            {"bad_regions", c.bad_regions},
            {"same_peer", c.same_peer},
            {"no_room", c.no_room},
            {"failed", failed}};
}

Json kernel(const SyncHost& host, const SyncProcessFigures& figures) {
    const auto limit = [&](std::uint32_t ConntrackFigures::*member) {
        return figures.table ? Json((*figures.table).*member) : Json(nullptr);
    };
    return {{"entries", limit(&ConntrackFigures::entries)},       {"max", limit(&ConntrackFigures::max)},
            {"buckets", limit(&ConntrackFigures::buckets)},       {"events", figures.kernel_events},
            {"lost_events", host.counters().lost_events},         {"dumps", figures.dumps},
            {"messages_refused", named(figures.messages_refused)}};
}

Json changes(const SyncHost& host, const SyncInjectionFigures& f) {
    return {{"waiting", host.changes().size()},
            {"written", f.written},
            {"removed", f.removed},
            {"gone", f.gone},
            {"recreated", f.recreated},
            {"replaced", f.replaced},
            {"evicted", f.evicted},
            {"without_master", f.without_master},
            {"without_helper", f.without_helper},
            {"failed",
             {{"full", f.full},
              {"unsupported", f.unsupported},
              {"invalid", f.invalid},
              {"clashes", f.clashes},
              {"other", f.other}}}};
}

Json takeovers(const SyncProcessFigures& figures) {
    return {{"count", figures.takeovers},
            {"last_commit_ms",
             figures.last_commit ? Json(exact_milliseconds(*figures.last_commit)) : Json(nullptr)},
            {"bound_exceeded", figures.bound_exceeded}};
}

Json to_json(const std::optional<SyncDeferralFigures>& figures) {
    if (!figures) return nullptr;
    const auto reason = [](const std::string& trouble) {
        return trouble.empty() ? Json(nullptr) : Json(trouble);
    };
    Json interfaces = Json::array();
    for (const SyncDeferralFigures::Place& place : figures->interfaces)
        interfaces.push_back({{"name", place.name}, {"trouble", reason(place.trouble)}});
    const DeferralCounters& c = figures->counters;
    return {{"trouble", reason(figures->trouble)},
            {"interfaces", std::move(interfaces)},
            {"active", figures->active},
            {"held", figures->held},
            {"counters",
             {{"deferred", c.deferred},
              {"acknowledged", c.acknowledged},
              {"timed_out", c.timed_out},
              {"not_told", c.not_told},
              {"overflow", c.overflow},
              {"passed", figures->passed},
              {"lost", figures->lost},
              {"send_errors", figures->send_errors}}}};
}

// ---- a peer

// What it says of itself.
Json said(const std::optional<SyncStatus>& status) {
    if (!status) return nullptr;
    return {
        {"master", status->master},   {"complete", status->complete}, {"overrun", status->overrun},
        {"leaving", status->leaving}, {"defers", status->defers},     {"term", status->term},
        {"flows", status->owned},     {"waiting", status->waiting},   {"lost_events", status->lost_events}};
}

// How far it is told what we own.
Json told(const Outbox& outbox, Instant now) {
    const OutboxCounters& c = outbox.counters();
    return {{"complete", outbox.is_complete()},
            {"waiting", outbox.waiting()},
            {"lag_ms", exact_milliseconds(outbox.lag(now))},
            {"unacknowledged_datagrams", outbox.datagrams_on_their_way()},
            {"window", outbox.pace().window()},
            {"counters",
             {{"datagrams", c.datagrams},
              {"lost_datagrams", c.lost_datagrams},
              {"full_records", c.full_records},
              {"state_records", c.state_records},
              {"end_records", c.end_records},
              {"buckets_asked", c.buckets_asked},
              {"asked_too_soon", c.asked_too_soon},
              {"bad_bucket", c.bad_bucket}}}};
}

// What it told that we hold.
Json held(const SyncSession& session) {
    const Inbox& inbox = session.inbox();
    const InboxCounters& c = inbox.counters();
    return {{"complete", session.heard_all()},
            {"flows", inbox.table().size()},
            {"flows_of_session_before", inbox.previous() ? inbox.previous()->size() : 0},
            {"differing_buckets", session.differing_buckets()},
            {"counters",
             {{"upserts", c.upserts},
              {"updates", c.updates},
              {"erased", c.erased},
              {"unchanged", c.unchanged},
              {"outdated", c.outdated},
              {"empty_slot", c.empty_slot},
              {"forgotten", c.forgotten},
              {"slot_too_high", c.slot_too_high}}}};
}

Json to_json(const ChannelCounters& c) {
    Json dropped = Json::object();
    for (std::size_t i = 0; i < kSyncDropCount; ++i)
        dropped[std::string(to_string(static_cast<SyncDrop>(i)))] = c.dropped[i];
    return {{"hellos_sent", c.hellos_sent},
            {"hellos_received", c.hellos_received},
            {"data_sent", c.data_sent},
            {"data_received", c.data_received},
            {"streams_accepted", c.streams_accepted},
            {"downs", c.downs},
            {"dropped", dropped}};
}

Json to_json(const std::optional<SyncFindingFigures>& finding, Instant now) {
    if (!finding) return nullptr;
    Json refused = nullptr;
    if (const auto& last = finding->refused)
        refused = {{"address", last->address.to_string()},
                   {"why", last->why},
                   {"ago_ms", milliseconds(now - last->at)}};
    const PeerFinder::Counters& c = finding->finder->counters();
    return {{"group", finding->group.to_string()},
            {"send_error", finding->send_error.empty() ? Json(nullptr) : Json(finding->send_error)},
            {"refused", std::move(refused)},
            {"found", c.found},
            {"known", c.known},
            {"no_place", c.no_place},
            {"forgotten", c.forgotten},
            {"counters", to_json(finding->finder->channel().counters())}};
}

Json peer_status(const SyncSession& session, const SyncPeerFigures& peer, const SyncProcessFigures& figures,
                 Instant now) {
    const Channel& channel = session.channel();
    const SyncHello* const hello = channel.peer();
    auto why = why_down(channel, peer, figures.config, now);
    if (why && !figures.socket_trouble.empty()) why = figures.socket_trouble;
    return {{"name", hello ? Json(hello->name.view()) : Json(nullptr)},
            {"address", peer.address.to_string()},
            {"up", channel.is_up()},
            {"since_ms", milliseconds(now - channel.since())},
            {"why", why ? Json(*why) : Json(nullptr)},
            {"heard_ms", hello ? Json(milliseconds(now - channel.heard_at())) : Json(nullptr)},
            {"round_trip_ms", exact_milliseconds(session.outbox().pace().round_trip())},
            {"conntrack_max", hello ? Json(hello->conntrack_max) : Json(nullptr)},
            {"said", said(session.said())},
            {"told", told(session.outbox(), now)},
            {"held", held(session)},
            {"memory_bytes", session.outbox().memory() + session.inbox().memory()},
            {"datagrams_sent", peer.datagrams_sent},
            {"bytes_sent", peer.bytes_sent},
            {"datagrams_received", peer.datagrams_received},
            {"bytes_received", peer.bytes_received},
            {"send_errors", peer.send_errors},
            {"counters", to_json(channel.counters())}};
}

}  // namespace

std::string sync_status(const SyncHost& host, const SyncProcessFigures& figures, Instant now) {
    const SyncConfig& config = figures.config;
    const std::string& trouble = figures.socket_trouble;
    Json peers = Json::array();
    for (std::size_t i = 0; i < figures.peers.size(); ++i)
        peers.push_back(peer_status(host.session(i), figures.peers[i], figures, now));
    return dump({{"ok", true},
                 {"schema", 1},
                 {"name", config.name.view()},
                 {"pid", figures.pid},
                 {"running_ms", milliseconds(now - figures.started)},
                 {"interface", config.interface},
                 {"port", config.port},
                 {"socket_trouble", trouble.empty() ? Json(nullptr) : Json(trouble)},
                 {"commit", config.commit_at_takeover ? "takeover" : "direct"},
                 {"master", host.is_master()},
                 {"term", host.term()},
                 {"incomplete", to_string(host.incomplete(now))},
                 {"flows", host.own().size()},
                 {"max_flows", host.own().max_slots()},
                 {"flows_refused", host.own().refused()},
                 {"memory_bytes", host.own().memory()},
                 {"kernel", kernel(host, figures)},
                 {"changes", changes(host, figures.injection)},
                 {"takeovers", takeovers(figures)},
                 {"deferral", to_json(figures.deferral)},
                 {"counters", to_json(host.counters())},
                 {"datagrams_refused", named(figures.datagrams_refused)},
                 {"finding", to_json(figures.finding, now)},
                 {"peers", std::move(peers)}});
}

std::string sync_peer_name(const Channel& channel, const IpAddress& address) {
    const SyncHello* const hello = channel.peer();
    return hello ? std::string(hello->name.view()) : address.to_string();
}

}  // namespace carpd
