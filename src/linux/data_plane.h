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
// An address is there only while this host is MASTER: on a standby it would be local, and the standby's own
// programs would reach themselves.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
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
    explicit DataPlane(Netlink& netlink, std::unique_ptr<Gate> gate = nullptr)
        : netlink_(&netlink), gate_(std::move(gate)) {}

    bool has_gate() const { return gate_ != nullptr; }

    // Stands ready for `group` on its interface `parent`. Call it when the interface appears and whenever
    // something of it changed (MAC, MTU, ifindex, forwarding) or of the configuration.
    std::optional<SysError> prepare(GroupId group, const GroupConfig& config, const Interface& parent);

    // Exactly the configured addresses answer now, with the group's MAC, and with a gate only until then;
    // also after the configuration of an installed group changed. False (and a line in the log) if not all of
    // it could be done.
    bool install(GroupId group, const GroupConfig& config, Instant lease_until);
    // The installed addresses may answer until then.
    void renew_lease(GroupId group, Instant until);
    // None answers. Harmless if none did.
    void withdraw(GroupId group);
    // Tells the LAN where the addresses are.
    void announce(GroupId group, const GroupConfig& config, CarpSocket& socket);
    // Puts back what somebody else took away from a prepared or installed group. Returns whether there was
    // anything. Call it when something was taken from the group's device() or its interface.
    bool renew(GroupId group, const GroupConfig& config);

    // Withdraws, and undoes prepare(). Also for a group whose interface is gone.
    void release(GroupId group);

    // Which Ethernet address speaks for the group: the virtual one or the interface's. All zero if it isn't
    // prepared.
    MacAddress mac_of(GroupId group) const;
    // The device that carries the group's addresses; empty if it isn't prepared.
    std::string_view device(GroupId group) const;
    // Whether one of the installed groups has this address.
    bool is_ours(const IpAddress& address) const;

 private:
    // What an installed group has in the kernel.
    struct Holdings {
        std::vector<LinkAddress> addresses;
        std::vector<Rule> rules;
        std::vector<Route> routes;
    };
    struct Group {
        MacMode mode = MacMode::virtual_mac;
        int parent = 0;
        std::string parent_name;
        int ifindex = 0;  // of the device that carries the addresses
        std::string device;
        MacAddress mac;                         // with which the group speaks
        bool router = false;                    // the interface forwards IPv6
        std::vector<InterfaceAddress> on_link;  // subnets to which the interface has routes of its own
        bool installed = false;
        Holdings holdings;
    };

    Group* find(GroupId id);
    const Group* find(GroupId id) const;
    bool has_macvlan(const Group& group) const { return !gate_ && group.mode == MacMode::virtual_mac; }
    static Macvlan macvlan(const Group& group) { return {group.device, group.ifindex}; }
    std::optional<SysError> make_macvlan(Group& group, const GroupConfig& config);
    std::optional<SysError> guard(GroupId id, const Group& group, const GroupConfig& config);
    std::optional<SysError> hold(GroupId id, Group& group, const GroupConfig& config);
    Holdings wanted_holdings(GroupId id, const Group& group, const GroupConfig& config) const;
    bool renew_macvlan(GroupId id, Group& group, const GroupConfig& config);

    Netlink* netlink_;
    std::unique_ptr<Gate> gate_;
    std::map<GroupId, Group> groups_;
    ArpSettings arp_;
};

}  // namespace carpd
