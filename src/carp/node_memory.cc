// How a host's groups go on in another process.
#include <algorithm>

#include "base/assert.h"
#include "carp/node.h"

namespace carpd {

NodeMemory Node::memory() const {
    NodeMemory memory;
    for (const auto& group : groups_)
        if (group) memory.groups.push_back(group->memory());
    for (const auto& [key, pool] : pools_) {
        memory.pools.push_back(pool->memory());
        memory.pools.back().interface = interface_names_[key.first];
    }
    for (const auto& [interface_group, counter] : interface_group_demotions_)
        for (const auto& [name, amount] : counter.contributions())
            memory.interface_group_demotions.push_back({interface_group, name, amount});
    for (const Ending& ending : endings_) {
        DemotionEnd end{"", {}, ending.interface_group, ending.name, ending.at};
        if (ending.group != kNoGroup) {
            end.interface = groups_[ending.group]->config().interface;
            end.vhid = groups_[ending.group]->config().vhid;
        }
        memory.ends.push_back(std::move(end));
    }
    memory.sync_demotion = sync_demotion_;
    memory.lateness = lateness_;
    memory.dropped = dropped_;
    memory.tally = *tally_;
    return memory;
}

Instant Node::hands_over_until() const {
    Instant until = Instant::min();
    for (const auto& [key, pool] : pools_) until = std::max(until, pool->hands_over_until());
    return until;
}

std::optional<GroupId> Node::group_at(const std::string& interface, Vhid vhid) const {
    const auto found = interface_ids_.find(interface);
    return found == interface_ids_.end() ? std::nullopt : group_of(found->second, vhid.value);
}

void Node::resume(Instant now, const NodeMemory& memory, std::span<const LinkStatus> links, Actions& out) {
    CARPD_ASSERT(links.size() == interfaces_.size());
    for (InterfaceId id = 0; id < interfaces_.size(); ++id) interfaces_[id].link = links[id];
    lateness_ = memory.lateness;
    dropped_ = memory.dropped;
    for (const PoolMemory& each : memory.pools) {
        const auto leader = group_at(each.interface, each.leader);
        if (leader && pool_of_[*leader] && pool_of_[*leader]->leader() == *leader)
            pool_of_[*leader]->resume(now, each);
    }
    *tally_ = memory.tally;
    std::vector<bool> is_new(groups_.size(), true);
    for (const GroupMemory& each : memory.groups) {
        const auto id = group_at(each.interface, each.vhid);
        if (!id || !is_new[*id]) continue;
        is_new[*id] = false;
        groups_[*id]->resume(now, each, interfaces_[interface_of_[*id]].link, out);
    }
    resume_demotions(memory);
    for (GroupId id = 0; id < groups_.size(); ++id) {
        if (is_new[id] && sync_demotion_ != 0)
            groups_[id]->on_demotion(now, kSyncDemotion, sync_demotion_, out);
        if (is_new[id]) follow_interface_groups(now, id, out);
        groups_[id]->on_link(now, interfaces_[interface_of_[id]].link, out);
        follow(now, id, out);
    }
    for (GroupId id = 0; id < groups_.size(); ++id) finish(now, id, out);
}

// Those of the groups that are resumed are in what they remember themselves.
void Node::resume_demotions(const NodeMemory& memory) {
    sync_demotion_ = memory.sync_demotion;
    for (const auto& [interface_group, name, amount] : memory.interface_group_demotions)
        interface_group_demotions_[interface_group].set(name, amount);
    for (const DemotionEnd& end : memory.ends) {
        const auto id = group_at(end.interface, end.vhid);
        if (!end.interface_group.empty() || id)
            set_ending({id.value_or(kNoGroup), end.interface_group, end.name, end.at});
    }
}

}  // namespace carpd
