// Which carpnode serves which client: the decision that the gate takes for each packet, as it takes it
// (rules N1 to N4). Driver, simulator and `carpctl explain --client` ask here.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "balance/hash.h"
#include "balance/types.h"
#include "base/addresses.h"

namespace carpd {

inline constexpr std::size_t kSlots = 4096;
// One bit for each carpnode, the lowest for the first.
using CarpnodeSet = std::uint32_t;

constexpr CarpnodeSet all_carpnodes(std::size_t count) {
    return count >= 32 ? ~CarpnodeSet{0} : (CarpnodeSet{1} << count) - 1;
}

class Shares {
 public:
    Shares(const BalanceConfig& config, const std::array<std::uint8_t, 20>& key);

    // With weights: these carpnodes are at home, and the slots of the others are theirs (rule N3). Without,
    // nothing changes. None of them: as if all were. Takes at most 100 us, and no memory.
    void set_at_home(CarpnodeSet carpnodes);
    CarpnodeSet at_home() const { return at_home_; }

    // Whose a packet is (IP balancing), and who answers an asker (ARP balancing).
    CarpnodeIndex carpnode_of(const IpAddress& source, const IpAddress& destination) const;
    CarpnodeIndex carpnode_of(const MacAddress& asker) const;

    // By slot; only with weights.
    const std::array<CarpnodeIndex, kSlots>& slots() const { return *slots_; }
    // Whose the slot is where all carpnodes are at home; only with weights.
    CarpnodeIndex own_carpnode_of(std::size_t slot) const { return order_[slot * count_]; }
    // How many of 4096 parts of all clients are this carpnode's.
    std::uint32_t parts_of(CarpnodeIndex carpnode) const;
    const ArpHash& arp_hash() const { return arp_hash_; }

 private:
    CarpnodeIndex pick(std::uint32_t bsd_hash, std::uint32_t weighted_hash) const;

    std::uint8_t count_;
    bool is_weighted_;
    CarpnodeSet at_home_;
    ArpHash arp_hash_;
    // For each slot the carpnodes in the order in which they'd have it; the first is its own (count_ each).
    std::vector<CarpnodeIndex> order_;
    std::vector<std::vector<std::uint16_t>> slots_of_;  // each carpnode's own
    std::unique_ptr<std::array<CarpnodeIndex, kSlots>> slots_;
};

// Of mode, hash, vhids and weights; never 0 (rule N10).
std::uint16_t fingerprint_of(const BalanceConfig& config);

}  // namespace carpd
