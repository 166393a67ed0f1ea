// Two hosts on as many LANs as the groups need, eth0, eth1 and so on, for one program after the other.
#pragma once

#include <cstdint>

#include "lab/lab.h"

namespace carpd::bench {

// Of all LANs of a host, since they were made.
struct Packets {
    std::uint64_t received = 0, sent = 0;
};
Packets packets_of(const lab::Host& host);

struct Arena {
    lab::Lab lab;
    lab::Host& master = lab.add_host("master");
    lab::Host& backup = lab.add_host("backup");

    explicit Arena(int lans);
    // Whether the hosts have so many shared addresses.
    bool has_owners(int of_master, int of_backup) const;

 private:
    int own_addresses_;  // of each host
};

}  // namespace carpd::bench
