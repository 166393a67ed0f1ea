#include "control/peer_json.h"

#include <fmt/format.h>

namespace carpd {

namespace {

std::string id_of(std::uint64_t host) {
    return fmt::format("{:016x}", host);
}

Json age(Instant now, Instant at) {
    return at == Instant::min() ? Json(nullptr) : Json(milliseconds(now - at));
}

Json age(std::uint16_t age_ms) {
    return age_ms == Beacon::Hearing::kNothing ? Json(nullptr) : Json(age_ms);
}

ObjectText to_json(const Beacon::Hearing& hearing) {
    return ObjectText()
        .add("id", id_of(hearing.host))
        .add("ipv4_age_ms", age(hearing.age[0]))
        .add("ipv6_age_ms", age(hearing.age[1]))
        .add("advertisement_age_ms", age(hearing.advertisement_age))
        .add("late_ms", hearing.late);
}

JsonText list(const auto& elements, const auto& to_text) {
    std::string text;
    for (const auto& element : elements) text += (text.empty() ? "" : ",") + to_text(element).text();
    return {"[" + text + "]"};
}

Json addresses_of(const GroupPeers::Peer& peer) {
    Json json = Json::array();
    for (const IpAddress& source : peer.source)
        if (!source.is_unspecified()) json.push_back(source.to_string());
    return json;
}

Json to_json(const GroupPeers::Trouble& trouble) {
    Json json = Json::array();
    if (trouble.is_silent) json.push_back("silent");
    if (trouble.is_deaf) json.push_back("deaf");
    if (trouble.advertisements_missing) json.push_back("unadvertised");
    if (trouble.addresses_differ) json.push_back("addresses_differ");
    return json;
}

ObjectText to_json(const GroupPeers& peers, const GroupPeers::Peer& peer, Instant now) {
    const Beacon& said = peer.said;
    const auto hears_us = peers.hears_us(now, peer);
    const auto since = std::chrono::milliseconds(said.since_ms) + (now - peer.said_at);
    return ObjectText()
        .add("name", said.name())
        .add("id", id_of(said.host))
        .add("addresses", addresses_of(peer))
        .add("left", said.leaves)
        .add("state", to_string(static_cast<State>(said.state)))
        .add("since_ms", milliseconds(since))
        .add("advbase", said.advbase)
        .add("advskew", said.advskew)
        .add("demotion", said.demote)
        .add("fingerprint", fmt::format("{:08x}", said.addresses))
        .add("heard_for_ms", milliseconds(now - peer.speaks_since))
        .add("beacon_age_ms", milliseconds(now - peer.said_at))
        .add("ipv4_age_ms", age(now, peer.heard_at[0]))
        .add("ipv6_age_ms", age(now, peer.heard_at[1]))
        .add("advertisement_age_ms", age(now, peer.advertised_at))
        .add("late_ms", milliseconds(peer.latest()))
        .add("hears_us", hears_us ? Json(*hears_us) : Json(nullptr))
        .add("trouble", to_json(peers.trouble(now, peer)))
        .add("hears", list(said.hearings(), [](const auto& hearing) { return to_json(hearing); }));
}

}  // namespace

JsonText hosts_of(const Node& node, GroupId group, Instant now) {
    const GroupPeers* peers = node.peers(group);
    if (peers == nullptr) return {"null"};
    return list(peers->peers(), [&](const auto& peer) { return to_json(*peers, peer, now); });
}

Json fingerprint_of(const Node& node, GroupId group) {
    const GroupPeers* peers = node.peers(group);
    return peers == nullptr ? Json(nullptr) : Json(fmt::format("{:08x}", peers->addresses()));
}

Json this_host(const Node& node) {
    return {{"name", node.host_name()}, {"id", id_of(node.host())}};
}

}  // namespace carpd
