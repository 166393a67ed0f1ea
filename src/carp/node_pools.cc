// What Node does for pools: groups that share the same addresses and are MASTER each for itself.
#include <utility>

#include "carp/node.h"

namespace carpd {

void Node::form_pools(Instant now, Actions& out) {
    auto before = std::exchange(pools_, {});
    for (GroupId id = 0; id < groups_.size(); ++id) {
        if (!groups_[id] || !groups_[id]->config().balance) continue;
        const GroupConfig& config = groups_[id]->config();
        const auto key = std::pair(interface_of_[id], config.balance->leader());
        const auto leader = group_of(key.first, key.second);
        CARPD_ASSERT(leader);
        std::unique_ptr<Balancer>& pool = pools_[key];
        if (!pool) {
            std::unique_ptr<Balancer>& was = before[key];
            if (was && was->is_for(config, *leader)) {
                pool = std::move(was);
            } else {
                pool = std::make_unique<Balancer>(config, *leader);
                if (was) pool->succeed(now, *was);
            }
        }
        pool_of_[id] = pool.get();
    }
    for (GroupId id = 0; id < groups_.size(); ++id)
        if (pool_of_[id]) tell_pool(now, id);
    for (const auto& [key, pool] : pools_) follow_pool(now, pool->leader(), out);
}

CarpnodeIndex Node::tell_pool(Instant now, GroupId id) {
    const VirtualHost& group = *groups_[id];
    Balancer& pool = *pool_of_[id];
    const CarpnodeIndex carpnode = *pool.index_of(group.config().vhid);
    pool.follow(
        now, carpnode,
        {group.owns(), group.config().advbase, group.advertised_advskew(), group.source(pool.family())});
    return carpnode;
}

void Node::follow_pool(Instant now, GroupId id, Actions& out) {
    tell_pool(now, id);
    Balancer& pool = *pool_of_[id];
    pool.decide(now, out);
    if (const auto carpnode = pool.take_probe(now)) {
        const auto sender = group_of(interface_of_[id], pool.config().carpnodes[*carpnode].vhid);
        // Of several that change at once the pool may not have been told yet.
        if (groups_[*sender]->owns())
            out.emplace_back(
                SendFloodProbe{*sender, groups_[*sender]->flood_probe(pool.probe_destination())});
    }
    set_deadline(pool.leader());
}

void Node::hear_in_pool(Instant now, GroupId id, const IpPacket& packet, const Advertisement& advertisement,
                        Actions& out) {
    const CarpnodeIndex carpnode = tell_pool(now, id);
    pool_of_[id]->hear(now, carpnode, packet, advertisement, out);
    follow_pool(now, id, out);
}

// Its digest costs as much as that of any other, but nobody here needs it: one is looked at once a second or
// two, at random, so that of several senders each gets its turn.
void Node::hear_stray(Instant now, InterfaceId interface, const IpPacket& packet,
                      const Advertisement& advertisement, Actions& out) {
    Instant& due = interfaces_[interface].stray_check_due;
    if (pools_.empty() || now < due || !packet.destination.is_multicast()) return;
    due =
        now + std::chrono::seconds(1) + Duration(random_.next() % Duration(std::chrono::seconds(1)).count());
    for (const auto& [key, pool] : pools_)
        if (key.first == interface) pool->hear_unknown(now, packet.source, advertisement, out);
}

std::optional<DropReason> Node::hear_flood_probe(Instant now, GroupId id, const IpPacket& packet,
                                                 const Advertisement& advertisement, Actions& out) {
    const auto refused = groups_[id]->on_flood_probe(now, packet, advertisement);
    if (!refused) pool_of_[id]->hear_probe(now, packet.source, out);
    return refused;
}

}  // namespace carpd
