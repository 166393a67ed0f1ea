// The sockets that carry advertisements: few, however many groups and interfaces there are.
//
// Receiving is by a packet socket, not raw IP ones: a peer may send from the shared address itself, which the
// IP stack of a master would drop as its own, and an interface needs no address to hear others. A raw IP
// socket per family stays open for sending to unicast peers, and so that the kernel doesn't answer their
// advertisements with ICMP errors.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/addresses.h"
#include "base/bytes.h"
#include "base/expected.h"
#include "linux/packet_ring.h"
#include "linux/sys_error.h"
#include "linux/unique_fd.h"
#include "wire/neighbor.h"

namespace carpd {

// A packet of protocol 112, beginning with its IP header.
struct Received {
    int ifindex;
    Bytes bytes;
    MacAddress source_mac;
};

// By which two sockets that hear the same know it; never 0.
std::uint64_t packet_digest(const Received& packet);

// It begins with its Ethernet header, and leaves through that interface.
struct OutgoingFrame {
    int ifindex;
    Frame frame;
    bool sent = false;
};

enum class SendOutcome {
    sent,
    unreachable,  // the peer (or the way to it) doesn't answer: not our fault
    failed,       // it couldn't be handed to the network; errno says why
};

class CarpSocket {
 public:
    static Expected<CarpSocket, SysError> open();

    // Readable when packets wait.
    int fd() const { return receive_.get(); }
    // The next batch of waiting packets, in order; empty when none waits. Valid until the next call.
    std::span<const Received> receive();

    // Sets `sent` of each frame that could be handed to the network.
    void send_frames(std::span<OutgoingFrame> frames);
    // `ip_packet`, which goes to a multicast group, in a frame from the interface's own MAC.
    void send_multicast(int ifindex, Bytes ip_packet, const IpAddress& destination);
    // `ip_packet` begins with its IP header, `destination` is in it. It leaves through this interface
    // whatever the routes prefer, by a gateway where they say so.
    SendOutcome send_unicast(int ifindex, Bytes ip_packet, const IpAddress& destination);

    // Hear CARP's multicast groups on an interface; again harmless, and needed again after it vanished. The
    // card's filter is opened for sure; an error means that the network was not told (IGMP, MLD), which
    // matters only where switches snoop.
    std::optional<SysError> join(int ifindex);
    void leave(int ifindex);

 private:
    static constexpr std::size_t kBatch = 64;

    CarpSocket() { received_.reserve(kBatch); }
    std::optional<SysError> open_all();
    bool open_receiver();
    void change_card_filter(int ifindex, int option);
    int change_membership(int ifindex, Family family, bool join);
    void send_apart(OutgoingFrame& frame, const sockaddr_ll& to);

    UniqueFd receive_, send_, send_apart_, send_bare_;  // packet sockets
    std::optional<ReceiveRing> receive_ring_;
    std::optional<SendRing> send_ring_;
    UniqueFd raw_ipv4_, raw_ipv6_;
    std::vector<UniqueFd> members_[2];  // by family; each may join a limited number of interfaces
    std::vector<Received> received_;
};

}  // namespace carpd
