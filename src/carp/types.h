// The protocol's vocabulary (carp(4)): vhid, advbase, advskew, states, and what an administrator configures
// for a group.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "balance/types.h"
#include "base/addresses.h"
#include "base/few.h"
#include "base/shared_value.h"
#include "base/time.h"

namespace carpd {

// Virtual host id, 1..255, unique on one interface.
struct Vhid {
    std::uint8_t value = 0;
    auto operator<=>(const Vhid&) const = default;
};

// Advertisement interval: whole seconds, 0..254; 255 only in a bow-out.
struct AdvBase {
    std::uint8_t seconds = 0;
    auto operator<=>(const AdvBase&) const = default;
};

// What is added to it, in 1/256 s, 0..254; 255 only in a bow-out. The lower, the better a master.
struct AdvSkew {
    std::uint8_t value = 0;
    auto operator<=>(const AdvSkew&) const = default;
    constexpr Duration duration() const { return Duration(std::chrono::seconds(value)) / 256; }
};

// advbase + advskew/256 s; 1/256 s if both are 0 (rule T1).
constexpr Duration advertisement_interval(AdvBase base, AdvSkew skew) {
    if (base.seconds == 0 && skew.value == 0) return AdvSkew{1}.duration();
    return std::chrono::seconds(base.seconds) + skew.duration();
}

// 3 advbase + advskew/256 s; three advertisement intervals if advbase is 0 (rule T2). Of the backup's own
// values, undemoted; with advbase 0 also three of the master's, if that is longer (rule T5).
constexpr Duration master_down_interval(AdvBase base, AdvSkew skew) {
    if (base.seconds == 0) return 3 * advertisement_interval(base, skew);
    return std::chrono::seconds(3 * base.seconds) + skew.duration();
}

// How long a MASTER may own its addresses after an advertisement of these values was really sent: shorter, by
// a sixteenth for clocks that run apart, than the master-down time of the fastest rightful backup (rule F2).
constexpr Duration lease_length(AdvBase base, AdvSkew skew) {
    const Duration fastest =
        base.seconds == 0 ? 3 * advertisement_interval(base, skew) : std::chrono::seconds(3 * base.seconds);
    return fastest - fastest / 16;
}

enum class State : std::uint8_t { init, backup, master };

constexpr std::string_view to_string(State state) {  // as in JSON
    constexpr std::string_view kNames[] = {"init", "backup", "master"};
    return kNames[static_cast<std::size_t>(state)];
}
constexpr std::string_view to_upper_string(State state) {  // as in the BSDs' logs
    constexpr std::string_view kNames[] = {"INIT", "BACKUP", "MASTER"};
    return kNames[static_cast<std::size_t>(state)];
}

// The shared secret: up to 20 bytes, zero filled (rule D1). All zero where no password is set.
using Key = std::array<std::uint8_t, 20>;

// Which Ethernet address the group's IP addresses are announced with.
enum class MacMode : std::uint8_t {
    virtual_mac,    // 00:00:5e:00:01:vhid
    interface_mac,  // the interface's own, for networks that filter foreign ones
};

// The group's virtual MAC, the same for IPv4 and IPv6 (rule W6).
constexpr MacAddress virtual_mac(Vhid vhid) {
    return {{0x00, 0x00, 0x5e, 0x00, 0x01, vhid.value}};
}

// The interface group that every group is in, as on OpenBSD.
inline constexpr std::string_view kAllGroups = "carp";

// One redundancy group: one vhid on one interface. `config/` checks every range; the core asserts them.
struct GroupConfig {
    std::string name;
    std::string interface;
    Few<InterfaceAddress> addresses;  // at least one, none twice, in the order of the configuration
    Duration preempt_delay{0};        // after coming from INIT, whole seconds (rule O3)
    Few<IpAddress> peers;             // empty: multicast
    // What it is demoted together with, besides kAllGroups (rule M5). At most 8, none twice.
    Few<std::string> interface_groups;
    Vhid vhid;
    AdvBase advbase{1};
    AdvSkew advskew{0};
    bool preempt = false;
    MacMode mac = MacMode::virtual_mac;
    bool beacons = false;      // tells other hosts that run carpd whom it hears (docs/protocol/beacon.md)
    bool peer_routed = false;  // peers sit behind a router: a TTL below 255 is accepted from them
    Key key{};
    // While it is being changed, also accepted from peers (rule D5): another key, another list of addresses,
    // or both. No value: the group's own.
    std::optional<Key> accept_key;
    Few<InterfaceAddress> accept_addresses;
    // The pool whose carpnode with this vhid it is (docs/protocol/balance.md); none: its addresses are its
    // own. The groups of a pool have the same interface, addresses and key, and mac is virtual_mac.
    SharedValue<BalanceConfig> balance;
    std::string together;  // the set that it is in (carp/together.h); empty: in none

    bool has(Family family) const {
        return std::any_of(addresses.begin(), addresses.end(),
                           [family](const InterfaceAddress& a) { return a.address.family() == family; });
    }
    bool accepts_another() const { return accept_key || !accept_addresses.empty(); }
    bool is_in(std::string_view interface_group) const {
        return interface_group == kAllGroups || std::find(interface_groups.begin(), interface_groups.end(),
                                                          interface_group) != interface_groups.end();
    }
    bool operator==(const GroupConfig&) const = default;
};

// All groups of a host, in the order of the configuration. Whoever needs one keeps a pointer into it: with
// thousands of groups copies would be most of the memory.
using GroupConfigs = std::shared_ptr<const std::vector<GroupConfig>>;

inline GroupConfigs share(std::vector<GroupConfig> groups) {
    return std::make_shared<const std::vector<GroupConfig>>(std::move(groups));
}

// A check of the host's health ([[track]]) that fails now, and what that does to groups (rules H1, H2).
struct FailingTrack {
    std::string name;
    int demote = 0;                   // added to their demotion, 1..240
    bool withdraw = false;            // instead: they stay in INIT
    std::vector<std::string> groups;  // their names; empty: all

    bool concerns(std::string_view group) const {
        return groups.empty() || std::find(groups.begin(), groups.end(), group) != groups.end();
    }
    bool operator==(const FailingTrack&) const = default;
};

// A group's place in its Node, stable while the group is configured; interfaces likewise.
using GroupId = std::uint32_t;
using InterfaceId = std::uint32_t;

// What the host reports of an interface.
struct LinkStatus {
    bool present = false;  // it exists
    bool up = false;       // administratively
    bool running = false;  // it has a carrier
    // Own address to send advertisements from, never one that a group shares: for IPv4 the first, for IPv6 a
    // link-local one if there is any. Unspecified where the interface has none (rule W7).
    IpAddress source4 = IpAddress::any(Family::ipv4);
    IpAddress source6 = IpAddress::any(Family::ipv6);

    // An IPv6 address that isn't link-local, for unicast peers: they know us by it, and it passes routers.
    IpAddress global6 = IpAddress::any(Family::ipv6);

    const IpAddress& source(Family family) const { return family == Family::ipv4 ? source4 : source6; }
    const IpAddress& source_for(const IpAddress& destination) const {
        const bool global = destination.family() == Family::ipv6 && !destination.is_multicast() &&
                            !destination.is_link_local() && !global6.is_unspecified();
        return global ? global6 : source(destination.family());
    }
    bool operator==(const LinkStatus&) const = default;
};

}  // namespace carpd
