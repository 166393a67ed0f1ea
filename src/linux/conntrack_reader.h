// Single flows of the kernel's table, by name.
#pragma once

#include <cstdint>
#include <optional>

#include "base/expected.h"
#include "linux/conntrack_message.h"
#include "linux/sys_error.h"
#include "linux/unique_fd.h"

namespace carpd {

// A socket for questions, in the network namespace that it is opened in. For what no event tells
// (conntrack_message.h).
class ConntrackReader {
 public:
    static Expected<ConntrackReader, SysError> open();

    // The flow of which `tuple` is either direction, as an event of kind `changed` that tells everything;
    // nothing if it isn't there, or the kernel can't be asked. The kernel answers at once.
    std::optional<FlowEvent> read(const FlowTuple& tuple, std::uint16_t zone);

 private:
    explicit ConntrackReader(UniqueFd socket) : socket_(std::move(socket)) {}

    UniqueFd socket_;
    std::uint32_t sequence_ = 0;
};

}  // namespace carpd
