#include "carpctl/doctor_probe.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>

#include "linux/unique_fd.h"
#include "wire/neighbor.h"

namespace carpd {

namespace {

using Clock = std::chrono::steady_clock;

struct Heard {
    Claim claim;
    MacAddress to;
};

// Hears ARP replies and neighbour advertisements at one interface, and asks.
class LanSocket {
 public:
    explicit LanSocket(const std::string& interface)
        : interface_(interface), fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {}

    const std::string& interface() const { return interface_; }
    const MacAddress& mac() const { return mac_; }
    int fd() const { return fd_.get(); }

    // False: errno says why. `promiscuous`: also what is for other hosts.
    bool open(bool promiscuous) {
        ifreq request{};
        if (!fd_ || interface_.size() >= sizeof request.ifr_name) return false;
        std::memcpy(request.ifr_name, interface_.data(), interface_.size());
        if (::ioctl(fd_.get(), SIOCGIFHWADDR, &request) != 0) return false;
        std::memcpy(mac_.bytes.data(), request.ifr_hwaddr.sa_data, mac_.bytes.size());
        sockaddr_ll here{};
        here.sll_family = AF_PACKET;
        here.sll_protocol = htons(ETH_P_ALL);
        here.sll_ifindex = static_cast<int>(::if_nametoindex(interface_.c_str()));
        packet_mreq membership{};
        membership.mr_ifindex = here.sll_ifindex;
        membership.mr_type = PACKET_MR_PROMISC;
        return listen_to_claims() &&
               ::bind(fd_.get(), reinterpret_cast<sockaddr*>(&here), sizeof here) == 0 &&
               (!promiscuous || ::setsockopt(fd_.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership,
                                             sizeof membership) == 0);
    }

    void ask(const Frame& frame) const {
        // What isn't sent isn't answered, and that is what shows.
        [[maybe_unused]] const auto sent = ::send(fd_.get(), frame.bytes().data(), frame.bytes().size(), 0);
    }

    std::optional<Heard> hear() const {
        std::uint8_t buffer[128];
        sockaddr_ll from{};
        socklen_t size = sizeof from;
        const auto length =
            ::recvfrom(fd_.get(), buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size);
        if (length <= 0 || from.sll_pkttype == PACKET_OUTGOING) return std::nullopt;
        const auto claim = claim_in(Bytes(buffer, static_cast<std::size_t>(length)));
        if (!claim) return std::nullopt;
        Heard heard{*claim, {}};
        std::copy_n(buffer, heard.to.bytes.size(), heard.to.bytes.begin());
        return heard;
    }
    bool is_readable() const {
        std::uint8_t byte = 0;
        return ::recv(fd_.get(), &byte, 1, MSG_PEEK) > 0;
    }

 private:
    // A busy LAN's other frames don't reach the program.
    bool listen_to_claims() const {
        sock_filter program[] = {
            BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_ARP, 5, 0),   // take it
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 5),  // leave it
            BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14 + 6),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 3),
            BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14 + 40),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 136, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, 128),
            BPF_STMT(BPF_RET | BPF_K, 0),
        };
        const sock_fprog filter{static_cast<unsigned short>(std::size(program)), program};
        return ::setsockopt(fd_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0;
    }

    std::string interface_;
    UniqueFd fd_;
    MacAddress mac_{};
};

Expected<std::vector<LanSocket>, std::string> open_sockets(std::span<const LanQuestion> questions,
                                                           bool promiscuous) {
    std::vector<LanSocket> sockets;
    for (const LanQuestion& question : questions) {
        if (std::any_of(sockets.begin(), sockets.end(),
                        [&](const LanSocket& s) { return s.interface() == question.interface; }))
            continue;
        LanSocket socket(question.interface);
        if (!socket.open(promiscuous))
            return Unexpected{fmt::format("{}: {}{}", question.interface, std::strerror(errno),
                                          errno == EPERM ? " (it needs root, or CAP_NET_RAW)" : "")};
        sockets.push_back(std::move(socket));
    }
    return sockets;
}

const LanSocket& socket_of(const std::vector<LanSocket>& sockets, const LanQuestion& question) {
    return *std::find_if(sockets.begin(), sockets.end(),
                         [&](const LanSocket& s) { return s.interface() == question.interface; });
}

// A flood of answers must not keep us here.
constexpr int kMostHeard = 10'000;

template <class Take>
void listen(const std::vector<LanSocket>& sockets, Clock::time_point until, const Take& take) {
    std::vector<pollfd> waiting;
    for (const LanSocket& socket : sockets) waiting.push_back({socket.fd(), POLLIN, 0});
    for (int count = 0; count < kMostHeard;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
        if (left <= 0 || ::poll(waiting.data(), waiting.size(), static_cast<int>(left)) == 0) return;
        for (std::size_t i = 0; i < sockets.size(); ++i)
            for (; sockets[i].is_readable() && count < kMostHeard; ++count)
                if (const auto heard = sockets[i].hear()) take(sockets[i], *heard);
    }
}

// Whoever hears another MAC for an address of ours must not remember it. IPv6 answers only those who have
// an address: that which nobody else forms of a MAC that nobody has (RFC 4291, appendix A).
IpAddress source_of(const MacAddress& foreign, Family family) {
    if (family == Family::ipv4) return IpAddress::any(family);
    const auto& mac = foreign.bytes;
    const std::uint8_t bytes[16] = {
        0xfe,   0x80,   0,    0,    0,      0,      0,     0, static_cast<std::uint8_t>(mac[0] ^ 0x02),
        mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};
    return IpAddress::from_bytes(bytes);
}

template <class Take>
void ask_twice(const std::vector<LanSocket>& sockets, std::span<const LanQuestion> questions,
               const std::optional<MacAddress>& as, std::chrono::milliseconds patience, const Take& take) {
    for (int i = 0; i < 2; ++i) {
        for (const LanQuestion& question : questions) {
            const LanSocket& socket = socket_of(sockets, question);
            const IpAddress source = as ? source_of(*as, question.address.family()) : question.source;
            Frame frame = who_has(as.value_or(socket.mac()), source, question.address);
            if (question.by_broadcast) std::fill_n(frame.storage().begin(), 6, std::uint8_t{0xff});
            socket.ask(frame);
        }
        listen(sockets, Clock::now() + patience / 2, take);
    }
}

// Locally administered, so nobody's.
MacAddress foreign_mac() {
    std::random_device random;
    MacAddress mac;
    for (auto& byte : mac.bytes) byte = static_cast<std::uint8_t>(random());
    mac.bytes[0] = 0x02;
    return mac;
}

}  // namespace

Expected<std::vector<LanAnswer>, std::string> ask_lan(std::span<const LanQuestion> questions,
                                                      std::chrono::milliseconds patience) {
    auto sockets = open_sockets(questions, false);
    if (!sockets) return Unexpected{std::move(sockets.error())};
    std::vector<LanAnswer> answers;
    for (const LanQuestion& question : questions)
        answers.push_back({question.interface, question.address, {}});
    ask_twice(*sockets, questions, std::nullopt, patience, [&](const LanSocket& socket, const Heard& heard) {
        for (LanAnswer& answer : answers)
            if (answer.interface == socket.interface() && answer.address == heard.claim.address)
                answer.macs.insert(heard.claim.mac);
    });
    return answers;
}

Expected<std::vector<ForeignMacTest>, std::string> test_foreign_macs(std::span<const LanQuestion> questions,
                                                                     std::chrono::milliseconds patience) {
    const auto present = ask_lan(questions, patience);
    if (!present) return Unexpected{present.error()};
    std::vector<LanQuestion> who_answer;
    std::vector<ForeignMacTest> tests;
    for (std::size_t i = 0; i < questions.size(); ++i)
        if (!(*present)[i].macs.empty()) {
            who_answer.push_back(questions[i]);
            tests.push_back({questions[i].interface, questions[i].address});
        }
    auto sockets = open_sockets(who_answer, true);
    if (!sockets) return Unexpected{std::move(sockets.error())};
    const MacAddress foreign = foreign_mac();
    ask_twice(*sockets, who_answer, foreign, patience, [&](const LanSocket& socket, const Heard& heard) {
        for (ForeignMacTest& test : tests)
            if (test.interface == socket.interface() && test.asked == heard.claim.address &&
                heard.to == foreign)
                test.passed = true;
    });
    return tests;
}

}  // namespace carpd
