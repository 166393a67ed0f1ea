// A host's interfaces in the arena (bench/arena.h), also those of one more host.
#pragma once

#include "lab/lab.h"

namespace carpd::bench {

// eth0, eth1 and so on, on as many LANs.
void attach_to_lans(lab::Host& host, int lans);

}  // namespace carpd::bench
