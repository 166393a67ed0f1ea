// Unix stream sockets by their path.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/expected.h"
#include "linux/sys_error.h"
#include "linux/unique_fd.h"

namespace carpd {

// Listens at `path`, making its directory if need be; non-blocking. A socket file that an earlier run left
// behind is replaced; one on which somebody answers is not (EADDRINUSE), nor is anything that isn't a socket.
// The file has `mode` from its first moment, whatever the umask is.
Expected<UniqueFd, SysError> listen_unix(const std::string& path, mode_t mode, int backlog);

// Connects to who listens there; non-blocking. A full queue counts as an error.
Expected<UniqueFd, SysError> connect_unix(const std::string& path);

// Removes the socket file of a server that has ended, if it is one and nobody listens.
void remove_abandoned_socket(const std::string& path);

}  // namespace carpd
