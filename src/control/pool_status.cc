#include "control/pool_status.h"

#include <algorithm>
#include <cmath>

#include "balance/macs.h"
#include "control/pool_json.h"

namespace carpd {

namespace {

// Of all clients, to four digits.
double share_of(std::uint32_t parts) {
    return std::round(static_cast<double>(parts) / kSlots * 1e4) / 1e4;
}

bool is_at_home(const Balancer& pool, CarpnodeIndex carpnode) {
    return (pool.at_home() >> carpnode & 1) != 0;
}

Json to_json(const Balancer::Holder& holder) {
    if (holder.is_self) return "self";
    return holder.source ? Json(holder.source->to_string()) : Json(nullptr);
}

const GroupConfig& leader_of(const Node& node, const Balancer& pool) {
    return node.group(pool.leader())->config();
}

// In ARP balancing each carpnode has its own.
Json mac_of(const BalanceConfig& config) {
    return config.by_ip() ? Json(pool_mac(config).to_string()) : Json(nullptr);
}

Json settling(const Balancer& pool, Instant now) {
    return pool.settles(now) ? Json(milliseconds(pool.settling_until() - now)) : Json(nullptr);
}

// What this host knows of a carpnode, whichever question is answered.
Json carpnode_json(const Balancer& pool, CarpnodeIndex index) {
    const BalanceConfig& config = pool.config();
    const Carpnode& carpnode = config.carpnodes[index];
    return {{"carpnode", index},
            {"vhid", carpnode.vhid},
            {"group", config.pool + ':' + std::to_string(carpnode.vhid)},
            {"weight", carpnode.weight},
            {"share", share_of(pool.shares().parts_of(index))},
            {"at_home", is_at_home(pool, index)},
            {"master", to_json(pool.holder_of(index))}};
}

std::string_view to_string(PoolPeers::Pool pool) {
    constexpr std::string_view kNames[] = {"unknown", "same", "other"};
    return kNames[static_cast<std::size_t>(pool)];
}
std::string_view to_string(PoolPeers::Probes probes) {
    constexpr std::string_view kNames[] = {"not_expected", "awaited", "heard", "missing"};
    return kNames[static_cast<std::size_t>(probes)];
}

// Whether another host sees the pool as we do (rules N10, N12), where that is known.
void add_agreement(const Balancer& pool, const Balancer::Holder& host, Instant now, Json& json) {
    json["pool"] = json["probes"] = nullptr;
    for (const PoolPeers::Peer& peer : pool.peers().peers(now))
        if (host.source == peer.address) {
            json["pool"] = to_string(peer.pool);
            json["probes"] = to_string(peer.probes);
        }
}

// Carpnodes that others have and we don't (rule N11).
Json strays_of(const Balancer& pool, Instant now) {
    Json json = Json::array();
    for (const PoolPeers::Stray& stray : pool.peers().strays(now))
        json.push_back({{"vhid", stray.vhid},
                        {"source", stray.source.to_string()},
                        {"age_ms", milliseconds(now - stray.heard_at)}});
    return json;
}

// The hosts in the order of the first carpnode that each has; null: nobody is known.
Json hosts_of(const Balancer& pool, Instant now) {
    struct Host {
        Balancer::Holder holder;
        Json name;
        Json carpnodes = Json::array();
        std::uint32_t parts = 0;
    };
    std::vector<Host> hosts;
    for (CarpnodeIndex i = 0; i < pool.config().carpnodes.size(); ++i) {
        const Balancer::Holder holder = pool.holder_of(i);
        const Json name = to_json(holder);
        auto host = std::find_if(hosts.begin(), hosts.end(), [&](const Host& h) { return h.name == name; });
        if (host == hosts.end()) host = hosts.insert(host, Host{holder, name});
        host->carpnodes.push_back(pool.config().carpnodes[i].vhid);
        host->parts += pool.shares().parts_of(i);
    }
    Json json = Json::array();
    for (const Host& host : hosts) {
        json.push_back({{"host", host.name}, {"carpnodes", host.carpnodes}, {"share", share_of(host.parts)}});
        add_agreement(pool, host.holder, now, json.back());
    }
    return json;
}

// ---- who serves a client

// The number by which the pool shares.
std::uint32_t hash_of(const Balancer& pool, const PoolClient& client, const IpAddress& address) {
    const bool is_weighted = pool.config().hash == BalanceHash::weighted;
    const std::uint32_t hash = pool.config().by_ip() ? carpd::hash_of(*client.address, address)
                               : is_weighted         ? weighted_hash_of(*client.mac)
                                                     : pool.shares().arp_hash().of(*client.mac);
    return is_weighted ? mix(hash) : hash;
}

Json answer(const Balancer& pool, const PoolClient& client, const IpAddress& address) {
    const Shares& shares = pool.shares();
    const CarpnodeIndex index = pool.config().by_ip() ? shares.carpnode_of(*client.address, address)
                                                      : shares.carpnode_of(*client.mac);
    const std::uint32_t hash = hash_of(pool, client, address);
    Json json{{"address", address.to_string()}, {"hash", hash}};
    if (pool.config().hash == BalanceHash::weighted) {
        const std::size_t slot = hash % kSlots;
        const Carpnode& own = pool.config().carpnodes[shares.own_carpnode_of(slot)];
        json["slot"] = slot;
        json["slot_of_vhid"] = own.vhid;
    }
    json.update(carpnode_json(pool, index));
    return json;
}

Json client_in(const Node& node, const Balancer& pool, const PoolClient& client, Instant now) {
    const BalanceConfig& config = pool.config();
    const bool is_known = config.by_ip() ? client.address.has_value() : client.mac.has_value();
    Json answers = Json::array();
    for (const InterfaceAddress& a : leader_of(node, pool).addresses) {
        const bool is_of_its_family = !client.address || client.address->family() == a.address.family();
        if (is_known && is_of_its_family) answers.push_back(answer(pool, client, a.address));
    }
    return {{"name", config.pool},
            {"interface", leader_of(node, pool).interface},
            {"mode", to_string(config.mode)},
            {"hash", to_string(config.hash)},
            {"carpnodes", config.carpnodes.size()},
            {"settling_ms", settling(pool, now)},
            {"needs", is_known ? Json(nullptr) : Json(config.by_ip() ? "address" : "mac")},
            {"answers", answers}};
}

}  // namespace

Json balance_of(const Node& node, const VirtualHost& group) {
    const Balancer* pool = node.pool(group.id());
    if (pool == nullptr) return nullptr;
    const BalanceConfig& config = pool->config();
    Json json{{"pool", config.pool},
              {"mode", to_string(config.mode)},
              {"hash", to_string(config.hash)},
              {"carpnodes", config.carpnodes.size()}};
    json.update(carpnode_json(*pool, *pool->index_of(group.config().vhid)));
    return json;
}

std::string status_of(const Node& node, const Balancer& pool, Instant now,
                      const std::optional<PoolTraffic>& traffic) {
    const BalanceConfig& config = pool.config();
    Json addresses = Json::array();
    for (const InterfaceAddress& a : leader_of(node, pool).addresses) addresses.push_back(a.to_string());
    Json json{{"name", config.pool},
              {"interface", leader_of(node, pool).interface},
              {"mode", to_string(config.mode)},
              {"hash", to_string(config.hash)},
              {"mac", mac_of(config)},
              {"addresses", addresses},
              {"settling_ms", settling(pool, now)},
              {"hosts", hosts_of(pool, now)},
              {"strays", strays_of(pool, now)},
              {"traffic", nullptr}};
    if (traffic)
        json["traffic"] = {{"packets", traffic->packets},
                           {"bytes", traffic->bytes},
                           {"packets_of_others", traffic->of_others}};
    return dump(json);
}

std::string client_line(const Node& node, const std::vector<const Balancer*>& pools, const PoolClient& client,
                        Instant now) {
    Json answers = Json::array();
    for (const Balancer* pool : pools) answers.push_back(client_in(node, *pool, client, now));
    return dump({{"ok", true},
                 {"schema", 1},
                 {"address", client.address ? Json(client.address->to_string()) : Json(nullptr)},
                 {"mac", client.mac ? Json(client.mac->to_string()) : Json(nullptr)},
                 {"pools", answers}});
}

}  // namespace carpd
