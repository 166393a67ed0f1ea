// A host's part in a pool: its kernel's filter, and what it says of the other hosts.
#include <fmt/format.h>

#include "sim/host.h"
#include "sim/world.h"

namespace carpd::sim {

// Everybody gets it, as every frame to the pool's MAC.
void Host::perform(const SendFloodProbe& action) {
    const int group = group_of(action.group);
    if (!can_send(group)) return;
    const IpAddress destination = parse_ip_packet(action.packet.bytes())->destination;
    const PacketId id = packet_of(group, action.packet, destination);
    world_.packets()[id].unicast = false;
    world_.packets()[id].flood_probe = true;
    world_.transmit(id, destination);
}

void Host::perform(const SetPool& action) {
    const int pool = world_.plan().groups[static_cast<std::size_t>(group_of(action.leader))].pool;
    shares_[static_cast<std::size_t>(pool - 1)].set_at_home(action.at_home);
    settling_until_[static_cast<std::size_t>(pool - 1)] = action.settling_until;
    world_.record(index, 10, action.at_home);
    if (world_.witnessed())
        world_.tell(index, group_of(action.leader),
                    fmt::format("at home: {:b}{}", action.at_home,
                                action.settling_until > local_now() ? ", settling" : ""));
    for (const auto& checker : world_.checkers()) checker->on_shares(index, pool);
}

bool Host::serves(const PoolPlan& pool, const Client& client) const {
    const auto number = static_cast<std::size_t>(&pool - world_.plan().pools.data());
    const Shares& shares = shares_[number];
    return owns(pool.groups[carpnode_of(shares, pool, client)]);
}

CarpnodeIndex carpnode_of(const Shares& shares, const PoolPlan& pool, const Client& client) {
    static const IpAddress kService = *IpAddress::parse("192.0.2.100");
    return pool.balance.by_ip() ? shares.carpnode_of(client.address, kService)
                                : shares.carpnode_of(client.mac);
}

void Host::perform(const ReportPool& action) {
    world_.record(index, 11, static_cast<std::uint64_t>(action.news));
    if (world_.witnessed())
        world_.tell(index, group_of(action.leader),
                    fmt::format("news {} of {}", static_cast<int>(action.news), action.source.to_string()));
}

}  // namespace carpd::sim
