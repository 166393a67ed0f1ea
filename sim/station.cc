#include "sim/station.h"

#include "sim/world.h"

namespace carpd::sim {

Station::Station(World& world, int i) : index(i), world_(world) {
    ailments.unplugged.resize(world.plan().interfaces);
    ailments.vanished.resize(world.plan().interfaces);
}

const HostPlan& Station::plan() const {
    return world_.plan().hosts[static_cast<std::size_t>(index)];
}

std::size_t Station::interface_of(int group) const {
    return world_.plan().groups[static_cast<std::size_t>(group)].interface;
}

LinkStatus Station::link(std::size_t interface) const {
    LinkStatus link;
    link.present = link.up = ailments.vanished[interface] == 0;
    link.running = link.present && ailments.unplugged[interface] == 0;
    if (!link.present || !plan().has_own_addresses) return link;
    link.source4 = plan().own4;
    link.source6 = plan().own6;
    link.global6 = plan().global6;
    return link;
}

void Station::arm(Moment at) {
    wake_at_ = at;
    if (at >= earliest_event_) return;
    earliest_event_ = at;
    world_.schedule(at, EventKind::timer, index, 0);
}

void Station::timer_due(Moment at) {
    if (at != earliest_event_) return;  // an earlier one took its place
    earliest_event_ = kNoMoment;
    if (wake_at_ == kNoMoment) return;
    if (wake_at_ > at) return arm(wake_at_);
    wake_at_ = kNoMoment;
    if (awake()) wake();
}

}  // namespace carpd::sim
