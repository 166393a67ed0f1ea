// What a seed stands for: hosts, groups, the network's temper, and the faults with their times. All of it is
// drawn before anything runs, so that leaving faults out (--faults, --shrink) changes nothing else.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "carp/types.h"
#include "sim/moment.h"

namespace carpd::sim {

inline constexpr int kMaxHosts = 8;
using HostSet = std::uint8_t;  // bit h: host h

constexpr bool contains(HostSet set, int host) {
    return (set >> host & 1) != 0;
}

enum class Kind : std::uint8_t { carpd, openbsd, freebsd, netbsd, ucarp };
std::string_view to_string(Kind kind);

struct HostPlan {
    Kind kind = Kind::carpd;
    std::string name;
    bool has_own_addresses = true;
    IpAddress own4, own6, global6;
    std::int64_t clock_offset = 0;
    std::int64_t clock_ppm = 0;
    std::uint32_t receive_buffer = 0;  // packets that wait while its process doesn't read
    std::int64_t commit_wait = 0;      // for flows, at a takeover; 0: it synchronises none
};

// What an operator may change of a group on one host while it runs.
struct Settings {
    bool present = true;
    std::uint8_t advskew = 0;
    bool preempt = false;
    std::uint8_t key = 0;        // which of several passwords
    std::uint8_t addresses = 0;  // which of several address lists
    bool operator==(const Settings&) const = default;
    // Hosts hear each other exactly if this is equal.
    std::uint32_t secret() const { return key * 16u + addresses; }
};

struct GroupPlan {
    std::string name;
    Vhid vhid;
    AdvBase advbase;
    Few<InterfaceAddress> addresses;
    std::size_t interface = 0;
    bool unicast = false;
    HostSet members = 0;
    int pool = 0;        // whose carpnode it is, from 1; 0: of none
    int set = 0;         // its [[together]], from 1; 0: in none
    HostSet in_set = 0;  // the hosts whose file has that
    std::array<Settings, kMaxHosts> settings;
    // By host, what a user's file says of the group; empty in worlds that are drawn. It counts alone.
    std::vector<GroupConfig> from_files;

    bool has(Family family) const;
};

enum class FaultKind : std::uint8_t {
    loss,               // of `chance` per mille of all packets
    one_way_loss,       // of all from `host` to `peer`
    delay,              // up to `span` more, for `chance` per mille
    duplication,        // of `chance` per mille, up to `span` later
    reordering,         // `chance` per mille wait for `span`
    corruption,         // of some bits in `chance` per mille
    partition,          // between `side` and the others
    family_loss,        // of everything of `family`
    multicast_loss,     // of everything multicast, from `host`
    crash,              // power loss of `host`; it starts again at the end
    kill,               // of the daemon, while the kernel goes on; it is started again at the end
    stop,               // of the daemon, in order
    pause,              // of the process: packets wait
    suspend,            // of the machine: packets are lost, and it answers nobody
    late_wake_ups,      // by up to `span`
    send_failures,      // of `chance` per mille
    install_failures,   // of all
    link_loss,          // no carrier at `interface`
    flapping,           // the same, `amount` times, every `span`
    interface_loss,     // `interface` vanishes, and comes back
    forgery,            // a stranger sends damaged and invented packets every `span`
    replay,             // a stranger sends captured packets with other election fields every `span`
    echo,               // a switch sends everything back to its sender
    state_request,      // `amount` times, every `span`: carpctl state
    demotion,           // by the operator, by `amount`
    reload,             // advskew and preempt change
    key_change,         // the password is another on `host`
    address_change,     // the address list is another on `host`
    removal,            // of the group from `host`
    demoting_check,     // a check of `host` fails and demotes its group, or all, by `amount`
    withdrawing_check,  // likewise, and withdraws
    lacks_flows         // the copy of `host` of its peers' flows is not complete
};
inline constexpr int kFaultKinds = static_cast<int>(FaultKind::lacks_flows) + 1;
// A host that synchronises flows lacks some for so long after its start.
inline constexpr std::int64_t kCopying = 2 * kSecond;
std::string_view to_string(FaultKind kind);

struct Fault {
    int id = 0;  // from 1
    FaultKind kind = FaultKind::loss;
    Moment begin = 0, end = 0;
    int host = 0, peer = 0, group = 0;
    std::size_t interface = 0;
    bool all_groups = false;   // a failing check concerns more than `group`
    bool some_copies = false;  // only those of `family`, or of unicast those to `peer`, can't be sent
    std::uint32_t chance = 1000;
    std::int64_t span = 0;
    int amount = 0;
    HostSet side = 0;
    Family family = Family::ipv4;
    Settings settings;  // what a reload sets
};

// Groups that carry the same addresses at the same time.
struct PoolPlan {
    std::vector<int> groups;  // in ascending order of vhids
    BalanceConfig balance;    // but for the advskews, which are each host's
    std::array<std::uint8_t, 20> key{};
};

// Who wants to be served.
struct Client {
    IpAddress address;
    MacAddress mac;
};

struct Plan {
    std::uint64_t seed = 0;
    std::vector<HostPlan> hosts;
    std::vector<GroupPlan> groups;
    std::vector<PoolPlan> pools;
    std::vector<Fault> faults;
    std::size_t interfaces = 1;                 // of each host, each on a network of its own
    std::int64_t min_delay = 0, max_delay = 0;  // of a packet on the undisturbed network
    Moment healed = 0;                          // every fault has ended
    Moment end = 0;
    bool checked = true;  // no checkers otherwise: what users try need not be sound

    bool has_foreign(HostSet set) const;
    // Within this time an undisturbed group has settled on its master (docs/simulation.md).
    Moment settling_bound(int group) const;
    Moment longest_interval(int group) const;
    // Whether what the operator changes of `changed` changes `group`: carpnodes have password and addresses
    // in common.
    bool share_settings(int changed, int group) const;
    // The groups of `group`'s set, with itself, if it is in one on `host`; all of them have the same members.
    std::vector<int> together(int host, int group) const;
    GroupConfig config(int host, int group, const Settings& settings) const;
};

Plan draw_plan(std::uint64_t seed);

std::string interface_name(std::size_t interface);

// One line each, for people.
std::string describe(const Plan& plan, const HostPlan& host);
std::string describe(const Plan& plan, const GroupPlan& group);
std::string describe(const Plan& plan, const Fault& fault);

}  // namespace carpd::sim
