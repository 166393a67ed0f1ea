// What the carpnodes of one pool have in common on this host (docs/protocol/balance.md): who is MASTER of
// which, which are at home, and whether the pool settles. Node makes one for each pool, tells it what happens
// to the carpnodes, and passes on what it wants done. Whether the hosts agree is PoolPeers' part.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "balance/shares.h"
#include "carp/actions.h"
#include "carp/pool_memory.h"
#include "carp/pool_peers.h"
#include "carp/types.h"
#include "wire/advertisement.h"
#include "wire/ip_packet.h"

namespace carpd {

class Balancer {
 public:
    // How long connections stay where they are after a share has moved (rule N8).
    static constexpr Duration kSettling = std::chrono::minutes(10);

    // What is known of a carpnode's MASTER.
    struct Holder {
        bool is_self = false;
        std::optional<IpAddress> source;  // of another host; nothing if it is this one, or nobody is known
        std::uint8_t advskew = 0;         // as advertised
    };
    // This host's part in a carpnode.
    struct Own {
        bool is_master = false;  // it has advertised, and its addresses answer or are told to now (rule N7)
        AdvBase advbase;
        AdvSkew advskew;  // as advertised
        IpAddress source;
    };

    // `config` is any of the pool's groups', `leader` its first one.
    Balancer(const GroupConfig& config, GroupId leader);
    // Whether another one made of these would be the same.
    bool is_for(const GroupConfig& config, GroupId leader) const;
    // It takes the place of `before`: the same pool was configured anew. What is known of hosts stays.
    void succeed(Instant now, const Balancer& before);
    // What another daemon needs in order to go on; and this one, just configured, goes on with it.
    PoolMemory memory() const;
    void resume(Instant now, const PoolMemory& memory);

    // ---- inputs
    // What this host is in a carpnode now.
    void follow(Instant now, CarpnodeIndex carpnode, const Own& own);
    // An authentic advertisement of another host for the carpnode, after follow() of what it did here.
    void hear(Instant now, CarpnodeIndex carpnode, const IpPacket& packet, const Advertisement& advertisement,
              Actions& out);
    // An authentic flood probe of another host (rule N12).
    void hear_probe(Instant now, const IpAddress& source, Actions& out) {
        peers_.hear_probe(now, source, out);
    }
    // An advertisement of a vhid that no group has: of the pool, if it is signed as its own are (rule N11).
    void hear_unknown(Instant now, const IpAddress& source, const Advertisement& advertisement, Actions& out);
    // What they led to. After each input, and at next_deadline(). The first call tells the driver all.
    void decide(Instant now, Actions& out);
    Instant next_deadline() const;
    // The carpnode by which this host sends a flood probe now, to probe_destination(); nothing most of the
    // time. It asks for the next one by itself.
    std::optional<CarpnodeIndex> take_probe(Instant now);
    const IpAddress& probe_destination() const;

    // ---- views
    GroupId leader() const { return leader_; }
    const BalanceConfig& config() const { return *config_; }
    // Of two addresses' families the one by which hosts are known (rule N6).
    Family family() const { return family_; }
    Holder holder_of(CarpnodeIndex carpnode) const;
    // Which carpnodes are (rule N6), also where the hash takes no notice of it.
    CarpnodeSet at_home() const;
    // Who serves whom now.
    const Shares& shares() const { return shares_; }
    bool settles(Instant now) const { return now < settling_until_; }
    Instant settling_until() const { return settling_until_; }
    // Until then this host may still take packets of shares that it let go (rule N7).
    Instant hands_over_until() const { return std::max(hand_over_until_, lets_go_until_); }
    std::optional<CarpnodeIndex> index_of(Vhid vhid) const;
    bool has_address(const IpAddress& address) const;
    const PoolPeers& peers() const { return peers_; }

 private:
    using Seat = PoolSeat;

    void seat(Instant now, CarpnodeIndex carpnode, Seat next);
    bool is_known_by_address(const Seat& seat) const;
    std::optional<CarpnodeIndex> own_carpnode() const;
    bool same_host(const Seat& a, const Seat& b) const;
    void settle(Instant now);

    SharedValue<BalanceConfig> config_;
    Few<InterfaceAddress> addresses_;
    Key key_;
    GroupId leader_;
    Family family_;
    Shares shares_;
    PoolPeers peers_;
    std::array<Seat, kMostCarpnodes> seats_;
    // Since the last decide(): something that decides who is at home; a carpnode has another MASTER, or none.
    bool has_changed_ = true, has_moved_ = false;
    Instant settling_until_ = Instant::min();
    Instant hand_over_until_ = Instant::min();  // of the last change of shares
    Instant lets_go_until_ = Instant::min();    // of the last carpnode that this host left
    Instant probe_at_ = kNever;
    std::optional<SetPool> told_;
};

}  // namespace carpd
