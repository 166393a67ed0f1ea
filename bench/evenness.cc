#include "bench/evenness.h"

#include <algorithm>
#include <functional>

#include "balance/shares.h"

namespace carpd::bench {

namespace {

constexpr std::uint32_t kClients = 10'000;

struct Size {
    int carpnodes;
    double critical;  // of chi-square with one degree of freedom less, at 0.001
};
constexpr Size kSizes[] = {{2, 10.828}, {3, 13.816}, {5, 18.467}, {32, 61.098}};

// Numbers that look like chance, and are the same in each run.
std::uint32_t dice(std::uint32_t n) {
    return mix(mix(n) + 0x2545f491);
}

IpAddress ipv4(std::uint32_t number) {
    std::uint8_t bytes[4];
    ByteWriter(bytes).u32(number);
    return IpAddress::from_bytes(bytes);
}

IpAddress ipv6(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
    std::uint8_t bytes[16];
    ByteWriter writer(bytes);
    for (const std::uint32_t word : {a, b, c, d}) writer.u32(word);
    return IpAddress::from_bytes(bytes);
}

MacAddress mac(std::uint32_t high, std::uint32_t low) {
    MacAddress result;
    ByteWriter writer(result.bytes);
    writer.u16(static_cast<std::uint16_t>(high));
    writer.u32(low);
    return result;
}

struct Population {
    const char* name;
    std::function<CarpnodeIndex(const Shares&, std::uint32_t)> carpnode_of;
};

const Population kPopulations[] = {
    {"IPv4, one after the other",
     [](const Shares& s, std::uint32_t i) { return s.carpnode_of(ipv4(0x0a320001 + i), ipv4(0x0a010064)); }},
    {"IPv4, random",
     [](const Shares& s, std::uint32_t i) { return s.carpnode_of(ipv4(dice(i)), ipv4(0xc0000264)); }},
    {"IPv6, random",
     [](const Shares& s, std::uint32_t i) {
         return s.carpnode_of(ipv6(0x20010db8, dice(4 * i), dice(4 * i + 1), dice(4 * i + 2)),
                              ipv6(0x20010db8, 0, 0, 0x100));
     }},
    {"ARP, MACs of one vendor",
     [](const Shares& s, std::uint32_t i) {
         return s.carpnode_of(mac(0x0016, 0x3e000000 | (dice(i) & 0xffffff)));
     }},
    {"ARP, random MACs",
     [](const Shares& s, std::uint32_t i) {
         return s.carpnode_of(mac(dice(2 * i) & 0xfeff, dice(2 * i + 1)));
     }},
};

Evenness spread(BalanceHash hash, const Size& size, const Population& population) {
    BalanceConfig config;
    config.hash = hash;
    for (int vhid = 1; vhid <= size.carpnodes; ++vhid)
        config.carpnodes.push_back({.vhid = static_cast<std::uint8_t>(vhid)});
    const Shares shares(config, {'s', '3', 'c', 'r', '3', 't'});
    std::vector<int> counts(config.carpnodes.size());
    for (std::uint32_t i = 0; i < kClients; ++i) ++counts[population.carpnode_of(shares, i)];
    const double fair = static_cast<double>(kClients) / size.carpnodes;
    double chi_square = 0;
    for (const int count : counts) chi_square += (count - fair) * (count - fair) / fair;
    const auto [fewest, most] = std::minmax_element(counts.begin(), counts.end());
    return {to_string(hash).data(), population.name, size.carpnodes, *fewest / fair,
            *most / fair,           chi_square,      size.critical};
}

}  // namespace

std::vector<Evenness> measure_evenness() {
    std::vector<Evenness> all;
    for (const BalanceHash hash : {BalanceHash::bsd, BalanceHash::weighted})
        for (const Population& population : kPopulations)
            for (const Size& size : kSizes) all.push_back(spread(hash, size, population));
    return all;
}

}  // namespace carpd::bench
