// A client that downloads without an end, and looks at every byte.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "lab/loop.h"
#include "lab/traffic_server.h"

namespace carpd::lab {

class Download {
 public:
    // From a TrafficServer; returns when the first bytes are here, throws if that takes seconds.
    Download(Host& client, const std::string& server);

    // The connection is open, and every byte so far was the right one.
    bool intact() const;
    std::uint64_t bytes() const;
    // Those that came in [from, until).
    std::uint64_t bytes_between(Time from, Time until) const;
    // The longest time since `from` in which nothing came.
    Span longest_stall(Time from) const;
    // Waits until something comes that was not here before.
    bool wait_more(Span patience) const;

 private:
    void hear();

    UniqueFd socket_;
    Pattern pattern_;
    bool intact_ = true;
    std::vector<std::pair<Time, std::uint64_t>> arrivals_;  // all that was here then
    Loop loop_;
};

}  // namespace carpd::lab
