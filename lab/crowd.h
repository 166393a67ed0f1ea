// Many clients of one service in one namespace, each with an address of its own in both families, on segment
// 0, where the hosts have addresses in 10.1.0.0/16 and 2001:db8::/64.
#pragma once

#include <string>

#include "base/addresses.h"
#include "lab/lab.h"

namespace carpd::lab {

class Crowd {
 public:
    enum class Place {
        beyond_router,  // 10.50.0.0/16 and 2001:db8:50::/64, by 10.1.0.9 and 2001:db8::9: for hundreds
        on_the_lan,     // 10.1.1.0/24 and 2001:db8::1:0/112, each with a MAC of its own: for 250 at most
    };
    Crowd(Lab& lab, int clients, Place place);

    Host& host() const { return host_; }
    int size() const { return size_; }
    IpAddress address(int client, Family family) const;
    // Only on the LAN.
    MacAddress mac(int client) const;
    // From its address, and over its own interface. To be called inside the host's namespace.
    UniqueFd socket(int client, Family family, int type, int protocol = 0) const;
    // A host that serves clients beyond the router needs to know their way.
    static void add_routes(Host& server);

 private:
    const int size_;
    const Place place_;
    Host& host_;
};

}  // namespace carpd::lab
