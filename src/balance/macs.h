// The Ethernet addresses of a pool (docs/protocol/balance.md §1).
#pragma once

#include "balance/types.h"
#include "base/addresses.h"

namespace carpd {

// To which clients send what is for the pool, and which is answered to ARP and neighbour discovery, in IP
// balancing.
inline MacAddress pool_mac(const BalanceConfig& pool) {
    const bool is_multicast = pool.mode == Balancing::ip;
    return {{static_cast<std::uint8_t>(is_multicast), 0x00, 0x5e, 0x00, 0x01, pool.leader()}};
}

// Whether all that hosts send has the interface's own MAC as source, so that no switch learns where the
// pool's is.
constexpr bool hides_mac(Balancing mode) {
    return mode == Balancing::ip || mode == Balancing::ip_stealth;
}

}  // namespace carpd
