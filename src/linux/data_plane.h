// Makes a group's addresses answer on this host, or not: the one narrow interface between the election and
// the host's network stack (prepare, install, renew_lease, withdraw, announce, renew).
//
// Two ways with mac = "virtual":
//
//              with a Gate (linux/gate.h)                without (linux/macvlan.h)
//   addresses  on lo; link-local ones on the interface   on a macvlan of the group's own
//   the MAC    is the gate's doing                       is the macvlan's
//   routes     as without CARP                           by a table of the group's own, for its MAC
//   the lease  is enforced by the kernel                 lasts as long as the process sees to it
//
// With mac = "interface" the addresses stand on the interface itself, behind the gate if there is one.
//
// The carpnodes of a pool (docs/protocol/balance.md) share their addresses, which are there while this host
// is MASTER of at least one of them, and longer while the pool settles. They need a gate.
//
// An address is there only while this host is MASTER: on a standby it would be local, and the standby's own
// programs would reach themselves. Adding one takes the kernel the longer the more there are on a device
// (4000 on lo: 0.3 s). So behind a gate a local route makes the host answer at once, and the address, which
// is for people and programs to see, comes in its place when nothing else is to do (settle).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "carp/types.h"
#include "linux/arp_settings.h"
#include "linux/carp_socket.h"
#include "linux/gate.h"
#include "linux/link_monitor.h"
#include "linux/macvlan.h"
#include "linux/netlink_socket.h"
#include "linux/sys_error.h"

namespace carpd {

class DataPlane {
 public:
    // `netlink` outlives the data plane. Without a gate the other way is taken.
    // `installs`: false where somebody else brings the addresses (carpd/ucarp_scripts.h); then there is no
    // gate, and all that is left to do is to announce them.
    explicit DataPlane(Netlink& netlink, std::unique_ptr<Gate> gate = nullptr, bool installs = true)
        : netlink_(&netlink), gate_(std::move(gate)), installs_(installs) {}

    bool has_gate() const { return gate_ != nullptr; }

    // For a process that takes over from another one, which serves meanwhile (docs/upgrade.md): prepare()
    // disturbs nothing of that one's from now on.
    void stand_beside();
    // The other one has stopped, and what it had installed was installed again. Our gate takes the place of
    // its gate.
    std::optional<SysError> take_over();
    // Whether this is something that a prepared or installed group has in the kernel.
    bool holds(const LinkAddress& address) const;
    bool holds(const Route& route) const;
    bool holds(const Rule& rule) const;
    // A device of a group's own, or the interface of groups that the gate guards.
    bool uses(int ifindex) const;
    // Of a withdrawn carpnode: whether its addresses stay as long as its pool settles; and of a prepared one
    // that they do, because another process had them so.
    bool lingers(GroupId carpnode) const;
    void linger(GroupId carpnode, const GroupConfig& config);

    // Stands ready for `group` on its interface `parent`. Call it when the interface appears and whenever
    // something of it changed (MAC, MTU, ifindex, forwarding) or of the configuration.
    std::optional<SysError> prepare(GroupId group, const GroupConfig& config, const Interface& parent);

    // Of each of these groups exactly the configured addresses answer now, with the group's MAC, and with a
    // gate only until then; also after the configuration of an installed group changed, which prepare() was
    // told first. Sets `installed` where all of it could be done; otherwise there is a line in the log.
    struct Installation {
        GroupId group;
        const GroupConfig* config;
        Instant lease_until;
        bool installed = false;
    };
    void install(std::span<Installation> wanted);
    // The installed addresses may answer until then.
    void renew_lease(GroupId group, Instant until);
    // Of the pool of this leader, prepared or not: which carpnodes are at home, by index, until when it
    // settles, and until when the shares of before count, too. Call it again when the settling is over.
    void set_pool(GroupId leader, CarpnodeSet at_home, Instant settling_until,
                  Instant hand_over_until = Instant::min());
    // What came to the pool of a prepared carpnode; nothing for other groups.
    std::optional<PoolTraffic> traffic_of(GroupId carpnode) const;
    // What had come when another process had it, before take_over().
    void set_traffic(GroupId carpnode, const PoolTraffic& traffic);
    // None answers, or behind a gate none from then on. Harmless if none did. Behind a gate the kernel keeps
    // the addresses until they are settled. Those of a pool that settles stay, for connections that are
    // there.
    void withdraw(GroupId group, Instant hand_over_until = Instant::min());
    // Removes the addresses of some groups that were withdrawn, or adds those of some that were installed.
    void settle();
    bool is_settled() const { return withdrawn_.empty() && installed_.empty(); }
    // Appends what tells the LAN where the addresses are; nothing for carpnodes (rule N5).
    void announce(GroupId group, const GroupConfig& config, std::vector<OutgoingFrame>& out) const;
    // Puts back what somebody else took away from a prepared or installed group. Returns whether there was
    // anything. Call it when something was taken from the group's device() or its interface.
    bool renew(GroupId group, const GroupConfig& config);
    // Whether somebody took the gate from an interface of groups. Ask now and then: the kernel may not tell.
    bool is_robbed(int ifindex) const { return gate_ && gate_->is_robbed(ifindex); }

    // Withdraws, and undoes prepare(). Also for a group whose interface is gone.
    void release(GroupId group);

    // Which Ethernet address the group's advertisements have as source: the virtual one or the interface's.
    // All zero if it isn't prepared.
    MacAddress mac_of(GroupId group) const;
    // The device that carries the group's addresses; empty if it isn't prepared.
    std::string device(GroupId group) const;
    // The installed group that has this address.
    std::optional<GroupId> owner_of(const LinkAddress& address) const;

 private:
    // What an installed group has in the kernel.
    struct Holdings {
        Few<LinkAddress> addresses;
        Few<Rule> rules;
        Few<Route> routes;
        bool operator==(const Holdings&) const = default;
    };
    struct Group {
        int parent = 0;   // 0: it isn't prepared
        int ifindex = 0;  // of the device that carries the addresses
        MacAddress mac;   // with which the group speaks
        MacMode mode = MacMode::virtual_mac;
        bool router = false;  // the interface forwards IPv6
        bool installed = false;
        bool lacks = false;                 // some of its holdings could not be had
        bool lingers = false;               // withdrawn, but its addresses are there: its pool settles
        std::uint8_t pool = 0;              // the vhid of its pool's leader; 0: it is in none
        bool settled = true;                // an address is more than a local route
        std::uint32_t on_link_version = 0;  // of its parent, that the holdings go by
        Holdings holdings;

        bool keeps_addresses() const { return installed || lingers; }
    };
    // The carpnodes of one that are prepared.
    struct Pool {
        std::vector<GroupId> members;
        std::optional<GroupId> leader;
        bool has_connections_to_keep = false;  // by IP: others' frames come here, too
    };
    // An interface of groups.
    struct Parent {
        std::string name;
        std::vector<InterfaceAddress> on_link;  // subnets to which it has routes of its own
        std::uint32_t on_link_version = 0;
    };

    Group* find(GroupId id);
    const Group* find(GroupId id) const;
    bool has_macvlan(const Group& group) const { return !gate_ && group.mode == MacMode::virtual_mac; }
    Macvlan macvlan(const Group& group) const { return {device_of(group), group.ifindex}; }
    std::string device_of(const Group& group) const;
    bool join_standing(const Installation& wanted);
    std::optional<SysError> make_macvlan(Group& group, const GroupConfig& config);
    std::optional<SysError> guard(GroupId id, const Group& group, const GroupConfig& config);
    // Changes that make the kernel have exactly what is wanted, in this order. Addresses leave last: with the
    // last one of a device all its routes would go.
    struct Exchange {
        NetlinkBatch going, coming;
        Holdings leaving;
    };
    void hold(Group& group, Holdings wanted, Exchange& exchange);
    // What of `coming` failed; other failures are in the log.
    std::vector<Netlink::Outcome::Failure> run(const Exchange& exchange);
    void drop_withdrawn();
    void add_installed();
    Holdings wanted_holdings(GroupId id, const Group& group, const GroupConfig& config) const;
    void enter_pool(GroupId id, Group& group, const GroupConfig& config);
    void leave_pool(GroupId id, Group& group);
    bool pool_settles(const Group& group) const;
    bool pool_holds(const Group& group, auto has) const;
    bool is_held(const Route& route) const;
    bool can_wait(const Group& group, const Holdings& wanted) const;
    bool stand_there(const Group& group, const Few<LinkAddress>& addresses) const;
    bool renew_macvlan(GroupId id, Group& group, const GroupConfig& config);

    Netlink* netlink_;
    std::unique_ptr<Gate> gate_;
    bool installs_;
    std::vector<Group> groups_;  // by GroupId
    std::map<int, Parent> parents_;
    std::map<std::pair<int, std::uint8_t>, Pool> pools_;  // by parent and the leader's vhid
    std::set<GroupId> settling_;                          // leaders of pools
    std::vector<GroupId> withdrawn_, installed_;          // and not settled yet, the last first
    ArpSettings arp_;
    bool stands_beside_ = false;
};

}  // namespace carpd
