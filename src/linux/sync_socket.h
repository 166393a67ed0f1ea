// The UDP sockets by which `carpd: sync` and its peers talk: one for each family that peers have, bound to
// the port and to one interface. It knows addresses and bytes; who may say what is sync/channel.h's business.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/addresses.h"
#include "base/bytes.h"
#include "base/expected.h"
#include "linux/sys_error.h"
#include "linux/unique_fd.h"

namespace carpd {

class SyncSocket {
 public:
    // The longest datagram that is sent: an Ethernet frame's with the longer of the IP headers. Nothing is
    // fragmented.
    static constexpr std::size_t kLongest = 1500 - 40 - 8;
    static constexpr std::size_t kAtOnce = 32;

    struct Counters {
        std::uint64_t routed = 0;    // refused, because they passed a router
        std::uint64_t too_long = 0;  // refused
    };

    struct Options {
        std::string interface;
        int ifindex = 0;
        std::uint16_t port = 0;
        bool routed = false;    // datagrams may have passed a router
        bool families[2] = {};  // wanted, by Family
        // Of IPv6 and of the interface's link: what comes to it is heard, too; what is sent to it doesn't
        // come back.
        std::optional<IpAddress> group{};
    };
    // Counts where the sockets before it did.
    static Expected<SyncSocket, SysError> open(const Options& options, Counters& counters);

    // By Family; -1 for one that isn't wanted.
    std::array<int, 2> fds() const { return {sockets_[0].get(), sockets_[1].get()}; }
    int ifindex() const { return ifindex_; }

    struct Received {
        IpAddress source;
        std::span<std::uint8_t> bytes;
        bool to_group = false;
    };
    // What waits, at most kAtOnce datagrams of each family. Never blocks. Valid until the next call.
    std::span<const Received> receive();

    // Sends the datagrams, at most kAtOnce, to one peer or the group, and returns how many the kernel took;
    // what it didn't take is as lost as on the network. 0: errno says why.
    std::size_t send(const IpAddress& destination, std::span<const Bytes> datagrams);

 private:
    struct Memory;
    SyncSocket(const Options& options, Counters& counters);
    void receive(Family family);

    std::array<UniqueFd, 2> sockets_;
    int ifindex_;
    std::uint16_t port_;
    bool routed_;
    std::unique_ptr<Memory, void (*)(Memory*)> memory_;
    std::vector<Received> received_;
    Counters* counters_;
};

}  // namespace carpd
