// Whether the other hosts of a pool see it as this one does (docs/protocol/balance.md, rules N10 to N12):
// have they configured the same, do frames to the pool's MAC come from them, does somebody have a carpnode
// that is missing here. It is said where that changes, and shown to who asks; nothing is decided by it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "balance/types.h"
#include "carp/actions.h"
#include "carp/pool_memory.h"

namespace carpd {

class PoolPeers {
 public:
    // What a host's advertisements tell of its pool.
    enum class Pool : std::uint8_t {
        unknown,  // it doesn't run carpd, or has advertised too rarely
        same,
        other,
    };
    // Whether its flood probes come.
    enum class Probes : std::uint8_t {
        not_expected,  // it sends none: its pool isn't the same, or is balanced by ARP
        awaited,       // one must come soon
        heard,
        missing,
    };
    struct Peer {
        IpAddress address;
        Pool pool;
        Probes probes;
        Instant heard_at;
    };
    struct Stray {
        std::uint8_t vhid;
        IpAddress source;
        Instant heard_at;
    };

    static constexpr Duration kProbeInterval = std::chrono::seconds(3);
    // So long a MASTER may be heard without one of its probes.
    static constexpr Duration kProbeWait = std::chrono::seconds(10);

    // Reports go to `leader`, the pool's first group. `fingerprint` is our pool's.
    PoolPeers(GroupId leader, std::uint16_t fingerprint, bool by_ip)
        : leader_(leader), fingerprint_(fingerprint), by_ip_(by_ip) {}
    // What is known of the hosts stays when the pool is configured anew.
    void succeed(const PoolPeers& before) { hosts_ = before.hosts_; }
    // The same for another daemon.
    std::vector<PoolHost> memory() const;
    void resume(const std::vector<PoolHost>& hosts);

    // An authentic advertisement, no bow-out, in the family by which hosts are known.
    void hear(Instant now, const IpAddress& source, const Standing& standing, std::uint16_t mark,
              Actions& out);
    void hear_probe(Instant now, const IpAddress& source, Actions& out);
    // An authentic advertisement of a vhid that no group here has.
    void hear_stray(Instant now, std::uint8_t vhid, const IpAddress& source, Actions& out);

    // Who is MASTER of something, by address; and what was heard in the last minute.
    std::vector<Peer> peers(Instant now) const;
    std::vector<Stray> strays(Instant now) const;

 private:
    using Host = PoolHost;
    static constexpr std::uint8_t kSure = 4;  // others' marks are 0, or random

    Host& host(Instant now, const IpAddress& source);
    Pool pool(const Host& host) const;
    Probes probes(Instant now, const Host& host) const;
    void tell(Instant now, Host& host, Actions& out);

    GroupId leader_;
    std::uint16_t fingerprint_;
    bool by_ip_;
    // Each is MASTER of a carpnode, so they are not more; the places of those that are gone are used anew.
    std::array<Host, kMostCarpnodes> hosts_;
    std::array<Stray, 8> strays_{};
    Instant stray_report_due_ = Instant::min();
};

}  // namespace carpd
