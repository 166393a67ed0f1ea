// What the core wants done, as values. Pump gathers those of many groups by kind, has the driver perform
// them, and gives what came of it back as an input.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "base/addresses.h"
#include "carp/election.h"
#include "carp/types.h"
#include "wire/ip_packet.h"

namespace carpd {

// Who sent the advertisement that something is about.
struct Rival {
    IpAddress source;
    Standing standing;
    bool operator==(const Rival&) const = default;
};

// Send `packet` on the group's interface: to its multicast group, or to one unicast peer by the host's
// routes.
struct SendAdvertisement {
    GroupId group;
    IpAddress destination;
    AdvertisementPacket packet;
    bool sent = false;  // the driver's answer
};

// Try whether the group's interface can send, without saying anything to anyone.
struct SendProbe {
    GroupId group;
};

// The group is MASTER and waits: see to it that the flows that peers told are in the kernel, then say so
// (Node::handle_committed). Only where state synchronisation is on (rule Y1).
struct CommitFlows {
    GroupId group;
};

// Make exactly the group's configured addresses (as configured now) answer, with its MAC, until then.
struct InstallAddresses {
    GroupId group;
    Instant lease_until;
    bool installed = false;  // the driver's answer
};

// The installed addresses may answer until then: an advertisement was really sent (rule F1).
struct RenewLease {
    GroupId group;
    Instant until;
};

// How long after a share has gone to another host its packets may still be taken (rule N7 of balance.md):
// longer than a host needs from its first advertisement until it serves.
inline constexpr Duration kHandOver = std::chrono::milliseconds(2);

// Stop answering for all of the group's addresses.
struct WithdrawAddresses {
    GroupId group;
    // A carpnode's share goes to another host that serves it: what comes for it may be taken until then
    // (docs/protocol/balance.md, rule N7). Before `now`: nothing any more.
    Instant hand_over_until = Instant::min();
};

// Gratuitous ARP and unsolicited neighbour advertisements for the group's addresses.
struct AnnounceAddresses {
    GroupId group;
};

// What the filter of a pool goes by now (docs/protocol/balance.md, rules N6 and N8).
struct SetPool {
    GroupId leader;
    std::uint32_t at_home;   // its carpnodes that are, by index; only with weights anything else than all
    Instant settling_until;  // before `now`: it isn't settling
    // What this host's carpnodes had by their shares before may be taken until then (rule N7).
    Instant hand_over_until;
    bool operator==(const SetPool&) const = default;
};

// Send `packet`, which goes to a pool's first address, in a frame to the pool's MAC (rule N12).
struct SendFloodProbe {
    GroupId group;
    AdvertisementPacket packet;
};

// Send `packet` on the group's interface, as an advertisement, but from the interface's own MAC: it must not
// teach a switch where the group's is (rule V4).
struct SendBeacon {
    GroupId group;
    IpAddress destination;
    std::vector<std::uint8_t> packet;  // from the IP header on; long, and few are sent
};

// The group entered another state.
struct ReportTransition {
    GroupId group;
    State from, to;
    Cause cause;
    Standing ours;
    std::optional<Rival> rival;  // whose advertisement caused it
    Instant at;
    Duration previous;       // how long the group was in `from`
    std::string together{};  // the member of its set that it follows, whose cause this is; empty: its own
    std::string check{};     // the one that failed, where the cause is that
};

// We are MASTER, heard another one and stay. At most one in ten seconds (rule A4).
struct ReportRival {
    GroupId group;
    Cause cause;
    Rival rival;
};

// A BACKUP would take over (`cause`) and may not, because `member` of its set hears a master that we would
// lose to (rule G3). Said once it lasts, and at most once in ten seconds.
struct ReportHeld {
    GroupId group;
    Cause cause;
    std::string member;
    std::optional<Rival> rival;  // whom `member` hears; none if it has heard nobody yet
};

// The sum of a group's demotion changed to `value`, by the contribution `name`.
struct ReportDemotion {
    GroupId group;
    std::string name;
    std::uint8_t value;
};

// Its addresses answer, although nobody has said for `waited` that the flows are committed (rule Y1).
struct ReportUncommitted {
    GroupId group;
    Duration waited;
};

// What is new about how a pool's hosts agree (carp/pool_peers.h). Said where it changes, of strays at most
// once in ten seconds.
enum class PoolNews : std::uint8_t {
    pool_differs,    // `source` has configured another pool (rule N10)
    pool_agrees,     // and now the same
    stray_carpnode,  // `source` advertises `vhid`, which isn't configured here (rule N11)
    probes_missing,  // frames to the pool's MAC don't come from `source` (rule N12)
    probes_heard,    // and now they do
};

struct ReportPool {
    GroupId leader;
    PoolNews news;
    IpAddress source;
    std::uint8_t vhid;
};

// What is new about another host of the group. Said where it changes. But for the last three it runs carpd
// (carp/group_peers.h); those are of a BACKUP's master, whatever it runs (rule T3).
enum class PeerNews : std::uint8_t {
    heard,                   // it is new, or heard again
    left,                    // it stopped, and said so
    silent,                  // nothing comes from it any more
    deaf,                    // it doesn't hear us
    hears_us,                // and now it does
    advertisements_missing,  // its beacons come, and its advertisements don't
    advertisements_heard,    // and now they do
    addresses_differ,        // it has another list of addresses
    addresses_agree,         // and now the same
    ipv4_only,               // its IPv4 advertisements come, and its IPv6 ones don't
    ipv6_only,               // the opposite
    both_families,           // and now both come
};

inline constexpr std::size_t kPeerNewsCount = 12;

struct ReportPeer {
    GroupId group;
    PeerNews news;
    std::string host;  // its name; empty where only advertisements tell of it
    IpAddress source;
};

using Action =
    std::variant<SendAdvertisement, SendProbe, CommitFlows, InstallAddresses, RenewLease, WithdrawAddresses,
                 AnnounceAddresses, SetPool, SendFloodProbe, SendBeacon, ReportTransition, ReportRival,
                 ReportHeld, ReportDemotion, ReportUncommitted, ReportPool, ReportPeer>;
// What people read.
using Report = std::variant<ReportTransition, ReportRival, ReportHeld, ReportDemotion, ReportUncommitted,
                            ReportPool, ReportPeer>;
using Actions = std::vector<Action>;

}  // namespace carpd
