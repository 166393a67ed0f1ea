// The programs that tell one firewall's flows to another, each as two processes or more.
#pragma once

#include <cstdint>
#include <vector>

#include "bench/contender.h"
#include "bench/firewalls.h"

namespace carpd::bench {

struct Synchronizer {
    const char* name;
    bool into_kernel;  // what the second firewall hears is in its kernel at once
    // Starts it on one of the two and returns when it listens.
    Running (*start)(Firewalls& firewalls, lab::Host& host);
    // How many of the first one's flows the second knows.
    std::uint64_t (*count_known)(Firewalls& firewalls);
    // Has the second one, just started, ask for all flows. Null: it does so by itself.
    void (*fetch)(Firewalls& firewalls);
    // Makes the second one the master; returns when it says that this is done, since when it was to be
    // master.
    lab::Time (*take_over)(Firewalls& firewalls);
};

// Those that are installed, carpd first.
std::vector<Synchronizer> synchronizers();

}  // namespace carpd::bench
