// What it costs, and how long it takes, to keep another firewall's connection tracking up to date.
#pragma once

#include <nlohmann/json.hpp>

namespace carpd::bench {

// carpd's state synchronisation beside conntrackd's, with and without its external cache: processor time,
// loss, bytes, latency, memory, takeover and recovery; and the kernel's own limits. Prints them; returns
// {"limits": […], "replication": […], "lossless": […], "latency": […], "handover": […], "recovery": […],
// "goals": […]}. Needs root, and raises the host's limits of connection tracking for as long as it takes.
nlohmann::json sync();

}  // namespace carpd::bench
