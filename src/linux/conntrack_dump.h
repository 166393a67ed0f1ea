// All flows of the kernel's table, then all expectations, a piece at a time.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "base/expected.h"
#include "linux/conntrack_message.h"
#include "linux/sys_error.h"
#include "linux/unique_fd.h"

namespace carpd {

// One pass over the table of the network namespace that it is started in. It is no snapshot: of flows that
// come, go or move while it runs some are missed, or come twice. It takes about a second for a million flows;
// so that events and peers don't wait for it, it is read in pieces of a hundred, each when the reader likes.
class ConntrackDump {
 public:
    // All flows, or those of one family, which the kernel sorts out.
    static Expected<ConntrackDump, SysError> start(std::optional<Family> family = std::nullopt);

    // Reads the next piece, without waiting, and passes its flows on; their kind is `listed`. Returns whether
    // there is more.
    Expected<bool, SysError> read(const std::function<void(const FlowEvent&)>& take);

    // Messages that were no flow, by ConntrackRefusal.
    const std::array<std::uint64_t, kConntrackRefusals>& refused() const { return refused_; }

 private:
    static constexpr std::size_t kPiece = 32 * 1024;  // the kernel fills no more
    ConntrackDump(UniqueFd socket, std::optional<Family> family)
        : socket_(std::move(socket)), family_(family), buffer_(std::make_unique<std::uint8_t[]>(kPiece)) {}
    Expected<bool, SysError> begin_expectations();

    UniqueFd socket_;
    std::optional<Family> family_;
    bool flows_are_over_ = false;
    std::unique_ptr<std::uint8_t[]> buffer_;
    std::array<std::uint64_t, kConntrackRefusals> refused_{};
};

}  // namespace carpd
