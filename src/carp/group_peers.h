// What the other hosts of a group that run carpd tell of themselves by beacons, and what that says of the way
// between them and us (docs/protocol/beacon.md, rules V1 to V9): who doesn't hear whom. It is said where it
// changes, and shown to who asks; nothing is decided by it.
//
// Node has one for each group that has beacons, and sends them where due() says so.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/expected.h"
#include "carp/actions.h"
#include "carp/virtual_host.h"
#include "wire/beacon.h"

namespace carpd {

class GroupPeers {
 public:
    static constexpr Duration kInterval = std::chrono::seconds(5);  // of beacons, where nothing is new
    static constexpr Duration kGap = std::chrono::seconds(1);       // where something is
    static constexpr Duration kSilence = std::chrono::seconds(16);  // three are missing
    static constexpr std::size_t kMostPeers = Beacon::kMostHearings;

    // What is wrong with the way between a peer and us.
    struct Trouble {
        bool is_silent = false;               // nothing comes from it any more, and it didn't say goodbye
        bool is_deaf = false;                 // it doesn't hear us, in one family at least
        bool advertisements_missing = false;  // it is MASTER and its beacons come, its advertisements don't
        bool addresses_differ = false;        // so it refuses our advertisements
        bool any() const { return is_silent || is_deaf || advertisements_missing || addresses_differ; }
        bool operator==(const Trouble&) const = default;
    };
    struct Peer {
        Beacon said;  // its last
        std::array<IpAddress, 2> source{IpAddress::any(Family::ipv4), IpAddress::any(Family::ipv6)};
        std::array<Instant, 2> heard_at{Instant::min(), Instant::min()};  // by family
        std::array<std::uint32_t, 2> sequence{};
        Instant said_at{};
        Instant speaks_since{};  // without a pause of kSilence
        Instant advertised_at = Instant::min();
        std::array<Duration, 2> late{};  // the most, in this minute and the one before
        Instant minute{};                // when this one began
        Trouble told;
        std::uint64_t predecessor = 0;  // the same host, before it started again

        Instant last_heard_at() const { return std::max({heard_at[0], heard_at[1], advertised_at}); }
        Duration latest() const { return std::max(late[0], late[1]); }
        // An address by which people know it.
        const IpAddress& address() const;
    };

    // `host` is ours, the same in all groups. `now` is when the group begins. The group's configuration stays
    // where it is until reconfigure() or follow() name another.
    GroupPeers(const VirtualHost& group, std::uint64_t host, Instant now);
    // The group's configuration changed.
    void reconfigure(const GroupConfig& config);
    // The same configuration at another place.
    void follow(const GroupConfig& config) { config_ = &config; }

    // A beacon for the group's vhid came in at its interface.
    std::optional<DropReason> hear(Instant now, const IpPacket& packet, const Beacon& beacon, Actions& out);
    // An authentic advertisement came from there.
    void hear_advertisement(Instant now, const IpAddress& source, const Standing& standing);

    // When the next beacon is due. Something of the group may have changed: that is soon said.
    Instant next_deadline() const { return next_at_; }
    void follow(Instant now, const VirtualHost& group);
    // Says what is new, and what our beacon is now: one for all families and destinations. `leaves`: the
    // last.
    Beacon speak(Instant now, const VirtualHost& group, bool leaves, Actions& out);
    // It is due, and nothing can be sent or heard: there is no link.
    void be_silent(Instant now);
    // With the group's key.
    const HmacSha1& keyed() const { return keyed_; }

    std::uint64_t host() const { return host_; }
    // Of the group's list of addresses, the same on all hosts; of a list in another order, too.
    std::uint32_t addresses() const { return addresses_; }
    const std::vector<Peer>& peers() const { return peers_; }
    // As of now. What is known stays as it is until both have had time to hear each other.
    Trouble trouble(Instant now, const Peer& peer) const;
    // Whether the peer says that it hears us; nothing where it can't have said yet.
    std::optional<bool> hears_us(Instant now, const Peer& peer) const;

 private:
    // What the others know of the group.
    struct Told {
        State state;
        Standing standing;
        bool operator==(const Told&) const = default;
    };

    std::optional<DropReason> refuse(const IpPacket& packet, const Beacon& beacon) const;
    Peer* peer_of(Instant now, const IpAddress& source, const Beacon& beacon, Actions& out);
    Peer* place_for(Instant now, const IpAddress& source, const Beacon& beacon);
    void note_late(Instant now, Peer& peer, Instant expected) const;
    void tell(Instant now, Peer& peer, Actions& out) const;
    void report(const Peer& peer, PeerNews news, Actions& out) const;
    void hasten(Instant now, Duration gap);

    GroupId id_;
    const GroupConfig* config_;
    std::uint64_t host_;
    HmacSha1 keyed_;
    std::optional<HmacSha1> alternate_;  // with the key that is accepted, too (rule D5)
    std::uint32_t addresses_, alternate_addresses_;
    std::vector<Peer> peers_;
    std::uint32_t sequence_ = 0;
    Instant began_;
    Told told_;
    Instant next_at_, spoke_at_ = Instant::min(), speaks_since_ = kNever;
};

}  // namespace carpd
