#include "linux/gate.h"

#include <algorithm>
#include <utility>

#include "balance/macs.h"
#include "linux/arp_settings.h"
#include "linux/log.h"

namespace carpd {

namespace {

// By its leader; nothing if the group is in none.
std::optional<std::uint8_t> pool_of(const Gate::Guarded& group) {
    if (!group.place) return std::nullopt;
    return group.place->pool->leader();
}

bool contains(const Few<IpAddress>& addresses, const IpAddress& address) {
    return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
}

}  // namespace

Expected<std::unique_ptr<Gate>, SysError> Gate::open(Netlink& netlink, GateHooks::Way best) {
    auto program = GateProgram::load();
    if (!program) return Unexpected{program.error()};
    auto card = CardFilter::open();
    if (!card) return Unexpected{card.error()};
    std::unique_ptr<Gate> gate(new Gate(netlink, std::move(*program), std::move(*card)));
    // Knowing no groups it lets everything pass.
    auto error = gate->hooks_.open(gate->program_, best);
    if (error) return Unexpected{std::move(*error)};
    return gate;
}

std::optional<SysError> Gate::guard(GroupId group, const Guarded& wanted, const std::string& note) {
    if (!GateProgram::has_room_for(group))
        return SysError{"guard more than 16384 groups by the BPF gate", "", 0};
    if (group >= groups_.size()) groups_.resize(group + 1);
    Known& known = groups_[group];
    if (known.ifindex == 0) {
        program_.set_lease(group, Instant{});
        if (auto error = hooks_.attach(program_, wanted.ifindex, note)) return error;
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
    hooks_.detach(std::exchange(groups_[group], {}).ifindex);
}

void Gate::set_pool(GroupId leader, CarpnodeSet at_home, Instant settling_until, Instant hand_over_until) {
    const auto error = pools_.set(leader, at_home, settling_until, hand_over_until);
    if (error) log(LogLevel::error, error->to_string());
}

std::optional<PoolTraffic> Gate::traffic_of(GroupId carpnode) const {
    if (carpnode >= groups_.size() || !groups_[carpnode].place) return std::nullopt;
    return program_.traffic_of(groups_[carpnode].owner);
}

void Gate::set_traffic(GroupId carpnode, const PoolTraffic& traffic) {
    if (carpnode < groups_.size() && groups_[carpnode].place)
        program_.set_traffic(groups_[carpnode].owner, traffic);
}

bool Gate::remove_leftovers(Netlink& netlink, const Link& link) {
    const auto note = GateHooks::remove_leftovers(netlink, link.ifindex);
    if (note) restore_arp(*note, link.name);
    return note.has_value();
}

}  // namespace carpd
