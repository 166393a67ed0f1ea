// Asks the LAN, as doctor needs it: who has an address, and do foreign MACs pass. It sends a few broadcast
// frames in this host's own name, which change nobody's tables (a test of foreign MACs makes switches learn
// one more MAC for a while), and needs CAP_NET_RAW.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "base/expected.h"
#include "carpctl/doctor.h"

namespace carpd {

struct LanQuestion {
    std::string interface;
    IpAddress source;  // the interface's own
    IpAddress address;
    // In an Ethernet broadcast also where IPv6 has a multicast: a switch that has forgotten who wants which
    // passes it.
    bool by_broadcast = false;
};

// Asks all at once, and again halfway, and listens for `patience`. An error is a sentence without its full
// stop.
Expected<std::vector<LanAnswer>, std::string> ask_lan(std::span<const LanQuestion> questions,
                                                      std::chrono::milliseconds patience);
// Asks each in the interface's own name, then those who answered in that of a MAC that nobody has.
Expected<std::vector<ForeignMacTest>, std::string> test_foreign_macs(std::span<const LanQuestion> questions,
                                                                     std::chrono::milliseconds patience);

}  // namespace carpd
