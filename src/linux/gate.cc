#include "linux/gate.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "balance/macs.h"
#include "linux/arp_settings.h"
#include "linux/log.h"

namespace carpd {

namespace {

constexpr Direction kDirections[] = {Direction::ingress, Direction::egress};

// How our filters are known among others: CARP's protocol number, and a name that begins so.
constexpr std::uint16_t kPriority = 112;
constexpr std::uint32_t kHandle = 112;
constexpr std::string_view kNamePrefix = "carpd:";

Filter filter_of(int ifindex, Direction direction, std::string name = {}) {
    return {ifindex, direction, kPriority, kHandle, std::move(name)};
}

bool is_ours(const Filter& filter) {
    return filter.priority == kPriority && filter.handle == kHandle && filter.name.starts_with(kNamePrefix);
}

// Takes our filters away, and the qdisc if it was ours and nobody else uses it.
void remove_filters(Netlink& netlink, int ifindex, bool made_clsact) {
    NetlinkBatch batch;
    for (const Direction direction : kDirections) batch.delete_filter(filter_of(ifindex, direction));
    netlink.run(batch);
    const auto others = netlink.filters(ifindex);
    if (!made_clsact || !others || !others->empty()) return;
    NetlinkBatch qdisc;
    qdisc.delete_clsact(ifindex);
    netlink.run(qdisc);
}

// By its leader; nothing if the group is in none.
std::optional<std::uint8_t> pool_of(const Gate::Guarded& group) {
    if (!group.place) return std::nullopt;
    return group.place->pool->leader();
}

bool contains(const Few<IpAddress>& addresses, const IpAddress& address) {
    return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
}

}  // namespace

Expected<std::unique_ptr<Gate>, SysError> Gate::open(Netlink& netlink) {
    auto program = GateProgram::load();
    if (!program) return Unexpected{program.error()};
    auto card = CardFilter::open();
    if (!card) return Unexpected{card.error()};
    std::unique_ptr<Gate> gate(new Gate(netlink, std::move(*program), std::move(*card)));
    // Knowing no groups it lets everything pass.
    auto error = gate->attach(kLoopback, "");
    if (error) return Unexpected{std::move(*error)};
    gate->detach(kLoopback);
    return gate;
}

std::optional<SysError> Gate::guard(GroupId group, const Guarded& wanted, const std::string& note) {
    if (!GateProgram::has_room_for(group))
        return SysError{"guard more than 16384 groups by the BPF gate", "", 0};
    if (group >= groups_.size()) groups_.resize(group + 1);
    Known& known = groups_[group];
    if (known.ifindex == 0) {
        program_.set_lease(group, Instant{});
        if (auto error = attach(wanted.ifindex, note)) return error;
        known.ifindex = wanted.ifindex;
    }
    if (known == wanted) return std::nullopt;
    auto error = follow(group, known, wanted);
    if (error) release(group);
    return error;
}

// `known` always says what is in the maps.
std::optional<SysError> Gate::follow(GroupId group, Known& known, const Guarded& wanted) {
    const bool speaks_virtually = wanted.heard_at && !(wanted.place && hides_mac(wanted.place->pool->mode));
    program_.set_identity(group, wanted.mac, speaks_virtually, wanted.router);
    known.mac = wanted.mac;
    known.router = wanted.router;
    if (known.heard_at != wanted.heard_at || pool_of(known) != pool_of(wanted)) forget(group, known);
    if (auto error = own(group, known, wanted)) return error;
    for (const IpAddress& address : wanted.addresses) {
        if (contains(known.addresses, address)) continue;
        if (auto error = program_.put_address(wanted.ifindex, address, known.owner)) return error;
        if (address.family() == Family::ipv6) card_.join(wanted.ifindex, address);
        known.addresses.push_back(address);
    }
    erase_if(known.addresses, [&](const IpAddress& address) {
        if (contains(wanted.addresses, address)) return false;
        forget_address(group, known, address);
        return true;
    });
    known.addresses = wanted.addresses;  // in the same order
    return std::nullopt;
}

// Its place in a pool, and its MAC.
std::optional<SysError> Gate::own(GroupId group, Known& known, const Guarded& wanted) {
    GateOwner at_mac = group;
    if (!wanted.place) known.owner = group;
    if (wanted.place && !(known.place == wanted.place)) {
        const auto pool = pools_.join(known.ifindex, *wanted.place, group);
        if (!pool) return pool.error();
        known.owner = *pool;
        known.place = wanted.place;
    }
    if (wanted.place)
        at_mac = wanted.place->pool->by_ip() ? known.owner : pools_.carpnode(known.owner, wanted.place->vhid);
    if (!wanted.heard_at || (known.heard_at && known.at_mac == at_mac)) return std::nullopt;
    if (auto error = program_.put_mac(wanted.ifindex, *wanted.heard_at, at_mac)) return error;
    if (!known.heard_at) card_.take_in(wanted.ifindex, *wanted.heard_at);
    known.heard_at = wanted.heard_at;
    known.at_mac = at_mac;
    return std::nullopt;
}

// Whether others of the group's pool have this, too.
bool Gate::is_shared(GroupId group, const Known& known, auto has) const {
    if (!known.place) return false;
    const auto& members = pools_.members(known.owner);
    return std::any_of(members.begin(), members.end(), [&](const auto& member) {
        return member.second != group && has(groups_[member.second]);
    });
}

void Gate::forget_address(GroupId group, const Known& known, const IpAddress& address) {
    if (!is_shared(group, known, [&](const Known& other) { return contains(other.addresses, address); }))
        program_.remove_address(known.ifindex, address, known.owner);
    if (address.family() == Family::ipv6) card_.leave(known.ifindex, address);
}

// All but its interface.
void Gate::forget(GroupId group, Known& known) {
    for (const IpAddress& address : known.addresses) forget_address(group, known, address);
    known.addresses.clear();
    if (known.heard_at) {
        if (!is_shared(group, known, [&](const Known& other) { return other.heard_at == known.heard_at; }))
            program_.remove_mac(known.ifindex, *known.heard_at, known.at_mac);
        card_.leave_out(known.ifindex, *known.heard_at);
        known.heard_at.reset();
    }
    if (known.place) pools_.leave(known.owner, group);
    known.place = {};
}

void Gate::release(GroupId group) {
    if (group >= groups_.size() || groups_[group].ifindex == 0) return;
    close(group);
    forget(group, groups_[group]);
    detach(std::exchange(groups_[group], {}).ifindex);
}

void Gate::set_pool(GroupId leader, CarpnodeSet at_home, Instant settling_until, Instant hand_over_until) {
    const auto error = pools_.set(leader, at_home, settling_until, hand_over_until);
    if (error) log(LogLevel::error, error->to_string());
}

std::optional<PoolTraffic> Gate::traffic_of(GroupId carpnode) const {
    if (carpnode >= groups_.size() || !groups_[carpnode].place) return std::nullopt;
    return program_.traffic_of(groups_[carpnode].owner);
}

std::optional<SysError> Gate::attach(int ifindex, const std::string& note) {
    Hook& hook = hooks_[ifindex];
    ++hook.users;
    if (hook.users > 1 && hook.note == note) return std::nullopt;
    hook.note = note;
    auto error = put_filters(ifindex, hook);
    if (error) detach(ifindex);
    return error;
}

std::optional<SysError> Gate::put_filters(int ifindex, Hook& hook) {
    NetlinkBatch qdisc;
    qdisc.add_clsact(ifindex);
    const auto made = netlink_->run(qdisc);
    if (made.error()) return made.error();
    if (!netlink_->has_clsact(ifindex))
        return SysError{"add the qdisc clsact, because there is the qdisc ingress; remove it from",
                        link_object(ifindex), 0};
    hook.made_clsact |= made.changed != 0;
    NetlinkBatch batch;
    const std::string name = std::string(kNamePrefix) + (hook.made_clsact ? " clsact=1" : "") + hook.note;
    for (const Direction direction : kDirections)
        batch.put_program(filter_of(ifindex, direction, name), program_.descriptor(direction));
    return netlink_->run(batch).error();
}

void Gate::detach(int ifindex) {
    Hook& hook = hooks_[ifindex];
    if (--hook.users > 0) return;
    remove_filters(*netlink_, ifindex, hook.made_clsact);
    hooks_.erase(ifindex);
}

bool Gate::renew(int ifindex) {
    const auto place = hooks_.find(ifindex);
    const auto filters = netlink_->filters(ifindex);
    if (place == hooks_.end() || !filters || std::count_if(filters->begin(), filters->end(), is_ours) == 2)
        return false;
    const auto error = put_filters(ifindex, place->second);
    if (error && error->error != ENODEV) log(LogLevel::error, error->to_string());
    return !error;
}

bool Gate::remove_leftovers(Netlink& netlink, const Link& link) {
    const auto filters = netlink.filters(link.ifindex);
    if (!filters) return false;
    const auto ours = std::find_if(filters->begin(), filters->end(), is_ours);
    if (ours == filters->end()) return false;
    remove_filters(netlink, link.ifindex, read_note(ours->name, "clsact").has_value());
    restore_arp(ours->name, link.name);
    return true;
}

}  // namespace carpd
