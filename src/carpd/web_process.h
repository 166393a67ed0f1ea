// The process `carpd: web`, which serves metrics and the status page where there is [metrics]: a program of
// its own (src/web), so that neither its code nor its libraries are in the engine. The supervisor keeps it
// (carpd/keeper.h); it asks the engine and `carpd: sync` over their control sockets, where it may only read.
#pragma once

#include "carpd/keeper.h"
#include "linux/line_server.h"

namespace carpd {

KeptProcess web_process();

// Lets it connect to a control socket, as a reader (LineServer::is_reader). It isn't carpd's user any more
// when it asks; where it is, for carpd isn't root's, there is nothing to do.
void admit_web(LineServer& control);

}  // namespace carpd
