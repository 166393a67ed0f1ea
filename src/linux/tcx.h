// BPF programs at an interface's tcx (Linux 6.6), in the calling thread's network namespace. A program that
// is attached so stays there when the process ends; a link wouldn't.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "linux/netlink_socket.h"
#include "linux/sys_error.h"
#include "linux/unique_fd.h"

namespace carpd {

struct TcxProgram {
    UniqueFd fd;
    std::string name;
};

// What stands there, in the order in which packets meet it; also what others attached by links. Nothing if
// that can't be known: the kernel is older, or something stands there and the process lacks CAP_SYS_ADMIN.
std::optional<std::vector<TcxProgram>> tcx_programs(int ifindex, Direction direction);

// Puts a program there: in the place of the one that has this name, so that no packet meets none or both, or
// else behind the last one of the name `behind`, or else before all. Needs CAP_SYS_ADMIN.
std::optional<SysError> put_tcx(int program, int ifindex, Direction direction, std::string_view name,
                                std::string_view behind);
// All of this name that stand there by themselves. Returns their descriptors.
std::vector<UniqueFd> remove_tcx(int ifindex, Direction direction, std::string_view name);

}  // namespace carpd
