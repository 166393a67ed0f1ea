// `carpctl capture`: what carpd's own socket would hear and what it sends, as pcapng, by a packet
// socket of its own.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>

#include "carpctl/commands.h"
#include "linux/unique_fd.h"
#include "wire/ip_packet.h"
#include "wire/link_frame.h"

namespace carpd {

namespace {

constexpr int kOn = 1;

Failure failed(std::string_view what) {
    return {kFailed, fmt::format("{}: {}", what, std::strerror(errno))};
}

// ---- hearing

// IP packets that say CARP, from the IP header on.
std::array<sock_filter, 9> carp_filter() {
    constexpr std::uint32_t kProtocol = static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_PROTOCOL);
    constexpr std::uint32_t kIpv4Protocol = 9, kIpv6NextHeader = 6;
    return {{
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, kProtocol),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 5),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kIpv6NextHeader),
        BPF_STMT(BPF_JMP | BPF_JA, 1),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kIpv4Protocol),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kCarpProtocol, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, CaptureBlock::kSnapLength),
        BPF_STMT(BPF_RET | BPF_K, 0),
    }};
}

// Without it a card gives away what is sent to CARP's groups while nobody on this host is in them.
void join_groups(int fd, unsigned interface) {
    for (const auto& mac : {std::array<std::uint8_t, 6>{0x01, 0x00, 0x5e, 0x00, 0x00, 0x12},
                            std::array<std::uint8_t, 6>{0x33, 0x33, 0x00, 0x00, 0x00, 0x12}}) {
        packet_mreq request{};
        request.mr_ifindex = static_cast<int>(interface);
        request.mr_type = PACKET_MR_MULTICAST;
        request.mr_alen = static_cast<unsigned short>(mac.size());
        std::copy(mac.begin(), mac.end(), request.mr_address);
        // Where it is no Ethernet there is nothing to join.
        setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request);
    }
}

struct Heard {
    sockaddr_ll sender;
    std::optional<std::uint16_t> vlan;  // the tag that the kernel took out
    std::int64_t time;                  // nanoseconds since 1970
    Bytes ip;                           // until the next
};

class PacketSocket {
 public:
    // Protocol 0 receives nothing until bind, so no packet slips in before the filter.
    PacketSocket() : fd_(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {}

    std::optional<Failure> open();
    void join(unsigned interface) { join_groups(fd_.get(), interface); }
    int fd() const { return fd_.get(); }
    // Nothing if none waits.
    std::optional<Heard> next();
    // How many the kernel could not keep for us.
    unsigned lost() const;

 private:
    UniqueFd fd_;
    std::array<std::uint8_t, CaptureBlock::kSnapLength> packet_;
};

std::optional<Failure> PacketSocket::open() {
    if (fd_.get() < 0 && errno == EPERM)
        return Failure{kFailed, "capturing needs CAP_NET_RAW: run it as root"};
    auto filter = carp_filter();
    const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
    sockaddr_ll everywhere{};
    everywhere.sll_family = AF_PACKET;
    everywhere.sll_protocol = htons(ETH_P_ALL);
    if (fd_.get() < 0 || setsockopt(fd_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0 ||
        setsockopt(fd_.get(), SOL_SOCKET, SO_TIMESTAMPNS, &kOn, sizeof kOn) != 0 ||
        setsockopt(fd_.get(), SOL_PACKET, PACKET_AUXDATA, &kOn, sizeof kOn) != 0 ||
        ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&everywhere), sizeof everywhere) != 0)
        return failed("a packet socket can't be opened");
    return std::nullopt;
}

std::optional<Heard> PacketSocket::next() {
    Heard heard{};
    alignas(cmsghdr) std::array<char, 256> control;
    iovec data{packet_.data(), packet_.size()};
    msghdr message{};
    message.msg_name = &heard.sender;
    message.msg_namelen = sizeof heard.sender;
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT);
    if (size < 0) return std::nullopt;
    heard.ip = Bytes(packet_).first(static_cast<std::size_t>(size));
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            timespec at;
            std::memcpy(&at, CMSG_DATA(c), sizeof at);
            heard.time = std::int64_t{at.tv_sec} * 1'000'000'000 + at.tv_nsec;
        } else if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) {
            tpacket_auxdata about;
            std::memcpy(&about, CMSG_DATA(c), sizeof about);
            if (about.tp_status & TP_STATUS_VLAN_VALID) heard.vlan = about.tp_vlan_tci;
        }
    }
    return heard;
}

unsigned PacketSocket::lost() const {
    tpacket_stats stats{};
    socklen_t size = sizeof stats;
    getsockopt(fd_.get(), SOL_PACKET, PACKET_STATISTICS, &stats, &size);
    return stats.tp_drops;
}

// ---- writing

class Writer {
 public:
    explicit Writer(int fd) : fd_(fd) {}

    // Interfaces are described when they are first heard: a file may have a thousand.
    bool write(const Heard& heard);
    bool begin() { return put(CaptureBlock::section()); }

 private:
    bool put(const CaptureBlock& block);

    const int fd_;
    std::map<int, std::uint32_t> places_;  // in the file, by index
};

bool Writer::put(const CaptureBlock& block) {
    for (Bytes rest = block.bytes(); !rest.empty();) {
        const ssize_t written = ::write(fd_, rest.data(), rest.size());
        if (written < 0 && errno != EINTR) return false;
        if (written > 0) rest = rest.subspan(static_cast<std::size_t>(written));
    }
    return true;
}

bool Writer::write(const Heard& heard) {
    const int index = heard.sender.sll_ifindex;
    const auto [place, is_new] = places_.try_emplace(index, static_cast<std::uint32_t>(places_.size()));
    std::array<char, IF_NAMESIZE> name{};
    if (is_new) {
        if_indextoname(static_cast<unsigned>(index), name.data());
        if (!put(CaptureBlock::interface(name.data(), LinkType::linux_cooked2))) return false;
    }
    CookedHeader header{ntohs(heard.sender.sll_protocol),
                        static_cast<std::uint32_t>(index),
                        heard.sender.sll_hatype,
                        heard.sender.sll_pkttype,
                        heard.sender.sll_halen,
                        {},
                        heard.vlan};
    std::copy_n(heard.sender.sll_addr, header.address.size(), header.address.begin());
    std::array<std::uint8_t, CookedHeader::kLongest> start;
    std::vector<std::uint8_t> frame(start.begin(), start.begin() + header.write(start));
    frame.insert(frame.end(), heard.ip.begin(), heard.ip.end());
    const bool is_out = heard.sender.sll_pkttype == PACKET_OUTGOING;
    return put(CaptureBlock::packet(place->second, heard.time,
                                    is_out ? FrameDirection::out : FrameDirection::in, frame));
}

// ---- the command

// Their indices; the error of the first that isn't there.
Expected<std::vector<int>, Failure> indices_of(const std::vector<std::string>& names) {
    std::vector<int> indices;
    for (const std::string& name : names) {
        const unsigned index = if_nametoindex(name.c_str());
        if (index == 0)
            return Unexpected{Failure{kUsage, fmt::format("there is no interface '{}' on this host", name)}};
        indices.push_back(static_cast<int>(index));
    }
    return indices;
}

void join_all(PacketSocket& socket, const std::vector<int>& indices) {
    for (int index : indices) socket.join(static_cast<unsigned>(index));
    if (!indices.empty()) return;
    const std::unique_ptr<struct if_nameindex, decltype(&if_freenameindex)> all(if_nameindex(),
                                                                                &if_freenameindex);
    for (const struct if_nameindex* i = all.get(); i != nullptr && i->if_index != 0; ++i)
        socket.join(i->if_index);
}

// What has a VLAN's tag comes once more, by the VLAN's interface.
bool is_wanted(const Heard& heard, const std::vector<int>& indices) {
    constexpr std::uint16_t kVlanId = 0x0fff;
    if (indices.empty()) return !heard.vlan || (*heard.vlan & kVlanId) == 0;
    return std::find(indices.begin(), indices.end(), heard.sender.sll_ifindex) != indices.end();
}

// Only the owner may read it: with the digests in it passwords can be guessed at leisure.
UniqueFd open_output(const std::string& name) {
    constexpr mode_t kOwner = 0600;
    return UniqueFd(name == "-" ? ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)
                                : ::open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kOwner));
}

// Returns how many packets there were.
Expected<std::uint64_t, Failure> capture(PacketSocket& socket, Writer& writer, const CaptureOrder& order,
                                         const std::vector<int>& indices) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::seconds(order.seconds);
    const int interrupt = interrupts();
    for (std::uint64_t packets = 0;;) {
        int patience = -1;
        if (order.seconds > 0) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
            if (left <= 0) return packets;
            patience = static_cast<int>(left);
        }
        std::array<pollfd, 2> waiting = {{{socket.fd(), POLLIN, 0}, {interrupt, POLLIN, 0}}};
        ::poll(waiting.data(), waiting.size(), patience);
        if (waiting[1].revents != 0) return packets;
        while (const auto heard = socket.next()) {
            if (!is_wanted(*heard, indices)) continue;
            if (!writer.write(*heard))
                return Unexpected{failed(fmt::format("{}: it cannot be written", order.output))};
            if (++packets == order.count) return packets;
        }
    }
}

}  // namespace

ExitCode capture_command(const CaptureOrder& order) {
    if (order.output == "-" && ::isatty(STDOUT_FILENO) == 1)
        return report(
            {kUsage, "a capture is nothing for a terminal: name a file with -o, or a program with |"});
    const auto indices = indices_of(order.interfaces);
    if (!indices) return report(indices.error());
    PacketSocket socket;
    if (const auto error = socket.open()) return report(*error);
    join_all(socket, *indices);
    const UniqueFd output = open_output(order.output);
    Writer writer(output.get());
    if (output.get() < 0 || !writer.begin())
        return report(failed(fmt::format("{}: it cannot be written", order.output)));
    const auto packets = capture(socket, writer, order, *indices);
    if (!packets) return report(packets.error());
    const unsigned lost = socket.lost();
    fmt::print(stderr, "carpctl: {} packets{}\n", *packets,
               lost == 0 ? "" : fmt::format(", and {} lost: they came faster than they were written", lost));
    return kOk;
}

}  // namespace carpd
