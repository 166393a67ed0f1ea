// How long it takes from the decision that a host is MASTER of carpnodes until the kernel lets their clients
// in.
#pragma once

#include <vector>

#include "balance/types.h"

namespace carpd::bench {

struct OwnershipChange {
    BalanceHash hash;
    int carpnodes;                // that change at a time, of 32
    std::vector<double> take_us;  // in each round: installed, and with weights the slots moved
    std::vector<double> leave_us;
};

// By the engine's data plane, at an interface of its own. The pool's addresses are there because of another
// carpnode, as they are where a host stands in. At most 31 carpnodes.
OwnershipChange measure_ownership(BalanceHash hash, int carpnodes, int rounds);

}  // namespace carpd::bench
