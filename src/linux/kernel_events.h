// What the kernel tells of links and routes by itself, for checks that look again when something changed.
#pragma once

#include <libmnl/libmnl.h>

#include <cstdint>
#include <functional>

#include "linux/unique_fd.h"

namespace carpd {

// A non-blocking rtnetlink socket that hears the events of `groups` (RTMGRP_*) from now on; none if the
// kernel refuses it.
UniqueFd open_kernel_events(std::uint32_t groups);

// Reads what waits, within bounds. Returns whether `concerns` was true for any, or some were lost.
bool read_kernel_events(int fd, const std::function<bool(const nlmsghdr&)>& concerns);

// Passes the messages of one datagram on until `take` returns false.
void for_each_message(const char* bytes, std::size_t size, const std::function<bool(const nlmsghdr&)>& take);

}  // namespace carpd
