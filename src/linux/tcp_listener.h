// A TCP socket that listens at an address of this host.
#pragma once

#include <cstdint>

#include "base/addresses.h"
#include "base/expected.h"
#include "linux/sys_error.h"
#include "linux/unique_fd.h"

namespace carpd {

// Blocking. A port that connections of an earlier server still have is taken, one of a server that runs
// isn't.
Expected<UniqueFd, SysError> listen_tcp(const IpAddress& address, std::uint16_t port);

}  // namespace carpd
