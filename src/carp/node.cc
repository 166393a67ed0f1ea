#include "carp/node.h"

#include <algorithm>
#include <set>

#include "wire/ip_packet.h"

namespace carpd {

// ---- configuration

void Node::configure(Instant now, GroupConfigs groups, Actions& out) {
    // The driver knows groups by id: a slot that this call empties is not filled by it.
    std::vector<GroupId> free;
    for (GroupId id = 0; id < groups_.size(); ++id)
        if (!groups_[id]) free.push_back(id);
    std::set<std::pair<InterfaceId, Vhid>> wanted_places;
    for (const GroupConfig& wanted : *groups)
        wanted_places.emplace(interface_id(wanted.interface), wanted.vhid);
    for (auto& group : groups_)
        if (group) group->join(nullptr);
    pool_of_.assign(pool_of_.size(), nullptr);
    // What goes leaves before what is new comes, so that an address can move from one group to another.
    for (GroupId id = 0; id < groups_.size(); ++id)
        if (groups_[id] && !wanted_places.contains({interface_of_[id], groups_[id]->config().vhid}))
            remove_group(now, id, out);
    for (const GroupConfig& wanted : *groups) {
        const InterfaceId interface = interface_id(wanted.interface);
        if (auto id = group_of(interface, wanted.vhid.value)) {
            if (groups_[*id]->config() == wanted) {
                groups_[*id]->follow(wanted);
                if (peers_[*id]) peers_[*id]->follow(wanted);
                continue;
            }
            groups_[*id]->reconfigure(now, wanted, out);
            follow_beacons(now, *id, out);
            groups_[*id]->on_failing_tracks(now, failing_, out);
            follow_interface_groups(now, *id, out);
            follow(now, *id, out);
            continue;
        }
        const GroupId id = take_slot(free);
        groups_[id] = std::make_unique<VirtualHost>(id, wanted, random_.next(), now, *tally_);
        interface_of_[id] = interface;
        interfaces_[interface].by_vhid[wanted.vhid.value] = id;
        follow_beacons(now, id, out);
        groups_[id]->on_failing_tracks(now, failing_, out);
        groups_[id]->start(now, interfaces_[interface].link, out);
        if (sync_demotion_ != 0) groups_[id]->on_demotion(now, kSyncDemotion, sync_demotion_, out);
        follow_interface_groups(now, id, out);
        follow(now, id, out);
    }
    configs_ = std::move(groups);
    form_pools(now, out);
    form_sets(now, out);
}

void Node::form_sets(Instant now, Actions& out) {
    std::map<std::string, std::vector<VirtualHost*>> members;
    for (auto& group : groups_) {
        if (!group) continue;
        if (group->config().together.empty()) {
            group->carry(now, "", 0, true, out);
            follow(now, group->id(), out);
        } else {
            members[group->config().together].push_back(group.get());
        }
    }
    sets_.clear();
    for (auto& [name, of_set] : members) {
        Together& set = *(sets_[name] = std::make_unique<Together>(name));
        for (VirtualHost* member : of_set) member->join(&set);
        set.set_members(std::move(of_set));
        set.settle_all(now, true, out);
        for (const VirtualHost* member : set.members()) follow(now, member->id(), out);
    }
}

InterfaceId Node::interface_id(const std::string& name) {
    const auto [found, is_new] =
        interface_ids_.try_emplace(name, static_cast<InterfaceId>(interfaces_.size()));
    if (is_new) {
        interface_names_.push_back(name);
        interfaces_.emplace_back().by_vhid.fill(kNoGroup);
    }
    return found->second;
}

GroupId Node::take_slot(std::vector<GroupId>& free) {
    if (!free.empty()) {
        const GroupId id = free.back();
        free.pop_back();
        return id;
    }
    groups_.emplace_back();
    interface_of_.push_back(0);
    is_master_.push_back(false);
    pool_of_.push_back(nullptr);
    peers_.emplace_back();
    deadlines_.resize(groups_.size());
    return static_cast<GroupId>(groups_.size() - 1);
}

void Node::remove_group(Instant now, GroupId id, Actions& out) {
    groups_[id]->stop(now, Cause::removed, out);
    if (peers_[id]) send_beacon(now, id, true, out);
    peers_[id].reset();
    interfaces_[interface_of_[id]].by_vhid[groups_[id]->config().vhid.value] = kNoGroup;
    groups_[id].reset();
    deadlines_.set(id, kNever);
    erase_endings([id](const Ending& e) { return e.group == id; });
    count_master(id, false);
}

void Node::hold_down(Instant now, Instant until, Actions& out) {
    for (GroupId id = 0; id < groups_.size(); ++id) {
        if (!groups_[id]) continue;
        groups_[id]->hold_down(now, until, out);
        follow(now, id, out);
    }
    for (auto& group : groups_)
        if (group) finish(now, group->id(), out);
}

void Node::stop(Instant now, Actions& out) {
    for (GroupId id = 0; id < groups_.size(); ++id) {
        if (!groups_[id]) continue;
        groups_[id]->stop(now, Cause::stopped, out);
        if (peers_[id]) send_beacon(now, id, true, out);
        follow(now, id, out);
    }
}

// ---- inputs

Receipt Node::handle_packet(Instant now, InterfaceId interface, Bytes bytes, Actions& out) {
    const Receipt receipt = receive(now, interface, bytes, out);
    if (receipt.refused && !receipt.group) ++dropped_[static_cast<std::size_t>(*receipt.refused)];
    return receipt;
}

Receipt Node::receive(Instant now, InterfaceId interface, Bytes bytes, Actions& out) {
    if (interface >= interfaces_.size()) return {DropReason::bad_interface, {}};  // R1
    const auto packet = parse_ip_packet(bytes);
    if (!packet) return {packet.error(), {}};  // R2
    if (packet->destination.is_multicast()) {
        if (packet->destination != carp_multicast_group(packet->destination.family()))
            return {DropReason::bad_destination, {}};                          // R3
        if (packet->hop_limit != kHopLimit) return {DropReason::bad_ttl, {}};  // R4
    }
    if (is_beacon(packet->payload)) return hear_beacon(now, interface, *packet, out);
    const auto advertisement = decode_advertisement(packet->payload);
    if (!advertisement) {  // R5, R6
        // A VRRP router with our id has our virtual MAC: that belongs to the group, which suffers from it.
        const bool vrrp =
            advertisement.error() == DropReason::vrrp2 || advertisement.error() == DropReason::vrrp3;
        const auto collides = vrrp ? group_of(interface, packet->payload[1]) : std::nullopt;
        if (collides) groups_[*collides]->count_drop(now, packet->source, advertisement.error());
        return {advertisement.error(), collides};
    }
    const auto id = group_of(interface, advertisement->vhid);
    if (!id) {  // R7
        hear_stray(now, interface, *packet, *advertisement, out);
        return {DropReason::bad_vhid, {}};
    }
    if (pool_of_[*id] && pool_of_[*id]->has_address(packet->destination))
        return {hear_flood_probe(now, *id, *packet, *advertisement, out), id};
    const auto refused = groups_[*id]->on_advertisement(now, *packet, *advertisement, out);
    const auto is_for_pool = [&] {  // of a host that a check withdrew others must still be known
        return !refused ||
               (refused == DropReason::not_running && groups_[*id]->is_authentic(*packet, *advertisement));
    };
    if (pool_of_[*id] && is_for_pool()) hear_in_pool(now, *id, *packet, *advertisement, out);
    if (!refused && peers_[*id])
        peers_[*id]->hear_advertisement(now, packet->source, Standing::of(*advertisement));
    if (!refused) finish(now, *id, out);
    return {refused, id};
}

void Node::handle_link(Instant now, InterfaceId interface, const LinkStatus& link, Actions& out) {
    CARPD_ASSERT(interface < interfaces_.size());
    interfaces_[interface].link = link;
    for (GroupId id : interfaces_[interface].by_vhid) {
        if (id == kNoGroup) continue;
        groups_[id]->on_link(now, interfaces_[interface].link, out);
        follow(now, id, out);
    }
    for (GroupId id : interfaces_[interface].by_vhid)
        if (id != kNoGroup) finish(now, id, out);
}

void Node::note_lateness(Instant now) {
    const Instant due = deadlines_.earliest().second;
    if (due > now || now - due <= Lateness::kCounted) return;
    ++lateness_.count;
    lateness_.last = {now - due, now};
    if (lateness_.last.late > lateness_.worst.late) lateness_.worst = lateness_.last;
}

void Node::handle_timer(Instant now, Actions& out) {
    note_lateness(now);
    if (next_ending_ <= now) end_demotions(now, out);
    for (int served = 0; served < kMaxTimers; ++served) {
        const auto [place, at] = deadlines_.earliest();
        if (at > now) return;
        const auto id = static_cast<GroupId>(place);
        tally_->timer_lateness.count(now - at);
        groups_[id]->on_timer(now, out);
        if (peers_[id] && peers_[id]->next_deadline() <= now) send_beacon(now, id, false, out);
        finish(now, id, out);
    }
}

void Node::handle_send_result(Instant now, GroupId id, bool sent, Actions& out) {
    if (!group(id)) return;  // the last words of a group that was removed
    groups_[id]->on_send_result(now, sent, commit_wait_, out);
    finish(now, id, out, false);  // see VirtualHost::on_demotion
}

void Node::handle_install_result(Instant now, GroupId id, bool installed, Actions& out) {
    if (!group(id)) return;
    groups_[id]->on_install_result(now, installed, out);
    finish(now, id, out);
}

void Node::set_commit_wait(Instant now, Duration wait, Actions& out) {
    commit_wait_ = wait;
    for (GroupId id = 0; id < groups_.size(); ++id)
        if (wait == Duration(0)) handle_committed(now, id, out);
}

void Node::handle_committed(Instant now, GroupId id, Actions& out) {
    if (!group(id)) return;
    groups_[id]->on_committed(now, out);
    finish(now, id, out);
}

void Node::demote_for_sync(Instant now, int amount, Actions& out) {
    sync_demotion_ = amount;
    for (auto& group : groups_)
        if (group) group->on_demotion(now, kSyncDemotion, amount, out);
    for (auto& group : groups_)
        if (group) finish(now, group->id(), out);
}

void Node::handle_demotion(Instant now, GroupId id, std::string_view name, int amount, Actions& out) {
    CARPD_ASSERT(group(id) != nullptr);
    groups_[id]->on_demotion(now, name, amount, out);
    finish(now, id, out);
}

bool Node::demote_group(Instant now, GroupId id, std::string_view name, int amount, Instant ends,
                        Actions& out) {
    CARPD_ASSERT(group(id) != nullptr);
    const DemotionCounter& present = groups_[id]->demotion();
    const auto others =
        std::count_if(present.contributions().begin(), present.contributions().end(),
                      [&](const auto& c) { return c.name != name && c.name.find(':') == std::string::npos; });
    if (amount != 0 && static_cast<std::size_t>(others) >= kMaxOperatorNames) return false;
    set_ending({id, "", std::string(name), amount != 0 ? ends : kNever});
    handle_demotion(now, id, name, amount, out);
    return true;
}

bool Node::demote_interface_group(Instant now, std::string_view interface_group, std::string_view name,
                                  int amount, Instant ends, Actions& out) {
    DemotionCounter& counter =
        interface_group_demotions_.try_emplace(std::string(interface_group)).first->second;
    const bool is_new = counter.amount(name) == 0 && amount != 0;
    if (is_new && counter.contributions().size() >= kMaxOperatorNames) return false;
    counter.set(name, amount);
    set_ending({kNoGroup, std::string(interface_group), std::string(name), amount != 0 ? ends : kNever});
    const std::string full_name = std::string(interface_group) + ':' + std::string(name);
    for (auto& group : groups_)
        if (group && group->config().is_in(interface_group)) group->on_demotion(now, full_name, amount, out);
    for (auto& group : groups_)
        if (group && group->config().is_in(interface_group)) finish(now, group->id(), out);
    return true;
}

void Node::erase_endings(auto which) {
    std::erase_if(endings_, which);
    next_ending_ = kNever;
    for (const Ending& ending : endings_) next_ending_ = std::min(next_ending_, ending.at);
}

// What was said last of a name counts.
void Node::set_ending(const Ending& ending) {
    erase_endings([&](const Ending& e) {
        return e.group == ending.group && e.interface_group == ending.interface_group &&
               e.name == ending.name;
    });
    if (ending.at == kNever) return;
    endings_.push_back(ending);
    next_ending_ = std::min(next_ending_, ending.at);
}

void Node::end_demotions(Instant now, Actions& out) {
    while (next_ending_ <= now) {
        const auto due = std::find_if(endings_.begin(), endings_.end(),
                                      [this](const Ending& ending) { return ending.at == next_ending_; });
        const Ending ended = *due;
        if (ended.group != kNoGroup)
            demote_group(now, ended.group, ended.name, 0, kNever, out);
        else
            demote_interface_group(now, ended.interface_group, ended.name, 0, kNever, out);
    }
}

Instant Node::demotion_ends(GroupId id, std::string_view contribution) const {
    for (const Ending& ending : endings_)
        if (ending.group == id
                ? ending.name == contribution
                : ending.group == kNoGroup && contribution == ending.interface_group + ':' + ending.name)
            return ending.at;
    return kNever;
}

// Takes the demotions of the interface groups that it is in now, and gives up those of others.
void Node::follow_interface_groups(Instant now, GroupId id, Actions& out) {
    for (const auto& [interface_group, counter] : interface_group_demotions_) {
        const bool is_member = groups_[id]->config().is_in(interface_group);
        for (const auto& contribution : counter.contributions())
            groups_[id]->on_demotion(now, interface_group + ':' + contribution.name,
                                     is_member ? contribution.amount : 0, out);
    }
}

void Node::handle_failing_tracks(Instant now, std::vector<FailingTrack> failing, Actions& out) {
    failing_ = std::move(failing);
    for (GroupId id = 0; id < groups_.size(); ++id) {
        if (!groups_[id]) continue;
        groups_[id]->on_failing_tracks(now, failing_, out);
        finish(now, id, out);
    }
}

bool Node::handle_request(Instant now, GroupId id, State state, Actions& out) {
    CARPD_ASSERT(group(id) != nullptr);
    VirtualHost& first = *groups_[id];
    const bool done = first.on_request(now, state, out);
    if (done && first.set())
        for (VirtualHost* member : first.set()->members())
            if (member != &first) member->on_request(now, state, out, first.config().name);
    finish(now, id, out);
    return done;
}

// ---- views

void Node::finish(Instant now, GroupId id, Actions& out, bool at_once) {
    const auto set = groups_[id]->set();
    if (set && set->settle(now, *groups_[id], at_once, out))
        for (const VirtualHost* member : set->members())
            if (member->id() != id) follow(now, member->id(), out);
    follow(now, id, out);
}

// What becomes of the host by what may have become of the group.
void Node::follow(Instant now, GroupId id, Actions& out) {
    const VirtualHost& group = *groups_[id];
    count_master(id, group.state() == State::master);
    if (peers_[id]) peers_[id]->follow(now, group);
    set_deadline(id);
    if (pool_of_[id]) follow_pool(now, id, out);
}

// The leader of a pool keeps its time.
void Node::set_deadline(GroupId id) {
    Instant next = groups_[id]->next_deadline();
    if (peers_[id]) next = std::min(next, peers_[id]->next_deadline());
    if (pool_of_[id] && pool_of_[id]->leader() == id) next = std::min(next, pool_of_[id]->next_deadline());
    deadlines_.set(id, next);
}

void Node::count_master(GroupId id, bool is_master) {
    masters_ += is_master;
    masters_ -= is_master_[id];
    is_master_[id] = is_master;
}

const VirtualHost* Node::group(GroupId id) const {
    return id < groups_.size() ? groups_[id].get() : nullptr;
}

std::optional<GroupId> Node::find_group(std::string_view name) const {
    for (GroupId id = 0; id < groups_.size(); ++id)
        if (groups_[id] && groups_[id]->config().name == name) return id;
    return std::nullopt;
}

std::optional<GroupId> Node::group_of(InterfaceId interface, std::uint8_t vhid) const {
    const GroupId id = interfaces_[interface].by_vhid[vhid];
    return id == kNoGroup ? std::nullopt : std::optional(id);
}

}  // namespace carpd
