// Two gateways that are both at work: each forwards the flows of its share of the clients, in both
// directions, through firewall rules that let in nothing but answers.
//
//                                inside                          outside
//     crowd 10.50.0.0/16 -- 10.1.0.100 --+-- gw1 --+-- 198.51.100.100 -- server 198.51.100.9
//                                        |    |    |
//                                        |   sync  |
//                                        |    |    |
//                                        +-- gw2 --+
//
// and the same in IPv6: 2001:db8:50::/64 inside, 2001:db8:2::/64 outside. On each side stands a pool, and the
// two sides of a carpnode move together.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "lab/carpd.h"
#include "lab/crowd.h"
#include "lab/lab.h"

namespace carpd::lab {

class Gateways {
 public:
    Gateways(Lab& lab, int clients, bool sync);

    Crowd& crowd() { return crowd_; }
    Host& server() { return server_; }
    Host& host(int index) { return *hosts_.at(static_cast<std::size_t>(index)); }
    Carpd& carpd(int index) { return daemons_.at(static_cast<std::size_t>(index)); }

    // Both start; throws if they don't come to be at home.
    void start();
    // Packets that it forwarded so far, of both families.
    std::uint64_t forwarded(int index) const;

 private:
    Host& add_gateway(Lab& lab, int number);
    std::string config(int number) const;

    const bool sync_;
    Crowd crowd_;
    Host& server_;
    std::vector<Host*> hosts_;
    std::deque<Carpd> daemons_;
};

}  // namespace carpd::lab
