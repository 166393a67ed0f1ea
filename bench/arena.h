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

// What a process sends through a veth, its own time delivers: through the switch and into the sockets of the
// other host. That is no cost of a host. With NAPI (which a veth has for GRO, if its other end doesn't have
// TSO) in kernel threads, those take over at the end of the cable. There it has a ring of 256 frames, so it
// needs what a card has, too: a queue for what doesn't fit. To be called for both ends.
void deliver_by_kernel_thread(const lab::Namespace& space, const std::string& interface);

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
