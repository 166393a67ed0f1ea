// What node_fuzz.cc makes of the fuzzer's bytes: groups, pools, failing checks.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "carp/types.h"

namespace carpd {

inline constexpr InterfaceId kInterfaces = 2;
inline constexpr std::size_t kGroups = 4;  // that may be configured, two on each interface
inline const std::string kInterfaceNames[] = {"eth0", "eth1"};

// Draws from the fuzzer's bytes; zeros when they are used up.
class Draw {
 public:
    explicit Draw(Bytes bytes) : bytes_(bytes) {}
    bool empty() const { return bytes_.empty(); }
    std::uint8_t byte() {
        if (bytes_.empty()) return 0;
        const std::uint8_t value = bytes_[0];
        bytes_ = bytes_.subspan(1);
        return value;
    }
    std::size_t below(std::size_t limit) { return byte() % limit; }
    template <class T, std::size_t N>
    const T& of(const T (&choices)[N]) {
        return choices[below(N)];
    }

 private:
    Bytes bytes_;
};

inline IpAddress ip(const char* text) {
    return IpAddress::parse(text).value();
}

// Ourselves, a lower and a higher neighbour, a peer, an address that the groups share, and nobody.
inline const IpAddress kSources4[] = {ip("192.0.2.5"),    ip("192.0.2.1"),   ip("192.0.2.9"),
                                      ip("198.51.100.7"), ip("192.0.2.100"), ip("0.0.0.0")};
inline const IpAddress kSources6[] = {ip("fe80::5"),     ip("fe80::1"),       ip("fe80::9"),
                                      ip("2001:db8::7"), ip("2001:db8::100"), ip("::")};
inline const IpAddress kDestinations4[] = {ip("224.0.0.18"), ip("192.0.2.5"), ip("224.0.0.1"),
                                           ip("192.0.2.100")};
inline const IpAddress kDestinations6[] = {ip("ff02::12"), ip("2001:db8::5"), ip("ff02::1"),
                                           ip("2001:db8::100")};

inline std::string group_name(std::size_t index) {
    return "group" + std::to_string(index);
}

// The group with number `index`; the bytes say all that may change while it is configured.
inline GroupConfig draw_group(std::size_t index, Draw& draw) {
    GroupConfig group;
    group.name = group_name(index);
    group.interface = kInterfaceNames[index % kInterfaces];
    group.vhid = Vhid{static_cast<std::uint8_t>(1 + index / kInterfaces)};
    group.advbase = AdvBase{static_cast<std::uint8_t>(draw.below(4))};
    group.advskew = AdvSkew{static_cast<std::uint8_t>(draw.below(255))};
    const std::uint8_t options = draw.byte();
    group.preempt = options & 1;
    group.mac = options & 2 ? MacMode::interface_mac : MacMode::virtual_mac;
    group.key[0] = options & 4;
    const bool ipv4 = !(options & 8), ipv6 = (options & 16) || !ipv4;
    const bool unicast = options & 32;
    if (ipv4) group.addresses.push_back({ip("192.0.2.100"), 24});
    if (ipv6) group.addresses.push_back({ip("2001:db8::100"), 64});
    if (ipv6 && options & 128) group.addresses.push_back({ip("fe80::100"), 64});
    if (unicast && ipv4) group.peers = {kSources4[3], kSources4[1]};
    if (unicast && ipv6) group.peers.push_back(kSources6[3]);
    group.peer_routed = unicast && options & 64;
    return group;
}

// Besides: its set, what it accepts from peers that change theirs, and whether it has beacons.
inline void draw_more(GroupConfig& group, Draw& draw) {
    const std::uint8_t more = draw.byte();
    group.together = draw.of({"", "set", "set", "other set"});
    if (more & 1) group.accept_key = Key{static_cast<std::uint8_t>(more & 2)};
    if (more & 4)
        group.accept_addresses.push_back({ip(group.has(Family::ipv4) ? "192.0.2.101" : "2001:db8::101"), 24});
    group.beacons = more & 2;
    if (more & 8) group.preempt_delay = std::chrono::seconds(more >> 4);
}

// The first interface's two groups are carpnodes of a pool: the second takes what they have in common from
// the first.
inline void make_pool(std::vector<GroupConfig>& groups, Draw& draw) {
    const auto of = [&](std::size_t index) {
        return std::find_if(groups.begin(), groups.end(),
                            [&](const GroupConfig& g) { return g.name == group_name(index); });
    };
    const auto first = of(0), second = of(kInterfaces);
    if (first == groups.end() || second == groups.end()) return;
    const std::uint8_t drawn = draw.byte();
    BalanceConfig pool;
    pool.mode = static_cast<Balancing>(drawn & 3);
    pool.hash = drawn & 4 ? BalanceHash::bsd : BalanceHash::weighted;
    for (const auto& group : {first, second})
        pool.carpnodes.push_back({group->vhid.value, 0, static_cast<std::uint8_t>(1 + (drawn >> 4))});
    first->balance = second->balance = SharedValue<BalanceConfig>(pool);
    first->mac = second->mac = MacMode::virtual_mac;
    second->addresses = first->addresses;
    second->peers = first->peers;
    second->key = first->key;
    second->accept_key = first->accept_key;
    second->accept_addresses = first->accept_addresses;
}

// Up to three checks that fail, each for one group or for all.
inline std::vector<FailingTrack> draw_failing_tracks(Draw& draw) {
    std::vector<FailingTrack> failing;
    const std::uint8_t drawn = draw.byte();
    for (const auto& [name, bit] : {std::pair("gateway", 1), std::pair("disk", 2), std::pair("web", 4)}) {
        if (!(drawn & bit)) continue;
        FailingTrack& track = failing.emplace_back();
        track.name = name;
        track.withdraw = drawn & bit << 3;
        if (!track.withdraw) track.demote = 1 + draw.byte() % 240;
        const std::size_t group = draw.below(2 * kGroups);
        if (group < kGroups) track.groups = {group_name(group)};
    }
    return failing;
}

}  // namespace carpd
