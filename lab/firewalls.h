// A pair of firewalls, as people build them: clients on an inside LAN, servers on an outside one, and between
// them two hosts that share an address on each, are MASTER of both or of none, translate the clients'
// addresses, let in nothing but answers, and tell each other their flows over a link of their own.
//
//                             inside                          outside
//     client 10.0.0.9 ----- 10.0.0.100 --+-- fw1 --+-- 198.51.100.100 ----- server 198.51.100.9
//                                        |    |    |
//                                        |   sync  |
//                                        |    |    |
//                                        +-- fw2 --+
//
// and the same in IPv6, without translation: 2001:db8:1::/64 inside, 2001:db8:2::/64 outside.
//
//   FirewallPair pair(lab, {});
//   pair.start();
//   ... traffic from pair.client() to kServer4 ...
//   pair.first().power_off();
//
// Everything is real: nftables, the kernel's connection tracking, carpd.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lab/carpd.h"
#include "lab/lab.h"

namespace carpd::lab {

inline constexpr const char* kServer4 = "198.51.100.9";
inline constexpr const char* kServer6 = "2001:db8:2::9";
inline constexpr const char* kOutsideVip = "198.51.100.100";

struct FirewallOptions {
    bool sync = true;         // without: what people have who let the addresses move and nothing else
    std::string sync_keys{};  // lines to be added to [sync]
    // An advertisement every 39 and every 78 ms; fw2 misses fw1 after 234 ms.
    int first_skew = 10, second_skew = 20;
};

class Firewall {
 public:
    Firewall(Lab& lab, const FirewallOptions& options, int number);

    Host& host() { return host_; }
    const std::string& name() const { return host_.name(); }
    Carpd& carpd() { return *carpd_; }
    bool runs() const { return carpd_ != nullptr; }

    // As a machine boots: nothing is in its table, carpd starts, its cables work.
    void boot();
    // All its processes die at once, and no frame passes its cables from now on.
    void power_off();
    // SIGTERM; returns carpd's exit code. The machine runs on.
    int stop();

    // Both groups are in `state`.
    bool is(const std::string& state);
    bool wait(const std::string& state, Span patience = 10s);
    // Nothing keeps it from taking over: it is demoted for no reason.
    bool is_fit();

    // The kernel's table, a line a flow as `conntrack -L` prints them, sorted, without what differs between
    // hosts that know the same: remaining time, references. Without TCP connections that nobody answered,
    // which nobody is told of.
    std::vector<std::string> flows() const;

 private:
    std::string config() const;

    const FirewallOptions options_;
    const int number_;
    Host& host_;
    std::unique_ptr<Carpd> carpd_;
};

class FirewallPair {
 public:
    FirewallPair(Lab& lab, const FirewallOptions& options);

    Host& client() { return client_; }
    Host& server() { return server_; }
    Firewall& first() { return first_; }
    Firewall& second() { return second_; }

    // Boots both: the first is MASTER, the second BACKUP and fit. Throws if that doesn't happen.
    void start();
    // The sync link: no frame passes it, and no host can tell by its carrier.
    void set_sync_link(bool works);
    // Waits until both tables hold the same; returns what only one of them has, "fw1: ..." or "fw2: ...".
    std::vector<std::string> differences(Span patience);

 private:
    Host& client_;
    Host& server_;
    Firewall first_, second_;
};

}  // namespace carpd::lab
