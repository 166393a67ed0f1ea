// What it costs a host to decide which packets are its own, where all hosts get all packets: carpd's gate
// beside other filters, and beside none.
#pragma once

#include <string>
#include <vector>

namespace carpd::bench {

enum class Ownership { all, half, none };
const char* to_string(Ownership owned);

struct AcceptanceCost {
    std::string filter;  // one of the names below
    Ownership owned{};
    std::vector<double> ns_per_packet;  // in each round: from the cable to the program's socket, or the drop
    double passed = 0;                  // of all packets
};

inline constexpr const char* kNoFilter = "no filter";
inline constexpr const char* kSocket =
    "carpd without a gate";  // how it hears advertisements, and nothing else
inline constexpr const char* kGate = "carpd's gate";
inline constexpr const char* kNftables = "nft netdev jhash + vmap";
inline constexpr const char* kXtCluster = "xt_cluster";

// All filters get the same packets, small UDP ones of a thousand clients to the pool's multicast MAC, round
// after round, one filter after the other. A filter that this machine doesn't have is left out, and so is
// xt_cluster that owns nothing, which it can't.
std::vector<AcceptanceCost> measure_acceptance(int rounds, int packets);

}  // namespace carpd::bench
