// The process `carpd: web`, which serves metrics and the status page where there is [metrics]: a program of
// its own (src/web), so that neither its code nor its libraries are in the engine. The supervisor keeps it
// (carpd/keeper.h); it asks the engine over the control socket, where it may only read.
#pragma once

#include "carpd/keeper.h"

namespace carpd {

KeptProcess web_process();

}  // namespace carpd
