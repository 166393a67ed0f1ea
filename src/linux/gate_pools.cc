#include "linux/gate_pools.h"

#include <algorithm>

#include "balance/macs.h"
#include "base/assert.h"
#include "linux/gate_maps.h"

namespace carpd {

static_assert(GATE_SLOTS == kSlots && GATE_CARPNODES == kMostCarpnodes);

namespace {

__u64 in_kernel(Instant time) {
    return static_cast<__u64>(std::max(time, Instant{}).time_since_epoch().count());
}

}  // namespace

std::size_t GatePools::number_of(GateOwner pool) {
    return GATE_POOL_NUMBER(pool);
}

Expected<std::size_t, SysError> GatePools::find_or_make(int ifindex, const PoolPlace& place) {
    for (std::size_t number = 0; number < pools_.size(); ++number) {
        const Pool* pool = pools_[number].get();
        if (pool != nullptr && pool->ifindex == ifindex && pool->leader().value == place.pool->leader())
            return number;
    }
    const auto free = std::find(pools_.begin(), pools_.end(), nullptr);
    const auto number = static_cast<std::size_t>(free - pools_.begin());
    if (number == GATE_MAX_POOLS)
        return Unexpected{
            SysError{"guard more than " + std::to_string(GATE_MAX_POOLS) + " pools by the BPF gate", "", 0}};
    if (free == pools_.end()) pools_.emplace_back();
    program_->set_traffic(GATE_POOL | static_cast<GateOwner>(number), {});
    pools_[number] =
        std::make_unique<Pool>(Pool{ifindex, place.pool, place.key, Shares(*place.pool, place.key), {}, {}});
    return number;
}

Expected<GateOwner, SysError> GatePools::join(int ifindex, const PoolPlace& place, GroupId group) {
    const auto number = find_or_make(ifindex, place);
    if (!number) return Unexpected{number.error()};
    Pool& pool = *pools_[*number];
    if (!(pool.config == place.pool) || pool.key != place.key) {
        pool.config = place.pool;
        pool.key = place.key;
        pool.shares = Shares(*pool.config, pool.key);
    }
    pool.members[place.vhid] = group;
    const GateOwner owner = GATE_POOL | static_cast<GateOwner>(*number);
    if (auto error = put(*number)) {
        leave(owner, group);
        return Unexpected{std::move(*error)};
    }
    return owner;
}

void GatePools::leave(GateOwner owner, GroupId group) {
    const std::size_t number = number_of(owner);
    auto& members = pools_[number]->members;
    std::erase_if(members, [group](const auto& member) { return member.second == group; });
    if (!members.empty()) {
        put(number);
        return;
    }
    program_->remove_pool(owner);
    pools_[number].reset();
}

GateOwner GatePools::carpnode(GateOwner owner, Vhid vhid) const {
    const auto& carpnodes = find(owner).config->carpnodes;
    const auto place = std::find_if(carpnodes.begin(), carpnodes.end(),
                                    [vhid](const Carpnode& each) { return each.vhid == vhid.value; });
    CARPD_ASSERT(place != carpnodes.end());
    return owner | GATE_CARPNODE(static_cast<GateOwner>(place - carpnodes.begin()));
}

std::optional<SysError> GatePools::set(GroupId leader, CarpnodeSet at_home, Instant settling_until,
                                       Instant hand_over_until) {
    states_[leader] = {at_home, settling_until, hand_over_until};
    for (std::size_t number = 0; number < pools_.size(); ++number) {
        if (pools_[number] == nullptr) continue;
        const auto member = pools_[number]->members.find(pools_[number]->leader());
        if (member != pools_[number]->members.end() && member->second == leader) return put(number);
    }
    return std::nullopt;
}

std::optional<SysError> GatePools::put(std::size_t number) {
    Pool& pool = *pools_[number];
    const BalanceConfig& config = *pool.config;
    gate_pool value{};
    std::fill(std::begin(value.groups), std::end(value.groups), GATE_NOBODY);
    for (std::size_t i = 0; i < config.carpnodes.size(); ++i) {
        const auto member = pool.members.find(Vhid{config.carpnodes[i].vhid});
        if (member != pool.members.end()) value.groups[i] = member->second;
    }
    value.count = static_cast<__u8>(config.carpnodes.size());
    value.arp_b = pool.shares.arp_hash().b();
    value.arp_c = pool.shares.arp_hash().c();
    if (!config.by_ip()) value.flags |= GATE_BY_ARP;
    if (hides_mac(config.mode)) value.flags |= GATE_HIDES_MAC;
    const MacAddress mac = config.by_ip() ? pool_mac(config) : MacAddress{};
    std::copy(mac.bytes.begin(), mac.bytes.end(), value.mac);
    const auto state = states_.find(value.groups[0]);
    if (state != states_.end()) {
        pool.shares.set_at_home(state->second.at_home);
        // By ARP frames come to one host only, which may as well refuse what it doesn't know.
        if (config.by_ip()) value.settling_until = in_kernel(state->second.settling_until);
        value.hand_over_until = in_kernel(state->second.hand_over_until);
    }
    const GateOwner owner = GATE_POOL | static_cast<GateOwner>(number);
    if (config.hash != BalanceHash::weighted) return program_->put_pool(owner, value, nullptr);
    value.flags |= GATE_WEIGHTED;
    if (!std::ranges::equal(pool.slots.places, pool.shares.slots())) {
        std::ranges::copy(pool.slots.places, pool.slots.places_before);
        std::ranges::copy(pool.shares.slots(), pool.slots.places);
    }
    return program_->put_pool(owner, value, &pool.slots);
}

}  // namespace carpd
