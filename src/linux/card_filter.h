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

    // Frames to this MAC. Counted: as often as taken in, it must be left out again.
    void take_in(int ifindex, const MacAddress& mac);
    void leave_out(int ifindex, const MacAddress& mac);

    // Neighbour solicitations for this IPv6 address: those who ask send them to a multicast group that the
    // last three bytes choose. The network is told (MLD), for the sake of switches that snoop. Counted, too.
    void join(int ifindex, const IpAddress& address);
    void leave(int ifindex, const IpAddress& address);

 private:
    CardFilter() = default;
    void change(int ifindex, int option, int type, const MacAddress& mac);

    UniqueFd packets_;  // holds MACs
    UniqueFd members_;  // holds multicast groups; none on a host without IPv6
    std::map<std::pair<int, IpAddress>, int> joined_;
};

}  // namespace carpd
