#include "linux/macvlan.h"

#include <net/if.h>

#include <algorithm>

#include "linux/sysctl.h"

namespace carpd {

namespace {

// What the device needs of the network stack, before it is brought up.
void tune(const std::string& device) {
    write_sysctl(ipv6_setting(device, "disable_ipv6"), 1);
    write_sysctl(ipv4_setting(device, "forwarding"), 0);
    // It answers for its own addresses only, not for the parent's.
    write_sysctl(ipv4_setting(device, "arp_ignore"), 1);
    write_sysctl(ipv4_setting(device, "arp_announce"), 2);
    write_sysctl(ipv6_setting(device, "accept_ra"), 0);
    write_sysctl(ipv6_setting(device, "autoconf"), 0);
    // Clients whose gateway is the address reach us here, while their route points to the parent: strict
    // reverse path filtering would drop what they want forwarded. The kernel takes the larger of both values;
    // 2 is loose.
    const int strict = std::max(read_sysctl(ipv4_setting("all", "rp_filter")).value_or(0),
                                read_sysctl(ipv4_setting(device, "rp_filter")).value_or(0));
    if (strict == 1) write_sysctl(ipv4_setting(device, "rp_filter"), 2);
}

}  // namespace

std::string Macvlan::name_for(int parent, Vhid vhid) {
    return "carp" + std::to_string(parent) + "." + std::to_string(vhid.value);
}

std::optional<SysError> Macvlan::make(Netlink& netlink, int parent, const MacAddress& mac,
                                      std::string_view alias) {
    NetlinkBatch add;
    add.add_macvlan(name, parent, mac);
    if (auto outcome = netlink.run(add); outcome.error()) return outcome.error();
    ifindex = static_cast<int>(if_nametoindex(name.c_str()));
    tune(name);
    NetlinkBatch configure;
    configure.set_alias(ifindex, alias);
    configure.stop_address_generation(ifindex);
    configure.set_up(ifindex, true);
    return netlink.run(configure).error();
}

bool Macvlan::adopt(Netlink& netlink, int parent, const MacAddress& mac) {
    const auto index = static_cast<int>(if_nametoindex(name.c_str()));
    const auto link = netlink.link(index);
    if (index == 0 || !link || !*link) return false;
    const Link& standing = **link;
    if (!standing.alias.starts_with(kDeviceAliasPrefix) || standing.mac != mac || standing.parent != parent)
        return false;
    ifindex = index;
    return true;
}

void Macvlan::open(const std::string& parent, bool with_ipv6) const {
    for (const auto setting : {ipv4_setting, ipv6_setting}) {
        const auto forwarding = read_sysctl(setting(parent, "forwarding"));
        if (forwarding && forwarding != read_sysctl(setting(name, "forwarding")))
            write_sysctl(setting(name, "forwarding"), *forwarding);
    }
    if (with_ipv6) write_sysctl(ipv6_setting(name, "disable_ipv6"), 0);
}

// Turning IPv6 off takes its addresses away without telling the network that their multicast groups are left:
// that would be the virtual MAC's last word here, after its first on the host that took over.
void Macvlan::close() const {
    write_sysctl(ipv6_setting(name, "disable_ipv6"), 1);
    write_sysctl(ipv4_setting(name, "forwarding"), 0);
}

std::optional<SysError> Macvlan::follow_mtu(Netlink& netlink, std::uint32_t mtu) const {
    const auto link = netlink.link(ifindex);
    if (!link || !*link || (*link)->mtu == mtu) return std::nullopt;
    NetlinkBatch batch;
    batch.set_mtu(ifindex, mtu);
    return netlink.run(batch).error();
}

std::optional<SysError> Macvlan::remove(Netlink& netlink) const {
    const auto link = netlink.link(ifindex);
    if (ifindex == 0 || !link || !*link || (*link)->name != name) return std::nullopt;
    NetlinkBatch batch;
    batch.delete_link(ifindex);
    return netlink.run(batch).error();
}

}  // namespace carpd
