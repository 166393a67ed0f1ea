#include "carpctl/render_sync.h"

#include <fmt/format.h>

#include <array>
#include <utility>
#include <vector>

#include "carpctl/parts.h"
#include "control/refusal.h"

namespace carpd {

namespace {

using Explanation = std::pair<std::string_view, std::string_view>;

template <std::size_t size>
std::string_view explain(const std::array<Explanation, size>& explanations, std::string_view what) {
    for (const auto& [name, explanation] : explanations)
        if (name == what) return explanation;
    return {};
}

// ---- the host

constexpr std::array<Explanation, 4> kIncomplete = {{
    {"starting", "the kernel's table wasn't read yet, or peers had no time to be heard"},
    {"overrun", "events of the kernel were lost, and its table is being read again"},
    {"receiving", "a peer hasn't told all yet"},
    {"differs", "flows of a peer are missing here or too many, and it is asked for them"},
}};

std::string copy(const std::string& incomplete) {
    if (incomplete == "no") return "complete";
    const std::string_view why = explain(kIncomplete, incomplete);
    return fmt::format("incomplete ({}{}{})", incomplete, why.empty() ? "" : ": ", why);
}

std::uint64_t held_flows(const Json& peer) {
    const Json& held = peer.at("held");
    return count(held, "flows") + count(held, "flows_of_session_before");
}

std::string kernel(const Json& kernel) {
    std::string text = "its table can't be read";
    if (!kernel.at("max").is_null())
        text = fmt::format("{} of {} entries in {} buckets", count(kernel, "entries"), count(kernel, "max"),
                           count(kernel, "buckets"));
    return text + fmt::format("; {} events read", count(kernel, "events"));
}

std::string takeovers(const Json& takeovers) {
    const Json& last = takeovers.at("last_commit_ms");
    return std::to_string(count(takeovers, "count")) +
           (last.is_null() ? "" : fmt::format(", flows were in the kernel after {}", duration(last)));
}

std::string deferral(const Json& deferral) {
    if (!deferral.at("trouble").is_null()) return "no packet waits: " + text(deferral, "trouble");
    const Json& counters = deferral.at("counters");
    const std::uint64_t late = count(counters, "timed_out");
    std::string out = fmt::format("{} first packets waited, {} until a peer knew",
                                  count(counters, "deferred"), count(counters, "acknowledged"));
    if (late > 0) out += fmt::format(", {} in vain", late);
    if (!deferral.at("active").get<bool>()) out += "; none do now";
    for (const Json& place : deferral.at("interfaces"))
        if (!place.at("trouble").is_null()) out += "; " + text(place, "trouble");
    return out;
}

std::string render_host(const Json& status, const Paint& paint) {
    const bool master = status.at("master").get<bool>();
    const std::string incomplete = text(status, "incomplete"), complete = copy(incomplete);
    const Json& changes = status.at("changes");
    std::uint64_t of_peers = 0;
    for (const Json& peer : status.at("peers")) of_peers += held_flows(peer);

    Details details(paint);
    details.add("flows", fmt::format("{} own, {} of peers", count(status, "flows"), of_peers));
    details.add("kernel", kernel(status.at("kernel")));
    details.add("changes", fmt::format("{} written, {} removed, {} waiting", count(changes, "written"),
                                       count(changes, "removed"), count(changes, "waiting")));
    details.add("commit", text(status, "commit") == "takeover"
                              ? "takeover: peers' flows go into the kernel when this host becomes MASTER"
                              : "direct: peers' flows go into the kernel at once");
    details.add("takeovers", takeovers(status.at("takeovers")));
    const Json none, &deferred = status.contains("deferral") ? status.at("deferral") : none;
    if (!deferred.is_null()) details.add("deferral", deferral(deferred));
    if (const Json& finding = status.at("finding"); !finding.is_null())
        details.add("peers", fmt::format("found by multicast: {} on {}, UDP port {}", text(finding, "group"),
                                         text(status, "interface"), count(status, "port")));
    return fmt::format("{}: {} in term {}, {}\n", paint.bold(text(status, "name")),
                       paint.state(master ? "master" : "backup", master ? "MASTER" : "BACKUP"),
                       count(status, "term"), incomplete == "no" ? complete : paint.warning(complete)) +
           details.take();
}

// ---- peers

Row peer_row(const Json& peer) {
    const Json &name = peer.at("name"), &said = peer.at("said");
    const bool up = peer.at("up").get<bool>(), heard = !said.is_null();
    return {name.is_null() ? "-" : text(peer, "name"),
            text(peer, "address"),
            up ? "up" : "DOWN",
            duration(peer.at("since_ms")),
            !heard                          ? "-"
            : said.at("master").get<bool>() ? "MASTER"
                                            : "BACKUP",
            heard ? std::to_string(count(said, "flows")) : "-",
            std::to_string(held_flows(peer)),
            up ? std::to_string(count(peer.at("told"), "waiting")) : "-",
            up ? duration(peer.at("told").at("lag_ms")) : "-",
            up ? duration(peer.at("round_trip_ms")) : "-"};
}

std::string render_peers(const Json& status, const Paint& paint) {
    const Json &peers = status.at("peers"), &finding = status.at("finding");
    if (peers.empty() && !finding.is_null())
        return fmt::format("{}: hellos go to {} on {}, UDP port {}, until a host with the same key answers\n",
                           paint.warning("no peer is found yet"), text(finding, "group"),
                           text(status, "interface"), count(status, "port"));
    std::vector<Row> rows = {
        {"PEER", "ADDRESS", "STATE", "SINCE", "CARP", "OWNS", "HELD", "TO TELL", "LAG", "ROUND TRIP"}};
    for (const Json& peer : peers) rows.push_back(peer_row(peer));
    const auto lines = aligned(rows);
    std::string out = paint.dim(lines[0]) + "\n";
    for (std::size_t i = 1; i < rows.size(); ++i)
        out += (rows[i][2] == "DOWN" ? paint.warning(lines[i]) : lines[i]) + "\n";
    return out;
}

// ---- what needs attention

using Notes = std::vector<std::string>;

// "3 flows ..." where there are some.
void note_count(Notes& notes, std::uint64_t number, std::string_view what) {
    if (number > 0) notes.push_back(fmt::format("{} {}", number, what));
}

constexpr std::array<Explanation, 5> kFailures = {{
    {"full", "its table is full; raise net.netfilter.nf_conntrack_max"},
    {"unsupported", "it has no support for what a flow needs"},
    {"invalid", "it doesn't know a flow's state; are the hosts' kernels of one kind?"},
    {"clashes", "another flow is in the way"},
    {"other", "for another reason"},
}};

void note_kernel(Notes& notes, const Json& status) {
    const Json& kernel = status.at("kernel");
    note_count(notes, count(kernel, "lost_events"),
               "events of the kernel were lost, and its table read again");
    const Json& changes = status.at("changes");
    for (const auto& [reason, number] : changes.at("failed").items())
        if (!is_zero(number))
            notes.push_back(fmt::format("{} changes refused by the kernel, {}: {}",
                                        integer<std::uint64_t>(number), printable(reason),
                                        explain(kFailures, reason)));
    note_count(notes, count(changes, "without_helper"),
               "flows are here without their helper, which this kernel hasn't");
    if (kernel.at("max").is_null()) return;
    std::uint64_t all = count(status, "flows");
    for (const Json& peer : status.at("peers")) all += held_flows(peer);
    const std::uint64_t most = count(kernel, "max"), used = std::max(all, count(kernel, "entries"));
    if (most > 0 && used / 9 >= most / 10)
        notes.push_back(fmt::format(
            "the kernel's table takes {} entries, for {} flows; raise net.netfilter.nf_conntrack_max", most,
            used));
    if (used / 4 > count(kernel, "buckets"))
        notes.push_back(
            fmt::format("the kernel's table has {} buckets for {} flows, which makes it slow; raise "
                        "net.netfilter.nf_conntrack_buckets",
                        count(kernel, "buckets"), used));
}

// Of refusals those that are no part of meeting.
void note_refusals(Notes& notes, const Json& dropped) {
    for (const auto& [reason, number] : dropped.items())
        if (!is_zero(number) && reason != "unanswered" && reason != "unknown_stream")
            notes.push_back(fmt::format("{} datagrams refused, {}: {}", integer<std::uint64_t>(number),
                                        printable(reason), explain_sync_refusal(reason)));
}

void note_finding(Notes& notes, const Json& finding) {
    if (!finding.at("send_error").is_null())
        notes.push_back(
            fmt::format("nobody can be looked for: {}; is IPv6 disabled on the interface? Without "
                        "it, list the peers in [sync]",
                        text(finding, "send_error")));
    if (const Json& refused = finding.at("refused"); !refused.is_null())
        notes.push_back(fmt::format("{} can't become a peer, last {} ago: {}", text(refused, "address"),
                                    duration(refused.at("ago_ms")), text(refused, "why")));
    note_refusals(notes, finding.at("counters").at("dropped"));
}

Notes notes_of_host(const Json& status) {
    Notes notes;
    const Json &trouble = status.at("socket_trouble"), &counters = status.at("counters");
    if (!trouble.is_null()) notes.push_back("no peer can be spoken to: " + text(status, "socket_trouble"));
    if (text(status, "incomplete") != "no")
        notes.push_back("while its copy is incomplete, this host is demoted as sync");
    note_count(notes, count(status, "flows_refused"), "flows weren't told: max-flows of [sync] was reached");
    note_kernel(notes, status);
    note_count(notes, count(status.at("takeovers"), "bound_exceeded"),
               "takeovers went on after commit-wait before all flows were in the kernel");
    note_count(notes, count(counters, "same_peer"),
               "times two peers had one name; give each a name of its own");
    note_count(notes, count(counters, "no_room"), "datagrams were lost because too many changes waited");
    note_count(notes, count(counters, "bad_regions"),
               "parts of datagrams made no sense; are the hosts of one release?");
    for (const auto& [reason, number] : status.at("datagrams_refused").items())
        note_count(notes, integer<std::uint64_t>(number), "datagrams refused, " + printable(reason));
    if (!status.at("finding").is_null()) note_finding(notes, status.at("finding"));
    return notes;
}

Notes notes_of_peer(const Json& peer) {
    Notes notes;
    const Json &said = peer.at("said"), &held = peer.at("held"), &told = peer.at("told");
    if (!peer.at("why").is_null()) notes.push_back(text(peer, "why"));
    if (peer.at("up").get<bool>()) {
        if (!told.at("complete").get<bool>()) notes.push_back("is being told all that this host owns");
        if (!held.at("complete").get<bool>()) notes.push_back("hasn't told all that it owns yet");
    }
    if (!said.is_null()) {
        if (said.at("overrun").get<bool>())
            notes.push_back("lost events of its kernel, and reads its table again");
        if (said.at("leaving").get<bool>()) notes.push_back("is stopping");
        note_count(notes, count(said, "lost_events"), "events of its kernel were lost");
    }
    note_count(notes, count(held, "differing_buckets"),
               "of 1024 digests differ from those of what is held here");
    note_count(notes, count(held.at("counters"), "slot_too_high"),
               "records refused: it has more flows than max-flows of [sync] here");
    note_count(notes, count(peer, "send_errors"), "datagrams couldn't be sent to it");
    note_refusals(notes, peer.at("counters").at("dropped"));
    return notes;
}

std::string render_notes(const std::string& of, const Notes& notes, const Paint& paint) {
    std::string out;
    for (const std::string& note : notes)
        out += fmt::format("{}{}\n", of.empty() ? "" : paint.bold(of + ":") + " ", paint.warning(note));
    return out;
}

// ---- a flow

// 10.0.0.2:4711, [2001:db8::1]:4711, 10.0.0.2
std::string end_of(const Json& flow, const std::string& prefix, const char* address, const char* port) {
    const std::string ip = text(flow, (prefix + address).c_str());
    const auto number = flow.find(prefix + port);
    if (number == flow.end()) return ip;
    const bool is_ipv6 = ip.find(':') != std::string::npos;
    return fmt::format("{}{}{}:{}", is_ipv6 ? "[" : "", ip, is_ipv6 ? "]" : "", integer<int>(*number));
}

// How the other side sees it, where that differs.
std::string translation(const Json& flow) {
    const std::string source = end_of(flow, "", "source", "sport"),
                      destination = end_of(flow, "", "destination", "dport"),
                      seen_source = end_of(flow, "reply_", "destination", "dport"),
                      seen_destination = end_of(flow, "reply_", "source", "sport");
    std::string parts;
    if (seen_source != source) parts += "as " + seen_source;
    if (seen_destination != destination) parts += (parts.empty() ? "to " : ", to ") + seen_destination;
    return parts.empty() ? "" : " (" + parts + ")";
}

std::string numbers(const Json& flow) {
    if (flow.contains("type"))
        return fmt::format(" type {} code {} id {}", number(flow, "type"), number(flow, "code"),
                           number(flow, "id"));
    if (flow.contains("source_key"))
        return fmt::format(" keys {} {}", number(flow, "source_key"), number(flow, "destination_key"));
    return {};
}

std::string extras(const Json& flow) {
    std::string out;
    for (const char* key : {"zone", "mark"})
        if (!is_zero(flow.at(key))) out += fmt::format(" {} {}", key, count(flow, key));
    if (!flow.at("helper").is_null()) out += " helper " + text(flow, "helper");
    if (!flow.at("expected_by").is_null()) out += " expected";
    return out;
}

std::string state_of(const Json& flow) {
    if (!flow.at("state").is_null()) return text(flow, "state");
    if (!flow.at("replied").get<bool>()) return "UNREPLIED";
    return flow.at("assured").get<bool>() ? "ASSURED" : "REPLIED";
}

}  // namespace

std::string render_sync_status(const Json& status, const Paint& paint) {
    const Json& peers = status.at("peers");
    std::string below = render_notes("", notes_of_host(status), paint);
    for (const Json& peer : peers)
        below += render_notes(peer.at("name").is_null() ? text(peer, "address") : text(peer, "name"),
                              notes_of_peer(peer), paint);
    return render_host(status, paint) + "\n" + render_peers(status, paint) +
           (below.empty() ? "" : "\n" + below);
}

std::string render_sync_flow(const Json& flow, const Paint& paint) {
    const std::string protocol = text(flow, "protocol"), state = state_of(flow);
    return fmt::format("{:<4} {:<11} {} -> {}{}{}{} {} s  {}", protocol, state,
                       end_of(flow, "", "source", "sport"), end_of(flow, "", "destination", "dport"),
                       numbers(flow), translation(flow), extras(flow), count(flow, "timeout_s"),
                       paint.dim(text(flow, "owner")));
}

}  // namespace carpd
