// A group's own device with the virtual MAC, where there is no BPF gate: a macvlan on its interface, prepared
// beforehand, up but without addresses, with IPv6 off and not forwarding. So it has nothing to say, not even
// what the kernel says by itself (multicast listener reports, neighbour probes), which would draw the
// switch's traffic to a host that isn't MASTER; and it passes nothing on. Taking over opens it and adds the
// addresses.
//
// Why so: changing a device's MAC and bringing one down both make the kernel wait for all processors, 10 ms
// and more, and on a device that has just come up IPv6 takes up to 0.1 s to work. And why not in macvlan's
// private mode: it takes away from the interface whatever a rival sends from the same virtual MAC, its
// advertisements included.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "carp/types.h"
#include "linux/netlink_socket.h"
#include "linux/sys_error.h"

namespace carpd {

// How the alias of every device of ours begins; the group's name follows, and a note for the next run.
inline constexpr std::string_view kDeviceAliasPrefix = "carpd:";

struct Macvlan {
    std::string name;
    int ifindex = 0;  // 0 until it is made

    static std::string name_for(int parent, Vhid vhid);
    std::optional<SysError> make(Netlink& netlink, int parent, const MacAddress& mac, std::string_view alias);
    // Takes the device as it stands, which a carpd that hands over made. False if there is no such device.
    bool adopt(Netlink& netlink, int parent, const MacAddress& mac);
    // Lets the network stack use it as it uses the interface `parent`.
    void open(const std::string& parent, bool with_ipv6) const;
    void close() const;
    // The kernel lowers a macvlan's MTU with its parent's, but doesn't raise it again.
    std::optional<SysError> follow_mtu(Netlink& netlink, std::uint32_t mtu) const;
    std::optional<SysError> remove(Netlink& netlink) const;
};

}  // namespace carpd
