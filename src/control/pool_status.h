// What carpd tells of a pool of hosts that balance load (docs/protocol/balance.md): who has which share, and
// who serves a client, and why. The texts are JSON, for the answers of control/status.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "carp/node.h"

namespace carpd {

// An element of "pools" in a status. `traffic`: nothing while the data plane doesn't stand.
std::string status_of(const Node& node, const Balancer& pool, Instant now,
                      const std::optional<PoolTraffic>& traffic);

// Who asks for a pool's addresses. At least one of the two is known.
struct PoolClient {
    std::optional<IpAddress> address;  // by which IP balancing shares
    std::optional<MacAddress> mac;     // by which ARP balancing does
};

// The answer to a client request, in one line: for each pool, and each of its addresses that the client can
// reach, the carpnode and host that serve it.
std::string client_line(const Node& node, const std::vector<const Balancer*>& pools, const PoolClient& client,
                        Instant now);

}  // namespace carpd
