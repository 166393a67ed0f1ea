// Which Ethernet addresses an interface's card takes in besides its own. All of it ends with the process.
#pragma once

#include <map>
#include <utility>

#include "base/addresses.h"
#include "base/expected.h"
#include "linux/sys_error.h"
#include "linux/unique_fd.h"

namespace carpd {

class CardFilter {
 public:
    static Expected<CardFilter, SysError> open();

    // Frames to this MAC. Counted: as often as taken in, it must be left out again. If it is that of the IPv4
    // groups 224.0.1.x the network is told (IGMP), for the sake of switches that snoop.
    void take_in(int ifindex, const MacAddress& mac);
    void leave_out(int ifindex, const MacAddress& mac);

    // Neighbour solicitations for this IPv6 address: those who ask send them to a multicast group that the
    // last three bytes choose. The network is told (MLD). Counted, too.
    void join(int ifindex, const IpAddress& address);
    void leave(int ifindex, const IpAddress& address);

 private:
    CardFilter() = default;
    void change(int ifindex, int option, int type, const MacAddress& mac);

    // A member of an IPv4 group: a socket of its own, for one holds few of them (igmp_max_memberships).
    struct Member {
        int users = 0;
        UniqueFd socket;
    };

    UniqueFd packets_;  // holds MACs
    UniqueFd members_;  // holds multicast groups; none on a host without IPv6
    std::map<std::pair<int, IpAddress>, int> joined_;
    std::map<std::pair<int, std::uint8_t>, Member> members4_;  // by the last byte
};

}  // namespace carpd
