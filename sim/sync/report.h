// Worlds that synchronise flows, as main() wants them run.
#pragma once

#include "sim/batch.h"
#include "sim/report.h"

namespace carpd::sim::sync {

Worlds worlds();
// Runs one and prints what is asked for and, if a statement is broken, the story. True if all held.
bool run_seed(const SeedOptions& options);

}  // namespace carpd::sim::sync
