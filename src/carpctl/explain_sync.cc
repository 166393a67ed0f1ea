// What state synchronisation lacks, and what that does to mastership.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "carpctl/explain_parts.h"
#include "control/human.h"

namespace carpd {

namespace {

// What the host has of a peer's flows, which it says are so many. Of a session before, some may be gone.
struct Share {
    std::uint64_t owned = 0, held = 0;

    static Share of(const Json& peer) {
        const Json &said = peer.at("said"), &held = peer.at("held");
        const std::uint64_t owned = said.is_null() ? 0 : count(said, "flows");
        const std::uint64_t both = count(held, "flows") + count(held, "flows_of_session_before");
        return {owned, std::min(owned, both)};
    }
    std::string text() const {
        if (owned == 0) return {};
        // Rounded down: 100 % is all.
        return fmt::format("{:.0f} % are here",
                           std::floor(100.0 * static_cast<double>(held) / static_cast<double>(owned)));
    }
};

// ---- the host

void explain_copy(const Json& sync, const Facts& facts, Reasons& out) {
    const std::string incomplete = text(sync, "incomplete");
    const Json& ends = sync.at("demotion_remaining_ms");
    const int demotion = number(sync, "demotion");
    if (incomplete == "no") {
        const std::string_view what = number(sync, "peers_up") > 0
                                          ? "This host has all flows of its peers"
                                          : "No peer is up that could tell this host of flows that it lacks";
        const std::string until = ends.is_null() ? "soon" : "in " + duration(ends);
        out.push_back({"complete", demotion == 0 ? fmt::format("{}, and it is not demoted for that.", what)
                                                 : fmt::format("{}; its demotion by {} ends {}.", what,
                                                               demotion, until)});
        return;
    }
    const std::string share = share_held(facts.sync_status);
    out.push_back({"incomplete_" + incomplete,
                   fmt::format("This host lacks flows of its peers: {}{}.", explain_incomplete(incomplete),
                               share.empty() ? "" : " (" + share + ")")});
    if (demotion == 0)
        out.push_back({"not_demoted", "It is MASTER, so what it has counts: it is not demoted for that."});
    else if (ends.is_null())
        out.push_back(
            {"demoted", fmt::format("All its groups are demoted by {} until it has them: it takes over from "
                                    "no host that has all, but serves where there is none.",
                                    demotion)});
    else
        out.push_back(
            {"demoted",
             fmt::format("It became MASTER without them, so all its groups are demoted by {} for {} more, "
                         "for a host that has all to take over; from then on, what it has counts.",
                         demotion, duration(ends))});
}

void explain_flows(const Json& status, Reasons& out) {
    std::uint64_t of_peers = 0;
    for (const Json& peer : status.at("peers"))
        of_peers += count(peer.at("held"), "flows") + count(peer.at("held"), "flows_of_session_before");
    out.push_back({"flows", fmt::format("This host owns {} flows, and has {} of its peers.",
                                        count(status, "flows"), of_peers)});
}

// ---- peers

std::string name_of(const Json& peer) {
    return peer.at("name").is_null() ? text(peer, "address")
                                     : fmt::format("{} ({})", text(peer, "name"), text(peer, "address"));
}

std::string what_it_owns(const Json& peer) {
    if (peer.at("said").is_null()) return "has not said yet what it owns";
    const Share share = Share::of(peer);
    if (share.owned == 0) return "owns no flows";
    return fmt::format("owns {} flows, of which {}", share.owned, share.text());
}

std::string what_it_knows(const Json& told) {
    const std::uint64_t waiting = count(told, "waiting");
    if (waiting == 0) return "It has acknowledged all of this host's.";
    const std::string lag =
        told.at("lag_ms") == 0 ? "" : fmt::format(", the oldest change for {}", duration(told.at("lag_ms")));
    return fmt::format("{} of this host's wait for its acknowledgement{}.", waiting, lag);
}

void explain_peer(const Json& peer, Reasons& out) {
    const std::string name = name_of(peer);
    if (!peer.at("up").get<bool>()) {
        out.push_back(
            {"peer_down", fmt::format("Peer {} is down for {}: {}. That demotes nobody by itself, but a "
                                      "takeover between the two loses connections.",
                                      name, duration(peer.at("since_ms")),
                                      peer.at("why").is_null() ? "not known why" : text(peer, "why"))});
        return;
    }
    out.push_back(
        {"peer_up", fmt::format("Peer {} is up for {}, and {}. {}", name, duration(peer.at("since_ms")),
                                what_it_owns(peer), what_it_knows(peer.at("told")))});
    if (!peer.at("held").at("complete").get<bool>())
        out.push_back({"peer_not_heard_out", fmt::format("{} has not told all that it owns yet.", name)});
    if (!peer.at("told").at("complete").get<bool>())
        out.push_back(
            {"peer_not_told_all", fmt::format("{} has not been told all that this host owns yet.", name)});
    const Json& said = peer.at("said");
    if (!said.is_null() && !said.at("complete").get<bool>())
        out.push_back({"peer_incomplete", fmt::format("{} says that it lacks flows of its peers.", name)});
    if (const auto buckets = count(peer.at("held"), "differing_buckets"); buckets > 0)
        out.push_back({"peer_differs", fmt::format("What is here of {} differs from what it has in {} of "
                                                   "1024 parts; these are asked for again.",
                                                   name, buckets)});
}

// ---- losses

void explain_losses(const Json& status, Reasons& out) {
    std::string losses;
    const auto add = [&](std::uint64_t number, std::string_view what) {
        if (number > 0) losses += fmt::format("{}{} {}", losses.empty() ? "" : ", ", number, what);
    };
    std::uint64_t lost_datagrams = 0, refused = 0;
    for (const Json& peer : status.at("peers"))
        lost_datagrams += count(peer.at("told").at("counters"), "lost_datagrams");
    for (const auto& [reason, number] : status.at("changes").at("failed").items())
        refused += integer<std::uint64_t>(number);
    add(count(status.at("kernel"), "lost_events"), "events of the kernel (its table was read again)");
    add(lost_datagrams, "datagrams to peers (told again)");
    add(count(status, "flows_refused"), "flows that were too many to tell (max-flows)");
    add(refused, "changes that the kernel refused");
    add(count(status.at("takeovers"), "bound_exceeded"),
        "takeovers that did not wait for all flows (commit-wait)");
    if (losses.empty())
        out.push_back({"no_losses", "Nothing was lost since it started.", true});
    else
        out.push_back({"losses", fmt::format("Lost since it started, {} ago: {}; see `carpctl sync status`.",
                                             duration(status.at("running_ms")), losses)});
}

}  // namespace

std::string share_held(const Json& sync_status) {
    if (sync_status.is_null()) return {};
    Share all;
    for (const Json& peer : sync_status.at("peers")) {
        const Share one = Share::of(peer);
        all.owned += one.owned;
        all.held += one.held;
    }
    return all.text();
}

Reasons explain_sync(const Facts& facts) {
    Reasons reasons;
    const Json& sync = facts.status.at("sync");
    if (sync.is_null()) return reasons;
    explain_copy(sync, facts, reasons);
    const Json& status = facts.sync_status;
    if (status.is_null()) {
        reasons.push_back(
            {"not_known", "carpd: sync does not answer, so no more is known; carpd's log says why."});
        return reasons;
    }
    if (!status.at("socket_trouble").is_null())
        reasons.push_back(
            {"socket_trouble", fmt::format("No peer can be spoken to: {}.", text(status, "socket_trouble"))});
    explain_flows(status, reasons);
    for (const Json& peer : status.at("peers")) explain_peer(peer, reasons);
    explain_losses(status, reasons);
    return reasons;
}

}  // namespace carpd
