// What processes cost.
#pragma once

#include <sys/types.h>

#include <vector>

namespace carpd::bench {

// Processor time of all threads since the start, user and system, of all these processes: what
// /proc/PID/stat says, in nanoseconds instead of hundredths of a second.
double cpu_seconds(const std::vector<pid_t>& processes);

// Proportional set size: a page that several processes share is shared among them.
double pss_kib(const std::vector<pid_t>& processes);

}  // namespace carpd::bench
