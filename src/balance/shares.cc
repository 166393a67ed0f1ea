#include "balance/shares.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/assert.h"

namespace carpd {

namespace {

// Differ between uses of one hash, so that one use says nothing of another.
constexpr std::uint32_t kPlaces = 0x9e3779b9, kRanks = 0x7f4a7c15;

// -log2(u / 2^32) in 1/65536, for u > 0: digit by digit, by squaring.
std::uint32_t minus_log2(std::uint32_t u) {
    int zeros = 0;
    for (; !(u & 0x80000000u); u <<= 1) ++zeros;
    std::uint32_t log = 0;  // of u / 2^31, which is in [1, 2)
    std::uint64_t value = u;
    for (int digit = 15; digit >= 0; --digit) {
        value = value * value >> 31;
        if (value >> 32) {
            log |= 1u << digit;
            value >>= 1;
        }
    }
    return (static_cast<std::uint32_t>(zeros + 1) << 16) - log;
}

// How much a carpnode wants a slot, the less the more: weighted rendezvous hashing. Which of the others gets
// a slot depends on no other carpnode, so no slot moves but a lost one's.
std::uint64_t rank(std::size_t slot, const Carpnode& carpnode) {
    const std::uint32_t u = mix(mix(static_cast<std::uint32_t>(slot) ^ kRanks) + carpnode.vhid);
    return (std::uint64_t{minus_log2(u | 1)} << 16) / carpnode.weight;
}

// How many slots each gets: its part by weight, and what is left by rounding to the largest remainders.
std::vector<std::size_t> quotas_of(const std::vector<Carpnode>& carpnodes) {
    std::size_t sum = 0, given = 0;
    for (const Carpnode& each : carpnodes) sum += each.weight;
    std::vector<std::size_t> quotas, by_remainder(carpnodes.size());
    for (const Carpnode& each : carpnodes) given += quotas.emplace_back(kSlots * each.weight / sum);
    std::iota(by_remainder.begin(), by_remainder.end(), std::size_t{0});
    std::sort(by_remainder.begin(), by_remainder.end(), [&](std::size_t a, std::size_t b) {
        return std::pair(kSlots * carpnodes[b].weight % sum, a) <
               std::pair(kSlots * carpnodes[a].weight % sum, b);
    });
    for (std::size_t i = 0; given < kSlots; ++i, ++given) ++quotas[by_remainder[i]];
    return quotas;
}

// The slots in an order that says nothing of addresses.
std::vector<std::size_t> shuffled_slots() {
    std::vector<std::size_t> slots(kSlots);
    std::iota(slots.begin(), slots.end(), std::size_t{0});
    std::sort(slots.begin(), slots.end(), [](std::size_t a, std::size_t b) {
        return mix(static_cast<std::uint32_t>(a) ^ kPlaces) < mix(static_cast<std::uint32_t>(b) ^ kPlaces);
    });
    return slots;
}

std::vector<CarpnodeIndex> order_of(const std::vector<Carpnode>& carpnodes) {
    const std::size_t count = carpnodes.size();
    std::vector<CarpnodeIndex> order(kSlots * count);
    const std::vector<std::size_t> quotas = quotas_of(carpnodes), slots = shuffled_slots();
    std::vector<std::uint64_t> ranks(count);
    std::size_t place = 0;
    for (std::size_t owner = 0; owner < count; ++owner) {
        for (std::size_t i = 0; i < quotas[owner]; ++i, ++place) {
            const std::size_t slot = slots[place];
            for (std::size_t each = 0; each < count; ++each) ranks[each] = rank(slot, carpnodes[each]) + 1;
            ranks[owner] = 0;
            const auto begin = order.begin() + static_cast<std::ptrdiff_t>(slot * count);
            const auto end = begin + static_cast<std::ptrdiff_t>(count);
            std::iota(begin, end, CarpnodeIndex{0});
            std::sort(begin, end,
                      [&](auto a, auto b) { return std::pair(ranks[a], a) < std::pair(ranks[b], b); });
        }
    }
    return order;
}

}  // namespace

Shares::Shares(const BalanceConfig& config, const std::array<std::uint8_t, 20>& key)
    : count_(static_cast<std::uint8_t>(config.carpnodes.size())),
      is_weighted_(config.hash == BalanceHash::weighted),
      at_home_(all_carpnodes(count_)),
      arp_hash_(key) {
    CARPD_ASSERT(count_ > 0 && count_ <= kMostCarpnodes);
    if (!is_weighted_) return;
    order_ = order_of(config.carpnodes);
    slots_of_.resize(count_);
    for (std::size_t slot = 0; slot < kSlots; ++slot)
        slots_of_[own_carpnode_of(slot)].push_back(static_cast<std::uint16_t>(slot));
    slots_ = std::make_unique<std::array<CarpnodeIndex, kSlots>>();
    set_at_home(std::exchange(at_home_, CarpnodeSet{0}));
}

void Shares::set_at_home(CarpnodeSet carpnodes) {
    if (!is_weighted_) return;
    const CarpnodeSet all = all_carpnodes(count_), wanted = carpnodes & all ? carpnodes & all : all;
    // Who is at home as before has its own slots as before.
    const CarpnodeSet stay = std::exchange(at_home_, wanted) & wanted;
    for (std::size_t carpnode = 0; carpnode < count_; ++carpnode) {
        if (stay >> carpnode & 1) continue;
        for (const std::size_t slot : slots_of_[carpnode]) {
            const CarpnodeIndex* candidate = &order_[slot * count_];
            while (!(wanted >> *candidate & 1)) ++candidate;
            (*slots_)[slot] = *candidate;
        }
    }
}

CarpnodeIndex Shares::pick(std::uint32_t bsd_hash, std::uint32_t weighted_hash) const {
    return is_weighted_ ? (*slots_)[mix(weighted_hash) % kSlots]
                        : static_cast<CarpnodeIndex>(bsd_hash % count_);
}

CarpnodeIndex Shares::carpnode_of(const IpAddress& source, const IpAddress& destination) const {
    const std::uint32_t h = hash_of(source, destination);
    return pick(h, h);
}

CarpnodeIndex Shares::carpnode_of(const MacAddress& asker) const {
    return pick(arp_hash_.of(asker), weighted_hash_of(asker));
}

std::uint32_t Shares::parts_of(CarpnodeIndex carpnode) const {
    if (is_weighted_) return static_cast<std::uint32_t>(std::count(slots_->begin(), slots_->end(), carpnode));
    return static_cast<std::uint32_t>(kSlots / count_ + (carpnode < kSlots % count_));
}

std::uint16_t fingerprint_of(const BalanceConfig& config) {
    std::uint32_t h =
        mix(static_cast<std::uint32_t>(config.mode) << 8 | static_cast<std::uint32_t>(config.hash));
    for (const Carpnode& each : config.carpnodes)
        h = mix(h ^
                (std::uint32_t{each.vhid} << 8 | (config.hash == BalanceHash::weighted ? each.weight : 0u)));
    const auto fingerprint = static_cast<std::uint16_t>(h ^ h >> 16);
    return fingerprint != 0 ? fingerprint : 1;
}

}  // namespace carpd
