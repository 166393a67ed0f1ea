// The data plane of a process that takes over from another.
#include <algorithm>

#include "linux/data_plane.h"
#include "linux/leftovers.h"

namespace carpd {

void DataPlane::stand_beside() {
    stands_beside_ = true;
    if (gate_) gate_->hold_back();
    for (const auto& [ifindex, note] : standing_notes(*netlink_)) arp_.inherit(ifindex, note);
}

std::optional<SysError> DataPlane::take_over() {
    stands_beside_ = false;
    return gate_ ? gate_->take_their_place() : std::nullopt;
}

bool DataPlane::lingers(GroupId carpnode) const {
    const Group* group = find(carpnode);
    return group != nullptr && group->lingers;
}

void DataPlane::linger(GroupId carpnode, const GroupConfig& config) {
    const Group* group = find(carpnode);
    if (group == nullptr || group->keeps_addresses() || !pool_settles(*group)) return;
    Installation closed{carpnode, &config, Instant{}};
    install(std::span(&closed, 1));
    withdraw(carpnode);
}

void DataPlane::set_traffic(GroupId carpnode, const PoolTraffic& traffic) {
    if (gate_) gate_->set_traffic(carpnode, traffic);
}

bool DataPlane::holds(const LinkAddress& address) const {
    return std::any_of(groups_.begin(), groups_.end(), [&](const Group& group) {
        const auto& held = group.holdings.addresses;
        return group.keeps_addresses() && std::any_of(held.begin(), held.end(), [&](const LinkAddress& each) {
                   return each.ifindex == address.ifindex && each.address.address == address.address.address;
               });
    });
}

// What the kernel tells of a route needn't be all that was said of it, and where no metric was said it may
// have one.
bool DataPlane::holds(const Route& route) const {
    const auto is_same = [&](const Route& held) {
        return held.destination == route.destination && held.table == route.table &&
               (held.metric == 0 || held.metric == route.metric) && held.ifindex == route.ifindex &&
               held.local == route.local;
    };
    return std::any_of(groups_.begin(), groups_.end(), [&](const Group& group) {
        return std::any_of(group.holdings.routes.begin(), group.holdings.routes.end(), is_same);
    });
}

bool DataPlane::holds(const Rule& rule) const {
    return std::any_of(groups_.begin(), groups_.end(), [&](const Group& group) {
        const auto& rules = group.holdings.rules;
        return std::find(rules.begin(), rules.end(), rule) != rules.end();
    });
}

bool DataPlane::uses(int ifindex) const {
    return std::any_of(groups_.begin(), groups_.end(), [&](const Group& group) {
        return group.parent != 0 && (gate_ ? group.parent == ifindex : group.ifindex == ifindex);
    });
}

}  // namespace carpd
