#include "control/status.h"

#include <fmt/format.h>

#include "balance/macs.h"
#include "control/human.h"
#include "control/json.h"
#include "control/object_text.h"
#include "control/peer_json.h"
#include "control/pool_json.h"

namespace carpd {

namespace {

// With the names of the checks, where it was those.
// `together`: whose cause it is, if not the group's own.
std::string reason(Cause cause, const Few<std::string>& checks, std::string_view together) {
    std::string text(to_string(cause));
    if (cause == Cause::check_failed) text += fmt::format(": {}", fmt::join(checks, ", "));
    return together.empty() ? text : fmt::format("together with {}: {}", together, text);
}

// `count` says how many were dropped for a reason.
template <class Count>
ObjectText dropped(Count count) {
    ObjectText text;
    for (std::size_t i = 0; i < kDropReasonCount; ++i) {
        const auto reason = static_cast<DropReason>(i);
        text.add(to_string(reason), count(reason));
    }
    return text;
}

ObjectText counters(const Counters& c) {
    return ObjectText()
        .add("advertisements_received_ipv4", c.advertisements_received_ipv4)
        .add("advertisements_received_ipv6", c.advertisements_received_ipv6)
        .add("alternate_accepted", c.alternate_accepted)
        .add("advertisements_sent_ipv4", c.advertisements_sent_ipv4)
        .add("advertisements_sent_ipv6", c.advertisements_sent_ipv6)
        .add("bow_outs_received", c.bow_outs_received)
        .add("bow_outs_sent", c.bow_outs_sent)
        .add("send_errors", c.send_errors)
        .add("transitions_to_init", c.transitions_to_init)
        .add("transitions_to_backup", c.transitions_to_backup)
        .add("transitions_to_master", c.transitions_to_master)
        .add("announcements", c.announcements)
        .add("rivals_heard", c.rivals_heard)
        .add("takeovers_held", c.takeovers_held)
        .add("commits_missed", c.commits_missed)
        .add("dropped", dropped([&](DropReason reason) { return c.dropped[reason]; }));
}

Json to_json(const Standing& s) {
    return {{"advbase", s.advbase.seconds}, {"advskew", s.advskew.value}, {"demotion", s.demote}};
}

Json to_json(const Rival& rival) {
    Json json{{"source", rival.source.to_string()}};
    json.update(to_json(rival.standing));
    return json;
}

Json to_json(const HookFigures& hooks) {
    return {{"run", hooks.run},
            {"failed", hooks.failed},
            {"timed_out", hooks.timed_out},
            {"missed", hooks.missed}};
}

// To a time to come; null: to none.
Json remaining(Instant at, Instant now) {
    return at == kNever ? Json(nullptr) : Json(milliseconds(std::max(at - now, Duration(0))));
}

Json to_json(const SyncProcessStatus& sync, Instant now) {
    return {
        {"pid", sync.pid},
        {"incomplete", sync.incomplete},
        {"demotion", sync.demotion},
        {"demotion_remaining_ms", sync.demotion != 0 ? remaining(sync.demotion_ends, now) : Json(nullptr)},
        {"peers", sync.copy.peers},
        {"peers_up", sync.copy.peers_up},
        {"takeover", sync.takeover},
        {"committed", sync.committed},
        {"messages_refused", sync.messages_refused}};
}

Json kept_demotions(std::span<const Request> kept) {
    Json json = Json::array();
    for (const Request& request : kept)
        json.push_back({{"group", request.group.empty() ? Json(nullptr) : Json(request.group)},
                        {"interface_group",
                         request.interface_group.empty() ? Json(nullptr) : Json(request.interface_group)},
                        {"name", request.name},
                        {"amount", request.amount}});
    return json;
}

template <class Values>
Json texts(const Values& values) {
    Json json = Json::array();
    for (const auto& value : values) json.push_back(value.to_string());
    return json;
}

Json demotion_reasons(const DemotionCounter& demotion) {
    Json json = Json::object();
    for (const auto& contribution : demotion.contributions()) json[contribution.name] = contribution.amount;
    return json;
}

// Of those that end by themselves.
Json demotion_endings(const Node& node, const VirtualHost& host, Instant now) {
    Json json = Json::object();
    for (const auto& contribution : host.demotion().contributions())
        if (const Instant ends = node.demotion_ends(host.id(), contribution.name); ends != kNever)
            json[contribution.name] = remaining(ends, now);
    return json;
}

Json last_heard(const VirtualHost& host, Instant now) {
    if (!host.last_heard()) return nullptr;
    Json json = to_json(*host.last_heard());
    json["age_ms"] = milliseconds(now - host.last_heard_at());
    return json;
}

const LinkStatus& link_of(const Node& node, const std::string& interface) {
    const auto& names = node.interfaces();
    const auto found = std::find(names.begin(), names.end(), interface);
    CARPD_ASSERT(found != names.end());
    return node.link(static_cast<InterfaceId>(found - names.begin()));
}

// As it was sent.
std::string hex(const AdvertisementBytes& bytes) {
    return fmt::format("{:02x}", fmt::join(bytes, ""));
}

Json last_refused(const VirtualHost& host, Instant now) {
    const auto& refused = host.last_refused();
    if (!refused) return nullptr;
    return {{"reason", to_string(refused->reason)},
            {"source", refused->source.to_string()},
            {"age_ms", milliseconds(now - refused->at)},
            {"advertisement",
             refused->advertisement ? Json(hex(encode(*refused->advertisement))) : Json(nullptr)}};
}

Json to_json(const Lateness::Case& late, Instant now) {
    if (late.late == Duration(0)) return nullptr;
    return {{"late_ms", milliseconds(late.late)}, {"age_ms", milliseconds(now - late.at)}};
}

Json to_json(const Lateness& lateness, Instant now) {
    return {{"late", lateness.count},
            {"last", to_json(lateness.last, now)},
            {"worst", to_json(lateness.worst, now)}};
}

// Short ones are fractions of a millisecond apart: advskew counts in 3.90625 ms.
double exact_milliseconds(Duration d) {
    return std::chrono::duration<double, std::milli>(d).count();
}

Json to_json(const Histogram& histogram) {
    Json bounds = Json::array();
    for (const Duration bound : *histogram.bounds) bounds.push_back(exact_milliseconds(bound));
    return {{"bounds_ms", std::move(bounds)},
            {"counts", histogram.counts},
            {"sum_ms", static_cast<double>(histogram.microseconds) / 1000}};
}

Json histograms(const HostTally& tally) {
    Json json = Json::object();
    HostTally::for_each_histogram(
        tally, [&](const char* name, const Histogram& histogram) { json[name] = to_json(histogram); });
    return json;
}

// Also those that there were none of, where there may be some.
Json transitions(const TransitionCounters& counters) {
    Json json = Json::object();
    for (const State to : {State::init, State::backup, State::master}) {
        Json& by_cause = json[std::string(to_string(to))] = Json::object();
        for (std::size_t i = 0; i < kCauses; ++i) {
            const auto cause = static_cast<Cause>(i);
            const std::uint64_t count = counters.get(to, cause);
            if (count != 0 || leads_to(cause, to)) by_cause[std::string(to_identifier(cause))] = count;
        }
    }
    return json;
}

Json source_of(const LinkStatus& link, Family family) {
    if (link.source(family).is_unspecified()) return nullptr;
    return link.source(family).to_string();
}

// Of whom takes part in a set and would take over, the member that keeps it from that.
Json held_by(const VirtualHost& host, Instant now) {
    if (host.held() == Cause::none) return nullptr;
    const VirtualHost* holder = host.set()->holder(now, host, true);
    return holder ? Json(holder->config().name) : Json(nullptr);
}

// That the group's addresses answer with.
MacAddress answering_mac(const GroupConfig& config) {
    return config.balance && config.balance->by_ip() ? pool_mac(*config.balance) : virtual_mac(config.vhid);
}

ObjectText group_status(const Node& node, const VirtualHost& host, Instant now, std::string_view dataplane) {
    const GroupConfig& config = host.config();
    const LinkStatus& link = link_of(node, config.interface);
    const bool has_virtual_mac = config.mac == MacMode::virtual_mac;
    const auto obstacle = host.obstacle(now);
    const auto unheard = host.unheard_family();
    const bool will_preempt = host.state() == State::backup && config.preempt && now < host.preempts_at();
    return ObjectText()
        .add("name", config.name)
        .add("interface", config.interface)
        .add("vhid", config.vhid.value)
        .add("state", to_string(host.state()))
        .add("since_ms", milliseconds(now - host.since()))
        .add("cause", to_identifier(host.cause()))
        .add("reason", reason_of(host))
        .add("withdrawn_by", host.withdrawn_by())
        .add("addresses", texts(config.addresses))
        .add("advbase", config.advbase.seconds)
        .add("advskew", config.advskew.value)
        .add("effective_advskew", host.standing().advskew.value)
        .add("demotion", host.demotion().value())
        .add("demotion_reasons", demotion_reasons(host.demotion()))
        .add("demotion_remaining_ms", demotion_endings(node, host, now))
        .add("interface_groups", config.interface_groups)
        .add("together", config.together.empty() ? Json(nullptr) : Json(config.together))
        .add("together_with", host.together_with().empty() ? Json(nullptr) : Json(host.together_with()))
        .add("held_by", held_by(host, now))
        .add("held_cause", host.held() == Cause::none ? Json(nullptr) : Json(to_identifier(host.held())))
        .add("obstacle", obstacle ? Json(to_identifier(*obstacle)) : Json(nullptr))
        .add("hears_rival", host.hears_rival(now))
        .add("waits_for_flows", host.waits_for_flows())
        .add("commit_wait_remaining_ms", remaining(host.commit_until(), now))
        .add("preempt", config.preempt)
        .add("preempt_delay_ms", milliseconds(config.preempt_delay))
        .add("preempt_delay_remaining_ms", remaining(will_preempt ? host.preempts_at() : kNever, now))
        .add("hold_down_remaining_ms", remaining(host.hold_down_ends(), now))
        .add("mac", has_virtual_mac ? "virtual" : "interface")
        .add("virtual_mac", has_virtual_mac ? Json(answering_mac(config).to_string()) : Json(nullptr))
        .add("dataplane", dataplane)
        .add("lease_remaining_ms", remaining(host.lease_until(), now))
        .add("balance", balance_of(node, host))
        .add("peers", texts(config.peers))
        .add("peer_routed", config.peer_routed)
        .add("fingerprint", fingerprint_of(node, host.id()))
        .add("hosts", hosts_of(node, host.id(), now))
        .add("has_password", config.key != Key{})
        .add("accepts_another", config.accepts_another())
        .add("interface_present", link.present)
        .add("interface_up", link.up)
        .add("interface_running", link.running)
        .add("source_ipv4", source_of(link, Family::ipv4))
        .add("source_ipv6", source_of(link, Family::ipv6))
        .add("advertisement_interval_ms",
             exact_milliseconds(advertisement_interval(config.advbase, config.advskew)))
        .add("master_down_interval_ms",
             exact_milliseconds(master_down_interval(config.advbase, config.advskew)))
        .add("master_down_remaining_ms", remaining(host.master_down_at(), now))
        .add("next_deadline_ms", remaining(host.next_deadline(), now))
        .add("unheard_family", unheard ? Json(*unheard == Family::ipv4 ? "ipv4" : "ipv6") : Json(nullptr))
        .add("last_heard", last_heard(host, now))
        .add("last_refused", last_refused(host, now))
        .add("counters", counters(host.counters()));
}

ObjectText brief_counters(const Counters& c) {
    ObjectText refused;
    for (std::size_t i = 0; i < kDropReasonCount; ++i)
        if (const auto reason = static_cast<DropReason>(i); c.dropped[reason] != 0)
            refused.add(to_string(reason), c.dropped[reason]);
    return ObjectText()
        .add("advertisements_received_ipv4", c.advertisements_received_ipv4)
        .add("advertisements_received_ipv6", c.advertisements_received_ipv6)
        .add("advertisements_sent_ipv4", c.advertisements_sent_ipv4)
        .add("advertisements_sent_ipv6", c.advertisements_sent_ipv6)
        .add("dropped", refused);
}

// Before the first result, `passed` is what it counts as (rule H3).
Json track_status(const Verdicts::Entry& entry, Instant now) {
    const TrackConfig& config = entry.config;
    const TrackVerdict& verdict = entry.verdict;
    return {{"name", config.name},
            {"kind", kind_of(config.subject)},
            {"passed", entry.passed()},
            {"known", verdict.known},
            {"since_ms", verdict.known ? Json(milliseconds(now - verdict.since)) : Json(nullptr)},
            {"why", verdict.known ? verdict.why : "no result yet"},
            {"demote", config.withdraw ? Json(nullptr) : Json(config.demote)},
            {"withdraw", config.withdraw},
            {"groups", config.groups},
            {"counters",
             {{"passes", verdict.passes}, {"failures", verdict.failures}, {"changes", verdict.changes}}}};
}

// What every line of a monitor begins with.
Json change(std::string_view event, const GroupConfig& group, std::string_view time) {
    return {{"time", time},
            {"event", event},
            {"group", group.name},
            {"interface", group.interface},
            {"vhid", group.vhid.value}};
}

std::string describe(const Rival& rival) {
    const Standing bow_out{AdvBase{255}, AdvSkew{255}, rival.standing.demote};
    if (rival.standing == bow_out) return rival.source.to_string();  // its numbers say nothing else
    std::string text = fmt::format("{} (advbase {} advskew {}", rival.source.to_string(),
                                   rival.standing.advbase.seconds, rival.standing.advskew.value);
    if (rival.standing.demote != 0) text += fmt::format(" demotion {}", rival.standing.demote);
    return text + ")";
}

}  // namespace

std::string reason_of(const VirtualHost& group) {
    return reason(group.cause(), group.withdrawn_by(), group.together_with());
}

std::string reason_of(const VirtualHost& group, const Verdicts& verdicts) {
    const auto checks = group.withdrawn_by();
    const bool unchecked =
        group.cause() == Cause::check_failed && !checks.empty() &&
        std::all_of(checks.begin(), checks.end(), [&](const auto& c) { return verdicts.is_unchecked(c); });
    return unchecked ? fmt::format("not checked yet: {}", fmt::join(checks, ", ")) : reason_of(group);
}

std::string reason_of(const ReportTransition& report) {
    return reason(report.cause, {report.check}, report.together);
}

std::string status_head(const Processes& processes, Instant now) {
    Json json{{"ok", true},
              {"schema", 1},
              {"pid", processes.engine_pid},
              {"supervisor_pid", processes.supervisor_pid},
              {"restarts", processes.restarts},
              {"running_ms", milliseconds(processes.running)},
              {"helper", nullptr},
              {"hooks", nullptr},
              {"sync", nullptr},
              {"kept_demotions", kept_demotions(processes.kept)}};
    if (processes.helper) {
        json["helper"] = {{"pid", processes.helper->pid},
                          {"messages_lost", processes.helper->messages_lost},
                          {"messages_refused", processes.helper->messages_refused}};
        json["hooks"] = to_json(processes.helper->hooks);
    }
    if (processes.sync) json["sync"] = to_json(*processes.sync, now);
    const std::string head = dump(json);
    return head.substr(0, head.size() - 1) + ",\"groups\":[";
}

std::string status_of(const Node& node, const VirtualHost& group, Instant now, std::string_view dataplane) {
    return group_status(node, group, now, dataplane).text();
}

std::string brief_status_of(const Node& node, const VirtualHost& host, Instant now,
                            std::string_view dataplane) {
    const GroupConfig& config = host.config();
    return ObjectText()
        .add("name", config.name)
        .add("interface", config.interface)
        .add("vhid", config.vhid.value)
        .add("state", to_string(host.state()))
        .add("since_ms", milliseconds(now - host.since()))
        .add("reason", reason_of(host))
        .add("addresses", texts(config.addresses))
        .add("advskew", config.advskew.value)
        .add("effective_advskew", host.standing().advskew.value)
        .add("demotion", host.demotion().value())
        .add("demotion_reasons", demotion_reasons(host.demotion()))
        .add("hears_rival", host.hears_rival(now))
        .add("waits_for_flows", host.waits_for_flows())
        .add("dataplane", dataplane)
        .add("balance", balance_of(node, host))
        .add("last_heard", last_heard(host, now))
        .add("counters", brief_counters(host.counters()))
        .text();
}

std::string peers_status_of(const Node& node, const VirtualHost& host, Instant now) {
    const GroupConfig& config = host.config();
    const LinkStatus& link = link_of(node, config.interface);
    return ObjectText()
        .add("name", config.name)
        .add("interface", config.interface)
        .add("vhid", config.vhid.value)
        .add("state", to_string(host.state()))
        .add("since_ms", milliseconds(now - host.since()))
        .add("addresses", texts(config.addresses))
        .add("advskew", config.advskew.value)
        .add("demotion", host.demotion().value())
        .add("source_ipv4", source_of(link, Family::ipv4))
        .add("source_ipv6", source_of(link, Family::ipv6))
        .add("fingerprint", fingerprint_of(node, host.id()))
        .add("hosts", hosts_of(node, host.id(), now))
        .text();
}

std::string status_tail(const Node& node, const Verdicts& verdicts, Instant now) {
    Json tracks = Json::array();
    for (const Verdicts::Entry& entry : verdicts.entries()) tracks.push_back(track_status(entry, now));
    return "],\"host\":" + dump(this_host(node)) + ",\"tracks\":" + dump(tracks) +
           ",\"timers\":" + dump(to_json(node.lateness(), now)) +
           ",\"histograms\":" + dump(histograms(node.tally())) +
           ",\"transitions\":" + dump(transitions(node.tally().transitions)) +
           ",\"dropped\":" + dropped([&](DropReason reason) {
                                 return node.dropped()[static_cast<std::size_t>(reason)];
                             }).text() +
           "}";
}

std::string monitor_line(const GroupConfig& group, const ReportTransition& report, std::string_view time) {
    Json json = change("transition", group, time);
    json["from"] = to_string(report.from);
    json["to"] = to_string(report.to);
    json["reason"] = reason_of(report);
    json["cause"] = to_identifier(report.cause);
    json["together_with"] = report.together.empty() ? Json(nullptr) : Json(report.together);
    json["previous_ms"] = milliseconds(report.previous);
    json["ours"] = to_json(report.ours);
    json["rival"] = report.rival ? to_json(*report.rival) : Json(nullptr);
    json["text"] = describe(group, report);
    return dump(json);
}

std::string monitor_line(const GroupConfig& group, const ReportRival& report, std::string_view time) {
    Json json = change("rival", group, time);
    json["reason"] = to_string(report.cause);
    json["cause"] = to_identifier(report.cause);
    json["rival"] = to_json(report.rival);
    json["text"] = describe(group, report);
    return dump(json);
}

std::string monitor_line(const GroupConfig& group, const ReportHeld& report, std::string_view time) {
    Json json = change("held", group, time);
    json["reason"] = to_string(report.cause);
    json["cause"] = to_identifier(report.cause);
    json["together"] = group.together;
    json["held_by"] = report.member;
    json["rival"] = report.rival ? to_json(*report.rival) : Json(nullptr);
    json["text"] = describe(group, report);
    return dump(json);
}

std::string monitor_line(const GroupConfig& group, const ReportDemotion& report, const Verdicts& verdicts,
                         std::string_view time) {
    Json json = change("demotion", group, time);
    json["reason"] = report.name;
    json["demotion"] = report.value;
    json["text"] = describe(group, report, verdicts);
    return dump(json);
}

std::string monitor_line(const GroupConfig& group, const ReportUncommitted& report, std::string_view time) {
    Json json = change("uncommitted", group, time);
    json["reason"] = "flows were not committed in time";
    json["waited_ms"] = milliseconds(report.waited);
    json["text"] = describe(group, report);
    return dump(json);
}

std::string describe(const GroupConfig& group, const ReportTransition& report) {
    std::string text = fmt::format("{}: {} -> {} ({})", group.name, to_upper_string(report.from),
                                   to_upper_string(report.to), reason_of(report));
    if (report.rival) text += " from " + describe(*report.rival);
    if (report.cause == Cause::started) return text;
    return text +
           fmt::format(", after {} in {}", human_duration(report.previous), to_upper_string(report.from));
}

std::string describe(const GroupConfig& group, const ReportRival& report) {
    return fmt::format("{}: another MASTER advertises ({}): {}; staying MASTER", group.name,
                       to_string(report.cause), describe(report.rival));
}

std::string describe(const GroupConfig& group, const ReportHeld& report) {
    const std::string heard = report.rival ? "a better master, " + describe(*report.rival) : "nobody yet";
    return fmt::format("{}: stays BACKUP although it would take over ({}): in the set '{}' {} hears {}",
                       group.name, to_string(report.cause), group.together, report.member, heard);
}

std::string describe(const GroupConfig& group, const ReportDemotion& report, const Verdicts& verdicts) {
    if (report.value == 0) return fmt::format("{}: no longer demoted ({})", group.name, report.name);
    const bool unchecked = report.name.starts_with(kTrackDemotion) &&
                           verdicts.is_unchecked(report.name.substr(kTrackDemotion.size()));
    return fmt::format("{}: demotion is now {} ({}{})", group.name, report.value, report.name,
                       unchecked ? ", not checked yet" : "");
}

std::string describe(const GroupConfig& group, const ReportUncommitted& report) {
    return fmt::format(
        "{}: addresses answer although the flows of the peers are not all in the kernel (waited {}); "
        "connections may break",
        group.name, human_duration(report.waited));
}

std::string describe(const std::string& track, const TrackVerdict& verdict, std::optional<Instant> before) {
    std::string text =
        fmt::format("track {} {}: {}", track, verdict.passed ? "passes" : "fails", verdict.why);
    return before ? text + fmt::format(", after {}", human_duration(verdict.since - *before)) : text;
}

}  // namespace carpd
