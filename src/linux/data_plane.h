// Makes a group's addresses answer on this host, or not: the one narrow interface between the election and
// the host's network stack (prepare, install, withdraw, announce, renew).
//
// With mac = "virtual" each group has a macvlan device on its interface, prepared beforehand: up and with the
// virtual MAC, but without addresses, with IPv6 off and not forwarding. So it has nothing to say, not even
// what the kernel says by itself (multicast listener reports, neighbour probes), which would draw the
// switch's traffic to a host that isn't MASTER; and it passes nothing on. Taking over turns IPv6 and
// forwarding on and adds the addresses.
//
// Why so: changing a device's MAC and bringing one down both make the kernel wait for all processors, 10 ms
// and more, and on a device that has just come up IPv6 takes up to 0.1 s to work. And why not in macvlan's
// private mode: it takes away from the interface whatever a rival sends from the same virtual MAC, its
// advertisements included.
//
// Everything this class makes in the kernel carries a mark (kOurProtocol, or the alias "carpd:..."), by which
// the next run removes what a killed one left.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "carp/types.h"
#include "linux/carp_socket.h"
#include "linux/link_monitor.h"
#include "linux/netlink_socket.h"
#include "linux/sys_error.h"

namespace carpd {

// On addresses (IFA_PROTO), routes (rtm_protocol) and rules (FRA_PROTOCOL): CARP's IP protocol number.
inline constexpr std::uint8_t kOurProtocol = 112;
// How the alias of every device of ours begins; the group's name follows.
inline constexpr std::string_view kDeviceAliasPrefix = "carpd:";

class DataPlane {
 public:
    // `netlink` outlives the data plane.
    explicit DataPlane(Netlink& netlink) : netlink_(&netlink) {}

    // At start: removes whatever an earlier run left. Each returned line says what, for the log.
    std::vector<std::string> remove_leftovers(const std::vector<GroupConfig>& groups);
    // Only the addresses, which is quick, and harmless to a process that uses this data plane: it can renew()
    // them.
    void remove_addresses(const std::vector<GroupConfig>& groups);

    // Stands ready for `group` on its interface `parent`. Call it when the interface appears and whenever
    // something of it changed (MAC, MTU, ifindex); nothing is done that was done before.
    std::optional<SysError> prepare(GroupId group, const GroupConfig& config, const Interface& parent);

    // Exactly the configured addresses answer now, with the group's MAC; also after the configuration of an
    // installed group changed. False (and a line in the log) if not all of it could be done.
    bool install(GroupId group, const GroupConfig& config);
    // None answers. Harmless if none did.
    void withdraw(GroupId group);
    // Tells the LAN where the addresses are.
    void announce(GroupId group, const GroupConfig& config, CarpSocket& socket);
    // Puts back what somebody else took away from a prepared or installed group. Returns whether there was
    // anything. Call it when the group's device() or its interface changed.
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
        std::vector<IpAddress> addresses;
        std::vector<Rule> rules;
        std::vector<Route> routes;
    };
    struct Group {
        MacMode mode = MacMode::virtual_mac;
        int parent = 0;
        std::string parent_name;
        int ifindex = 0;  // of the device that carries the addresses: the macvlan, or the parent
        std::string device;
        MacAddress mac;  // with which the group speaks
        bool installed = false;
        Holdings holdings;
    };
    // How an interface resolved ARP before we changed it; nothing where we didn't.
    struct ArpSettings {
        int users = 0;
        std::optional<int> ignore, announce;
    };

    Group* find(GroupId id);
    const Group* find(GroupId id) const;
    std::optional<SysError> make_device(Group& group, const GroupConfig& config);
    void follow_parent(Group& group, const Interface& parent);
    Holdings wanted_holdings(GroupId id, const Group& group, const GroupConfig& config) const;
    void remove_marked_routes(std::vector<std::string>& removed);
    static void open_device(const Group& group, bool with_ipv6);
    static void close_device(const Group& group);
    void borrow_arp(const Group& group);
    void return_arp(const Group& group);

    Netlink* netlink_;
    std::map<GroupId, Group> groups_;
    std::map<int, ArpSettings> arp_;  // by the parent's ifindex
};

}  // namespace carpd
