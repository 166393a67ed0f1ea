// Text in memory that is passed from process to process as a descriptor (memfd_create(2)).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/expected.h"
#include "linux/sys_error.h"
#include "linux/unique_fd.h"

namespace carpd {

// Closed on exec(2), as all our descriptors are.
Expected<UniqueFd, SysError> make_memory_file(std::string_view text);
// All of it. More than `most` bytes are an error.
Expected<std::string, SysError> read_memory_file(int fd, std::size_t most);

}  // namespace carpd
