// The host's network interfaces as they are now, kept up to date from the kernel's events.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "carp/types.h"
#include "linux/netlink_socket.h"
#include "linux/sys_error.h"
#include "linux/unique_fd.h"

namespace carpd {

struct Interface {
    Link link;
    // None of lo: shared addresses stand there by the thousand, and nobody asks for them by interface.
    std::vector<LinkAddress> addresses;  // in the kernel's order: the primary one first

    int ifindex() const { return link.ifindex; }
    const std::string& name() const { return link.name; }
    const MacAddress& mac() const { return link.mac; }
    bool up() const { return link.up; }
    bool running() const { return link.running; }
};

// A socket of its own for events, and the table they maintain. The engine waits for fd() and calls drain().
// Interfaces vanish, come back with another ifindex and are renamed: hold on to names, not to pointers.
class LinkMonitor {
 public:
    // `netlink` (which must outlive the monitor) is used for dumps. The table is filled on return.
    static Expected<LinkMonitor, SysError> open(Netlink& netlink);

    int fd() const { return socket_.get(); }
    struct Changes {
        // Of which something changed: existence, name, flags, MAC, MTU, an address, whether it forwards IPv6.
        std::vector<std::string> changed;
        // From which something may have been taken that was there: all of that but an address or interface
        // added; and a qdisc or filter. Single addresses are in `lost`.
        std::vector<std::string> deprived;
        std::vector<LinkAddress> lost;  // addresses that were removed
        bool empty() const { return changed.empty() && deprived.empty() && lost.empty(); }
    };
    // Reads all waiting events. Each interface's name comes once, a renamed one's with both names. If events
    // were lost, the table is read anew and everything counts as changed and deprived.
    Changes drain();
    // Events were lost and the kernel could not be asked yet: drain() tries again, also when nothing waits.
    bool is_stale() const { return stale_; }
    // Reads the whole table from the kernel.
    std::optional<SysError> resync();

    // Null if there is none. Valid until the next drain() or resync().
    const Interface* find(std::string_view name) const;
    const Interface* find(int ifindex) const;

 private:
    LinkMonitor(Netlink& netlink, UniqueFd socket) : netlink_(&netlink), socket_(std::move(socket)) {}
    void apply(const nlmsghdr& message, Changes& changes);
    void apply_address(const nlmsghdr& message, Changes& changes);
    void put_link(Link link, Changes& changes);
    void remove_link(int ifindex, Changes& changes);
    static bool update_addresses(std::vector<LinkAddress>& addresses, const LinkAddress& address,
                                 bool present);
    Interface* find_mutable(int ifindex);

    Netlink* netlink_;
    UniqueFd socket_;
    std::vector<Interface> interfaces_;
    bool stale_ = false;  // events were lost and the table couldn't be read since
};

// What the core wants to know of an interface. Null: it doesn't exist. An address for which `is_shared` is
// true belongs to a group and is no source of advertisements.
LinkStatus link_status(const Interface* interface, const std::function<bool(const IpAddress&)>& is_shared);

}  // namespace carpd
