// For tests that touch the kernel: hosts that are network namespaces without a name. They vanish with the
// test program, however it ends.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "base/addresses.h"
#include "linux/carp_socket.h"
#include "linux/tcx.h"
#include "linux/unique_fd.h"

namespace carpd {

// Runs a shell command in the current namespace; a failure fails the test.
inline void run(const std::string& command) {
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

// What a shell command prints, in the current namespace.
inline std::string output_of(const std::string& command) {
    std::string output;
    FILE* pipe = popen(command.c_str(), "r");
    char buffer[4096];
    while (const std::size_t size = std::fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, size);
    EXPECT_EQ(pclose(pipe), 0) << command;
    return output;
}

// The names of the BPF programs at an interface's tcx, in order, each on a line of its own.
inline std::string at_tcx(const char* interface, Direction direction) {
    std::string names;
    const auto programs = tcx_programs(static_cast<int>(if_nametoindex(interface)), direction);
    if (!programs) return "unknown\n";
    for (const TcxProgram& program : *programs) names += program.name + "\n";
    return names;
}

// A network namespace of its own. Whoever makes it is in it afterwards.
class TestHost {
 public:
    TestHost() {
        EXPECT_EQ(unshare(CLONE_NEWNET), 0);
        namespace_ = UniqueFd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
        // Addresses are usable at once, and what the kernel says by itself (MLD) it says soon.
        run("sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 "
            "net.ipv6.conf.default.mldv2_unsolicited_report_interval=20 && ip link set lo up");
    }
    // From now on this thread's sockets and commands are this host's.
    void enter() const { EXPECT_EQ(setns(namespace_.get(), CLONE_NEWNET), 0); }
    // What `ip link set DEVICE netns` takes.
    std::string path() const {
        return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(namespace_.get());
    }

 private:
    UniqueFd namespace_;
};

// Two hosts joined by a cable: eth0 has 192.0.2.1/24 and 2001:db8::1/64 on `us`, .2 and ::2 on `them`. A test
// begins on `us`.
class TwoHosts : public testing::Test {
 protected:
    void SetUp() override {
        if (unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "needs the right to make network namespaces (root)";
        them.emplace();
        us.emplace();
        plug_in();
        them->enter();
        run("ip address add 192.0.2.2/24 dev eth0 && ip address add 2001:db8::2/64 dev eth0 nodad");
        us->enter();
        run("ip address add 192.0.2.1/24 dev eth0 && ip address add 2001:db8::1/64 dev eth0 nodad");
    }

    // Also after somebody deleted our eth0.
    void plug_in() {
        us->enter();
        run("ip link add eth0 type veth peer name eth0 netns " + them->path());
        them->enter();
        run("ip link set eth0 up");
        us->enter();
        run("ip link set eth0 up");
    }

    std::optional<TestHost> us, them;
};

inline IpAddress ip(const char* text) {
    return IpAddress::parse(text).value();
}

inline bool readable(int fd, int timeout_ms = 5000) {
    pollfd waiting{fd, POLLIN, 0};
    return poll(&waiting, 1, timeout_ms) == 1;
}

using TestFrame = std::vector<std::uint8_t>;

// Everything that passes an interface of the current host, both ways.
class Sniffer {
 public:
    explicit Sniffer(const char* interface) : socket_(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)) {
        sockaddr_ll place{};
        place.sll_family = AF_PACKET;
        place.sll_protocol = htons(ETH_P_ALL);
        place.sll_ifindex = static_cast<int>(if_nametoindex(interface));
        EXPECT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&place), sizeof place), 0);
    }
    // Frames that came in from the cable, until none comes for `quiet_ms`.
    std::vector<TestFrame> received(int quiet_ms) {
        std::vector<TestFrame> frames;
        while (readable(socket_.get(), quiet_ms)) {
            TestFrame frame(2048);
            sockaddr_ll from{};
            socklen_t length = sizeof from;
            const ssize_t size = recvfrom(socket_.get(), frame.data(), frame.size(), MSG_DONTWAIT,
                                          reinterpret_cast<sockaddr*>(&from), &length);
            if (size <= 0 || from.sll_pkttype == PACKET_OUTGOING) continue;
            frame.resize(static_cast<std::size_t>(size));
            frames.push_back(std::move(frame));
        }
        return frames;
    }

 private:
    UniqueFd socket_;
};

inline MacAddress source_mac(const TestFrame& frame) {
    MacAddress mac;
    std::copy(frame.begin() + 6, frame.begin() + 12, mac.bytes.begin());
    return mac;
}

inline std::uint16_t ether_type(const TestFrame& frame) {
    return read_u16(frame, 12);
}

// Who sent an IP packet; nothing for other frames.
inline std::optional<IpAddress> ip_source(const TestFrame& frame) {
    const Bytes bytes(frame);
    if (ether_type(frame) == ETH_P_IP) return IpAddress::from_bytes(bytes.subspan(26, 4));
    if (ether_type(frame) == ETH_P_IPV6) return IpAddress::from_bytes(bytes.subspan(22, 16));
    return std::nullopt;
}

// Whether somebody at `address` answers the current host: TCP to a closed port is refused at once.
inline bool answers(const IpAddress& address, int timeout_ms = 2000) {
    const bool ipv4 = address.family() == Family::ipv4;
    const UniqueFd socket(::socket(ipv4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_in to4{AF_INET, htons(9), {}, {}};
    sockaddr_in6 to6{AF_INET6, htons(9), 0, {}, 0};
    if (ipv4)
        std::memcpy(&to4.sin_addr, address.bytes().data(), 4);
    else
        std::memcpy(&to6.sin6_addr, address.bytes().data(), 16);
    const int result = ipv4 ? connect(socket.get(), reinterpret_cast<sockaddr*>(&to4), sizeof to4)
                            : connect(socket.get(), reinterpret_cast<sockaddr*>(&to6), sizeof to6);
    if (result == 0 || errno == ECONNREFUSED) return true;
    pollfd waiting{socket.get(), POLLIN, 0};
    poll(&waiting, 1, timeout_ms);
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    return error == ECONNREFUSED;
}

// Makes the kernel lose events of a process's LinkMonitor, and its Netlink, which would have to ask for what
// was lost, find nobody; or, with `kKernel`, find the kernel again. Both sockets stay real ones: of the one
// the buffer is tiny, and the other one is connected.
inline constexpr std::uint32_t kKernel = 0, kNobody = 0x7fffffff;
inline void connect_netlink(pid_t process, std::uint32_t to) {
    const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, process, 0)));
    int events = 0, requests = 0;
    for (int number = 0; number < 256; ++number) {
        const UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_getfd, pidfd.get(), number, 0)));
        sockaddr_nl own{};
        socklen_t size = sizeof own;
        if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0) continue;
        if (own.nl_family != AF_NETLINK) continue;
        const int tiny = 1;
        const sockaddr_nl peer{AF_NETLINK, 0, to, 0};
        if (own.nl_groups != 0)
            events += setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &tiny, sizeof tiny) == 0;
        else
            requests += connect(fd.get(), reinterpret_cast<const sockaddr*>(&peer), sizeof peer) == 0;
    }
    EXPECT_EQ(events, 1);
    EXPECT_EQ(requests, 1);
}

inline bool send_frame(CarpSocket& socket, int ifindex, const Frame& frame) {
    OutgoingFrame outgoing{ifindex, frame};
    socket.send_frames(std::span(&outgoing, 1));
    return outgoing.sent;
}

}  // namespace carpd
