// What a process that hears strangers gives up before it hears the first one, so that whoever gets hold of it
// has little of the host: its user, its rights but one, and most system calls.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "linux/sys_error.h"

namespace carpd {

struct Sandbox {
    std::string user;  // whose the process is now; empty: the user is as before
    // What couldn't be given up, for the log; everything else is.
    std::vector<SysError> warnings;
};

// Who enters one, and what it keeps beyond what is open: the right (CAP_NET_ADMIN), and system calls.
enum class SandboxFor {
    sync,            // `carpd: sync`: CAP_NET_ADMIN, sockets of IP and netlink
    deferring_sync,  // and it attaches BPF programs that it has to interfaces (linux/deferred_frames.h): the
                     // one call bpf(BPF_LINK_CREATE), for which CAP_NET_ADMIN is enough. It can't load any
    web,             // `carpd: web`: no right; Unix sockets that it connects, and threads
};

// Once the process has all that root's user is needed for: files that it writes or that others may not read,
// and the sockets at which it listens. From then on
//  - its user is `carpd` if /etc/passwd has one, otherwise `nobody` (65534), without other groups. That only
//    where carpd is root's and may change users and still send signals to them (CAP_SETUID, CAP_SETGID,
//    CAP_KILL), for the supervisor must be able to end it;
//  - it has the right above and can't get any other;
//  - it can make only the system calls that it needs (sandbox.cc lists them). Any other fails with ENOSYS, as
//    on an older kernel, which a C library can live with, and the kernel's log names it (audit, type 1326).
//    Above all it can't start programs or processes, write or make files, nor make memory executable.
// Nothing of that can be undone. It holds for the calling thread and those that it starts later.
Sandbox enter_sandbox(SandboxFor who);

// Whose a process is after that, if carpd is root's.
struct SandboxUser {
    std::string name;
    uid_t uid;
    gid_t gid;
};
SandboxUser sandbox_user();

}  // namespace carpd
