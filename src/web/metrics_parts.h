// The parts of metrics.cc that stand in files of their own, and what they share.
#pragma once

#include "control/json.h"
#include "web/openmetrics.h"

namespace carpd {

inline double number(const Json& value) {
    if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
    return value.get<double>();
}

inline double seconds(const Json& value) {
    return value.get<double>() / 1000;  // keys in milliseconds
}

// Of state synchronisation: `copy` is what the engine knows of it, `sync` what it says itself, or null.
void add_sync(OpenMetrics& out, const Json& copy, const Json& sync);

}  // namespace carpd
