// Two firewalls, of which the first one passes the flows between a client and a server and the second one is
// to know them too.
//
//     client eth0 ---- lan first wan ---- eth0 server
//                          sync
//                           |                 eth0 of both firewalls: a LAN for their CARP groups
//                          sync
//                          second
//
// Client and server have no addresses: what they say, FlowGenerator makes, and nothing hears it.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <cstdint>
#include <string>

#include "lab/lab.h"

namespace carpd::bench {

struct Firewalls {
    static constexpr const char* kSharedAddress = "192.0.2.100";  // of the CARP groups, prefix length 24

    lab::Lab lab;
    lab::Host& client = lab.add_host("client");
    lab::Host& server = lab.add_host("server");
    lab::Host& first = lab.add_host("first", {"192.0.2.1/24"});
    lab::Host& second = lab.add_host("second", {"192.0.2.2/24"});

    // With rules that let in what begins with a SYN, and drop what is invalid.
    Firewalls();
    // On the link between the firewalls.
    static std::string sync_address(const lab::Host& firewall);
    const lab::Host& other(const lab::Host& firewall) const { return &firewall == &first ? second : first; }
    // Bytes of the frames on that link, both ways, since the firewalls were made.
    std::uint64_t sync_bytes() const;
    void plug_sync(bool in);
};

// Room for the flows of both in the kernel's connection tracking, whose limits are the whole host's. When
// this object goes they are what they were, by a process that waits for that: also if we are killed.
class ConntrackRoom {
 public:
    ConntrackRoom();
    ~ConntrackRoom();
    ConntrackRoom(const ConntrackRoom&) = delete;
    ConntrackRoom& operator=(const ConntrackRoom&) = delete;
    // How many each firewall can have.
    std::uint32_t flows() const;

 private:
    static constexpr int kParentEnded = SIGUSR1;
    pid_t restorer_;
};

}  // namespace carpd::bench
