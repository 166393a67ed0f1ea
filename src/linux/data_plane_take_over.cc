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
