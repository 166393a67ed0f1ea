#include "carpctl/replay.h"

#include <algorithm>

namespace carpd {

namespace {

// So long after the last packet no group of these is still BACKUP.
Duration longest_wait(const std::vector<GroupConfig>& groups) {
    constexpr Duration kBesides = std::chrono::minutes(1);  // preempt delays, and the slowest with advbase 0
    Duration longest{0};
    for (const GroupConfig& group : groups)
        longest = std::max(longest, master_down_interval(group.advbase, group.advskew) + group.preempt_delay);
    return longest + kBesides;
}

LinkStatus link_from(const std::vector<IpAddress>& sources) {
    LinkStatus link;
    link.present = link.up = link.running = true;
    for (const IpAddress& source : sources) {
        if (source.family() == Family::ipv4)
            link.source4 = source;
        else if (source.is_link_local())
            link.source6 = source;
        else
            link.global6 = source;
    }
    if (link.source6.is_unspecified()) link.source6 = link.global6;
    return link;
}

}  // namespace

Replay::Replay(GroupConfigs groups, OwnSources own)
    : groups_(std::move(groups)), own_(std::move(own)), longest_wait_(longest_wait(*groups_)) {
    // A new Node gives its groups' ids in their order.
    for (GroupId id = 0; id < groups_->size(); ++id)
        ids_[{(*groups_)[id].interface, (*groups_)[id].vhid.value}] = id;
}

// In BACKUP, with nothing heard yet.
void Replay::begin(Time at) {
    began_ = at;
    now_ = Instant{};
    node_ = std::make_unique<Node>(1);
    pump_ = std::make_unique<Pump>(*node_, static_cast<Port&>(*this));
    pump_->input(now_, [&](Node& node, Actions& out) { node.configure(now_, groups_, out); });
    for (InterfaceId id = 0; id < node_->interfaces().size(); ++id) {
        const auto own = own_.find(node_->interfaces()[id]);
        const LinkStatus link = link_from(own != own_.end() ? own->second : std::vector<IpAddress>());
        pump_->input(now_, [&](Node& node, Actions& out) { node.handle_link(now_, id, link, out); });
    }
    happenings_.clear();  // all groups started
}

bool Replay::advance(Time to) {
    if (!node_) {
        begin(to);
        return false;
    }
    const Time present = began_ + now_.time_since_epoch().count();
    if (to <= present) return false;
    if (to - present > longest_wait_.count()) {
        begin(to);
        return true;
    }
    const Instant end = now_ + Duration(to - present);
    while (node_->next_deadline() < end) {
        now_ = std::max(now_, node_->next_deadline());
        pump_->wake(now_);
        pump_->report();
    }
    now_ = end;
    return false;
}

std::optional<DropReason> Replay::hear(std::string_view interface, Bytes ip) {
    const auto& names = node_->interfaces();
    const auto found = std::find(names.begin(), names.end(), interface);
    waiting_.push_back({static_cast<InterfaceId>(found - names.begin()), ip});
    refused_.reset();
    pump_->wake(now_);
    pump_->report();
    return refused_;
}

void Replay::spoke(GroupId id) {
    if (group(id).state() != State::backup || group(id).last_heard()) return;
    is_assuming_ = true;
    pump_->input(now_, [&](Node& node, Actions& out) { node.handle_request(now_, id, State::master, out); });
    is_assuming_ = false;
}

std::optional<GroupId> Replay::find(std::string_view interface, std::uint8_t vhid) const {
    const auto found = ids_.find({std::string(interface), vhid});
    return found != ids_.end() ? std::optional(found->second) : std::nullopt;
}

void Replay::note(GroupId group, const Report& report) {
    happenings_.push_back({began_ + now_.time_since_epoch().count(), group, report, is_assuming_});
}

std::span<const ReceivedPacket> Replay::receive() {
    batch_ = std::exchange(waiting_, {});
    return batch_;
}

void Replay::perform(std::span<SendAdvertisement> actions) {
    for (SendAdvertisement& action : actions) action.sent = true;
}

void Replay::perform(std::span<InstallAddresses> actions) {
    for (InstallAddresses& action : actions) action.installed = true;
}

}  // namespace carpd
