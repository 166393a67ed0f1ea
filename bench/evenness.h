// How evenly many clients are spread over the carpnodes of a pool, by the hashes alone.
#pragma once

#include <string>
#include <vector>

namespace carpd::bench {

struct Evenness {
    const char* hash;
    const char* clients;
    int carpnodes;
    double fewest, most;  // clients of one carpnode, of its fair share
    double chi_square;    // against the uniform distribution
    double critical;      // what chance exceeds once in a thousand times
};

// Of 10,000 clients each.
std::vector<Evenness> measure_evenness();

}  // namespace carpd::bench
