// What is measured of a program that synchronises two firewalls: each time with new ones, so that nothing is
// left of the last.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "bench/synchronizer.h"

namespace carpd::bench {

// While new connections come through the first firewall.
struct Replication {
    double per_second;            // as many as could be made
    double sender_s, receiver_s;  // processor time of all processes, for 100,000 connections
    double missing;               // what the second firewall doesn't know when nothing comes any more
    double bytes_per_event;       // on the wire, both ways; a connection has three events
};
Replication replicate(const Synchronizer& program, int per_second, std::uint32_t connections);

// From the first packet of a connection until it is in the second one's kernel, for programs that put it
// there.
struct Latencies {
    std::vector<double> ms;  // in order; those that didn't come are kPatienceMs
    int lost = 0;
    static constexpr double kPatienceMs = 2000;
};
// Beside so many other new connections a second.
Latencies measure_latencies(const Synchronizer& program, int per_second);

// Many connections are there when the programs start; then the second firewall takes over.
struct Handover {
    std::optional<double> filled_s;               // since the second one's start: it knows all
    double sender_bytes = 0, receiver_bytes = 0;  // of memory, for each
    std::optional<double> usable_ms;              // since the takeover: all are in its kernel
    std::uint32_t missing = 0;                    // afterwards
};
// What the processes need without any connections.
struct Memory {
    double sender_kib, receiver_kib;
};
Memory measure_memory(const Synchronizer& program);
Handover hand_over(const Synchronizer& program, const Memory& empty, std::uint32_t connections);

// Since the trouble was over: both know the same. Nothing: not within a minute.
struct Recovery {
    std::uint32_t connections;
    std::uint64_t lost_events;  // that the first firewall's program was told to have missed
    std::optional<double> seconds;
};
// So many connections appear at the first firewall as fast as its kernel can.
Recovery recover_from_burst(const Synchronizer& program, std::uint32_t connections);
// The link between the firewalls is cut while connections begin and end.
Recovery recover_from_cut(const Synchronizer& program);

}  // namespace carpd::bench
