// The section [metrics] of carpd.toml.
#pragma once

#include "config/config.h"
#include "config/reader.h"

namespace carpd {

// `node` is what stands under "metrics". Sets config.metrics, with an error if that is no good.
void read_metrics(Reader& reader, const toml::node& node, Config& config);

}  // namespace carpd
