// What the kernel says of flows as they are created, change and end, and of expectations.
//
// With net.netfilter.nf_conntrack_events = 2, the kernel's default, only flows that began while somebody
// listened have events at all, even of their end; where it is 1, all have. And no event tells that traffic
// refreshed a flow's timeout.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/expected.h"
#include "linux/conntrack_message.h"
#include "linux/sys_error.h"
#include "linux/unique_fd.h"

namespace carpd {

// A socket that hears them, of the network namespace that it is opened in; but, if that isn't wanted, not of
// new TCP connections that nobody has answered, unless they have a helper, a master or labels, of which no
// later event tells. All its memory is given at the start.
class ConntrackEvents {
 public:
    struct Options {
        // What was done through the socket with this port id isn't heard: a filter in the kernel drops it.
        // 0: everything is.
        std::uint32_t ignored_port = 0;
        // Bytes of socket buffer, as the kernel counts them: each event takes 1280 of them, however short.
        std::size_t buffer = 64 * 1024 * 1024;
        // Whether new TCP connections that nobody has answered are heard of, too.
        bool unanswered = false;
    };
    static Expected<ConntrackEvents, SysError> open(const Options& options);

    // Whether it hears of everything, as at first, or only of flows that end. While nobody in the namespace
    // hears of flows that begin and change, the kernel doesn't make messages of them: that costs as much as
    // making a flow.
    void hear_all(bool all);

    // Readable when events wait, or were lost. Level-triggered.
    int fd() const { return socket_.get(); }

    struct Batch {
        std::span<const FlowEvent> events;  // in order; valid until the next read()
        // So many events, at least, found the buffer full and are lost since the last batch that said so. It
        // is said when the socket has been emptied, for until then the kernel drops all that comes: a dump
        // that starts now finds what was missed.
        std::uint32_t lost = 0;
        bool more = false;  // more events may wait
    };
    // Never blocks.
    Batch read();

    // Messages that were no flow, by ConntrackRefusal.
    const std::array<std::uint64_t, kConntrackRefusals>& refused() const { return refused_; }

 private:
    static constexpr std::size_t kAtOnce = 64;
    static constexpr std::size_t kLongest = 2048;  // bytes of one event; they have 150 to 700
    struct Memory {
        alignas(8) std::uint8_t bytes[kAtOnce][kLongest];
        iovec places[kAtOnce];
        mmsghdr headers[kAtOnce];
    };
    explicit ConntrackEvents(UniqueFd socket);
    void take(Bytes datagram);
    std::uint32_t count_losses();

    UniqueFd socket_;
    std::unique_ptr<Memory> memory_;
    std::vector<FlowEvent> events_;
    std::array<std::uint64_t, kConntrackRefusals> refused_{};
    bool losing_ = false;
    std::uint32_t drops_ = 0;  // the kernel's count of them when it was read last
};

}  // namespace carpd
