// What an administrator configures of a pool (docs/protocol/balance.md): hosts that serve the same addresses
// at the same time.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace carpd {

enum class Balancing : std::uint8_t { ip, ip_stealth, ip_unicast, arp };

constexpr std::string_view to_string(Balancing mode) {  // as in the configuration
    constexpr std::string_view kNames[] = {"ip", "ip-stealth", "ip-unicast", "arp"};
    return kNames[static_cast<std::size_t>(mode)];
}

enum class BalanceHash : std::uint8_t {
    bsd,       // as the BSDs have it: all carpnodes have the same share (rules N1, N2)
    weighted,  // by weights; a lost host's share goes to all others (rule N3)
};

constexpr std::string_view to_string(BalanceHash hash) {
    constexpr std::string_view kNames[] = {"bsd", "weighted"};
    return kNames[static_cast<std::size_t>(hash)];
}

inline constexpr std::size_t kMostCarpnodes = 32;

struct Carpnode {
    std::uint8_t vhid = 0;     // 1..255
    std::uint8_t advskew = 0;  // this host's, 0..254
    std::uint8_t weight = 1;   // 1..100
    bool operator==(const Carpnode&) const = default;
};

// Which carpnode of a pool, from 0 in ascending order of vhids.
using CarpnodeIndex = std::uint8_t;

// What came to a pool's addresses and MAC since its data plane stands, on this host.
struct PoolTraffic {
    std::uint64_t packets = 0, bytes = 0;  // of this host's share
    std::uint64_t of_others = 0;           // packets that others serve, dropped here
    bool operator==(const PoolTraffic&) const = default;
};

struct BalanceConfig {
    std::string pool;  // its name; that of a carpnode is POOL:VHID
    Balancing mode = Balancing::ip;
    BalanceHash hash = BalanceHash::bsd;
    std::vector<Carpnode> carpnodes;  // 2..32, in ascending order of vhids

    bool by_ip() const { return mode != Balancing::arp; }
    std::uint8_t leader() const { return carpnodes.front().vhid; }
    bool operator==(const BalanceConfig&) const = default;
};

}  // namespace carpd
