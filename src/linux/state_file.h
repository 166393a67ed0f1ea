// A small file that outlives the daemon and the host's restarts, below $STATE_DIRECTORY, as systemd sets it,
// or /var/lib/carpd.
#pragma once

#include <string>

#include "base/expected.h"
#include "linux/sys_error.h"

namespace carpd {

// Of the daemon whose control socket this is; several may run on a host, each in a network namespace.
std::string state_file(const std::string& control, const std::string& kind);

// Its content; empty if there is no such file. At most 1 MiB is read; a larger one is an error.
Expected<std::string, SysError> read_state(const std::string& path);
// Puts `text` in its place, whole or not at all, making its directory if need be; empty removes it. After a
// power cut the old content may be back until somebody has called fsync(2) on it: who can't wait for a disk
// leaves that to others.
Expected<bool, SysError> write_state(const std::string& path, const std::string& text);

}  // namespace carpd
