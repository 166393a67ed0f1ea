#include "linux/carp_socket.h"

#include <gmock/gmock.h>

#include "linux/test_network.h"
#include "wire/checksum.h"
#include "wire/ip_packet.h"
#include "wire/neighbor.h"

namespace carpd {
namespace {

constexpr MacAddress kVirtualMac{{0x00, 0x00, 0x5e, 0x00, 0x01, 0x07}};

AdvertisementPacket packet(const char* from, const char* to) {
    return AdvertisementPacket(ip(from), ip(to), AdvertisementBytes{});
}

class CarpSocketTest : public TwoHosts {
 protected:
    void SetUp() override {
        TwoHosts::SetUp();
        if (IsSkipped()) return;
        them->enter();
        theirs.emplace(std::move(*CarpSocket::open()));
        their_eth0 = static_cast<int>(if_nametoindex("eth0"));
        us->enter();
        ours.emplace(std::move(*CarpSocket::open()));
        our_eth0 = static_cast<int>(if_nametoindex("eth0"));
        EXPECT_FALSE(ours->join(our_eth0));
        EXPECT_FALSE(theirs->join(their_eth0));
    }
    // The next packet that we hear; empty if none comes.
    Received hear(int timeout_ms = 5000) {
        pollfd waiting{ours->fd(), POLLIN, 0};
        poll(&waiting, 1, timeout_ms);
        const auto received = ours->receive();
        EXPECT_LE(received.size(), 1u);
        return received.empty() ? Received{} : received[0];
    }
    bool say(const Frame& frame) { return send_frame(*theirs, their_eth0, frame); }
    // Frames of any kind, in one go.
    void say_raw(const std::vector<std::vector<std::uint8_t>>& frames) {
        them->enter();
        const UniqueFd raw(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
        sockaddr_ll to{};
        to.sll_family = AF_PACKET;
        to.sll_ifindex = their_eth0;
        for (const auto& frame : frames)
            EXPECT_GT(
                sendto(raw.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to),
                0);
        us->enter();
    }
    static bool equal(Bytes a, Bytes b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

    std::optional<CarpSocket> ours, theirs;
    int our_eth0 = 0, their_eth0 = 0;
};

TEST_F(CarpSocketTest, HearsMulticastOfBothFamilies) {
    for (const auto& sent : {packet("192.0.2.2", "224.0.0.18"), packet("2001:db8::2", "ff02::12")}) {
        ASSERT_TRUE(say(multicast_frame(kVirtualMac, sent.bytes())));
        const Received heard = hear();
        EXPECT_TRUE(equal(heard.bytes, sent.bytes()));
        EXPECT_EQ(heard.ifindex, our_eth0);
        EXPECT_EQ(heard.source_mac, kVirtualMac);
    }
    EXPECT_TRUE(ours->receive().empty());
}

TEST_F(CarpSocketTest, HearsOnlyProtocol112) {
    run("sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0");
    std::array<std::uint8_t, 20 + kAdvertisementSize> udp{};
    const auto carp = packet("192.0.2.2", "224.0.0.18");
    std::copy(carp.bytes().begin(), carp.bytes().end(), udp.begin());
    udp[9] = 17;
    udp[10] = udp[11] = 0;
    const std::uint16_t sum = checksum(Bytes(udp).first(20));
    udp[10] = static_cast<std::uint8_t>(sum >> 8);
    udp[11] = static_cast<std::uint8_t>(sum);
    ASSERT_TRUE(say(multicast_frame(kVirtualMac, udp)));
    them->enter();
    ASSERT_TRUE(answers(ip("192.0.2.1")));
    ASSERT_TRUE(answers(ip("2001:db8::1")));
    us->enter();
    ASSERT_TRUE(say(multicast_frame(kVirtualMac, carp.bytes())));
    EXPECT_TRUE(equal(hear().bytes, carp.bytes()));
}

TEST_F(CarpSocketTest, DoesNotHearItself) {
    const auto sent = packet("192.0.2.1", "224.0.0.18");
    ASSERT_TRUE(send_frame(*ours, our_eth0, multicast_frame(kVirtualMac, sent.bytes())));
    const auto reply = packet("192.0.2.2", "224.0.0.18");
    ASSERT_TRUE(say(multicast_frame(kVirtualMac, reply.bytes())));
    EXPECT_TRUE(equal(hear().bytes, reply.bytes()));
}

// A promiscuous card delivers frames for others, too.
TEST_F(CarpSocketTest, DoesNotHearWhatIsSentToOthers) {
    run("ip link set eth0 promisc on");
    const auto sent = packet("192.0.2.2", "192.0.2.1");
    Frame frame = multicast_frame(kVirtualMac, packet("192.0.2.2", "224.0.0.18").bytes());
    std::copy_n(std::array<std::uint8_t, 6>{0x02, 0, 0, 0, 0, 0x99}.begin(), 6, frame.storage().begin());
    ASSERT_TRUE(say(frame));
    them->enter();
    ASSERT_EQ(theirs->send_unicast(their_eth0, sent.bytes(), ip("192.0.2.1")), SendOutcome::sent);
    us->enter();
    EXPECT_TRUE(equal(hear().bytes, sent.bytes()));
}

// Flood probes of pools come so; to the kernel they are another host's.
TEST_F(CarpSocketTest, HearsWhatIsSentToAVirtualMac) {
    run("ip link set eth0 promisc on");
    const auto sent = packet("192.0.2.2", "192.0.2.100");
    Frame frame = multicast_frame(kVirtualMac, sent.bytes());
    std::copy_n(std::array<std::uint8_t, 6>{0x00, 0, 0x5e, 0, 0x01, 0x07}.begin(), 6,
                frame.storage().begin());
    ASSERT_TRUE(say(frame));
    EXPECT_TRUE(equal(hear().bytes, sent.bytes()));
}

// A peer may send from the shared address itself, which the master's own IP stack takes for a forgery.
TEST_F(CarpSocketTest, HearsAdvertisementsFromAnAddressOfItsOwn) {
    run("ip address add 192.0.2.100/32 dev eth0 && ip address add 2001:db8::100/128 dev eth0 nodad");
    run("sysctl -qw net.ipv4.conf.all.rp_filter=1");
    for (const auto& sent : {packet("192.0.2.100", "224.0.0.18"), packet("2001:db8::100", "ff02::12")}) {
        ASSERT_TRUE(say(multicast_frame(kVirtualMac, sent.bytes())));
        EXPECT_TRUE(equal(hear().bytes, sent.bytes()));
    }
}

TEST_F(CarpSocketTest, HearsOnAnInterfaceWithoutAddresses) {
    run("ip address flush dev eth0");
    const auto sent = packet("192.0.2.2", "224.0.0.18");
    ASSERT_TRUE(say(multicast_frame(kVirtualMac, sent.bytes())));
    EXPECT_TRUE(equal(hear().bytes, sent.bytes()));
}

TEST_F(CarpSocketTest, UnicastIsHeardAndNotAnsweredWithErrors) {
    them->enter();
    Sniffer sniffer("eth0");
    for (const auto& [from, to] :
         {std::pair("192.0.2.2", "192.0.2.1"), std::pair("2001:db8::2", "2001:db8::1")}) {
        const auto sent = packet(from, to);
        ASSERT_EQ(theirs->send_unicast(their_eth0, sent.bytes(), ip(to)), SendOutcome::sent);
        EXPECT_TRUE(equal(hear().bytes, sent.bytes()));
    }
    for (const TestFrame& frame : sniffer.received(200)) {
        constexpr int kIcmp = 1, kIcmpv6 = 58, kNeighborDiscovery = 133;
        if (ether_type(frame) == ETH_P_IP) {
            EXPECT_NE(frame[23], kIcmp);
        } else if (ether_type(frame) == ETH_P_IPV6 && frame[20] == kIcmpv6) {
            EXPECT_GE(frame[54], kNeighborDiscovery) << "smaller numbers are errors";
        }
    }
}

TEST_F(CarpSocketTest, UnicastGoesThroughARouter) {
    TestHost far;
    run("ip link add far type veth peer name eth1 netns " + them->path() +
        " && ip link set far up && ip address add 198.51.100.9/24 dev far && ip address add 2001:db8:9::9/64 "
        "dev far "
        "nodad && ip route add default via 198.51.100.1 && ip route add default via 2001:db8:9::1");
    CarpSocket receiver = std::move(*CarpSocket::open());
    them->enter();
    run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 && ip link set eth1 up && ip "
        "address add "
        "198.51.100.1/24 dev eth1 && ip address add 2001:db8:9::1/64 dev eth1 nodad");
    us->enter();
    run("ip route add default via 192.0.2.2 && ip route add default via 2001:db8::2");
    for (const auto& [from, to] :
         {std::pair("192.0.2.1", "198.51.100.9"), std::pair("2001:db8::1", "2001:db8:9::9")}) {
        const auto sent = packet(from, to);
        ASSERT_EQ(ours->send_unicast(our_eth0, sent.bytes(), ip(to)), SendOutcome::sent);
        ASSERT_TRUE(readable(receiver.fd()));
        const auto heard = receiver.receive();
        ASSERT_EQ(heard.size(), 1u);
        EXPECT_EQ(parse_ip_packet(heard[0].bytes)->hop_limit, kHopLimit - 1);
    }
}

TEST_F(CarpSocketTest, ASilentPeerIsNotAFailureAndAMissingInterfaceIs) {
    const auto silent = packet("192.0.2.1", "192.0.2.77");
    EXPECT_NE(ours->send_unicast(our_eth0, silent.bytes(), ip("192.0.2.77")), SendOutcome::failed);
    run("ip link set eth0 down");
    EXPECT_EQ(ours->send_unicast(our_eth0, silent.bytes(), ip("192.0.2.77")), SendOutcome::failed);
    EXPECT_FALSE(send_frame(*ours, our_eth0, send_probe(kVirtualMac)));
    run("ip link del eth0");
    EXPECT_FALSE(send_frame(*ours, our_eth0, send_probe(kVirtualMac)));
}

TEST_F(CarpSocketTest, JoinsAgainWhenAnInterfaceReturns) {
    run("ip link del eth0");
    ours->leave(our_eth0);
    plug_in();
    our_eth0 = static_cast<int>(if_nametoindex("eth0"));
    EXPECT_FALSE(ours->join(our_eth0));
    EXPECT_FALSE(ours->join(our_eth0)) << "once more is harmless";
    const std::string joined = output_of("ip maddress show dev eth0");
    EXPECT_THAT(joined, testing::HasSubstr("inet  224.0.0.18"));
    EXPECT_THAT(joined, testing::HasSubstr("inet6 ff02::12"));
    EXPECT_THAT(joined, testing::HasSubstr("link  01:00:5e:00:00:12 users 2"))
        << "the card's filter, and IGMP's";
    ours->leave(our_eth0);
    const std::string left = output_of("ip maddress show dev eth0");
    EXPECT_THAT(left, testing::Not(testing::HasSubstr("224.0.0.18")));
    EXPECT_THAT(left, testing::Not(testing::HasSubstr("33:33:00:00:00:12")));
}

TEST_F(CarpSocketTest, JoinsMoreInterfacesThanOneSocketMay) {
    run("for i in $(seq 15); do ip link add a$i type veth peer name b$i || exit 1; done");
    for (const char side : {'a', 'b'}) {
        for (int i = 1; i <= 15; ++i) {
            const std::string name = side + std::to_string(i);
            const auto warning = ours->join(static_cast<int>(if_nametoindex(name.c_str())));
            ASSERT_FALSE(warning) << warning->to_string();
        }
    }
    EXPECT_THAT(output_of("ip maddress show dev b15"), testing::HasSubstr("inet  224.0.0.18"));
    ours->leave(static_cast<int>(if_nametoindex("a1")));
    EXPECT_THAT(output_of("ip maddress show dev a1"), testing::Not(testing::HasSubstr("inet  224.0.0.18")));
}

TEST_F(CarpSocketTest, ReceivesManyPacketsInOrder) {
    constexpr int kCount = 200;
    for (int i = 0; i < kCount; ++i) {
        AdvertisementBytes payload{};
        payload[0] = static_cast<std::uint8_t>(i);
        const AdvertisementPacket sent(ip("192.0.2.2"), ip("224.0.0.18"), payload);
        ASSERT_TRUE(say(multicast_frame(kVirtualMac, sent.bytes())));
    }
    int next = 0;
    while (next < kCount && readable(ours->fd())) {
        for (const Received& received : ours->receive()) EXPECT_EQ(received.bytes[20], next++);
    }
    EXPECT_EQ(next, kCount);
}

std::vector<std::uint8_t> tagged_frame(std::uint16_t vlan, const AdvertisementPacket& packet) {
    const Frame plain = multicast_frame(kVirtualMac, packet.bytes());
    std::vector<std::uint8_t> frame(plain.bytes().begin(), plain.bytes().end());
    const std::uint8_t tag[] = {0x81, 0x00, static_cast<std::uint8_t>(vlan >> 8),
                                static_cast<std::uint8_t>(vlan)};
    frame.insert(frame.begin() + 2 * ETH_ALEN, std::begin(tag), std::end(tag));
    return frame;
}

// The tag of VLAN 0 says only how urgent a frame is.
TEST_F(CarpSocketTest, HearsNoVlanButItsOwn) {
    const auto tagged = packet("192.0.2.3", "224.0.0.18"), urgent = packet("192.0.2.2", "224.0.0.18");
    say_raw({tagged_frame(10, tagged), tagged_frame(0xe000, urgent)});
    EXPECT_TRUE(equal(hear().bytes, urgent.bytes()));
}

// A packet of protocol 112 that no place in the ring is long enough for.
std::vector<std::uint8_t> long_frame(std::size_t size, std::uint8_t mark) {
    const Frame head = multicast_frame(kVirtualMac, packet("192.0.2.2", "224.0.0.18").bytes());
    std::vector<std::uint8_t> frame(head.bytes().begin(), head.bytes().end());
    frame.resize(ETH_HLEN + size, mark);
    return frame;
}

TEST_F(CarpSocketTest, HearsLongPacketsWholeAndInTheirPlace) {
    const std::vector<std::size_t> sizes = {80, 81, 300, 56, 1500, 1500, 60};
    std::vector<std::vector<std::uint8_t>> frames;
    for (const std::size_t size : sizes)
        frames.push_back(long_frame(size, static_cast<std::uint8_t>(frames.size())));
    say_raw(frames);
    std::size_t next = 0;
    while (next < sizes.size() && readable(ours->fd())) {
        for (const Received& received : ours->receive()) {
            const auto sent = long_frame(sizes[next], static_cast<std::uint8_t>(next));
            EXPECT_TRUE(equal(received.bytes, Bytes(sent).subspan(ETH_HLEN))) << next;
            ++next;
        }
    }
    EXPECT_EQ(next, sizes.size());
}

TEST_F(CarpSocketTest, GoesOnAfterAFlood) {
    const Frame frame = multicast_frame(kVirtualMac, packet("192.0.2.2", "224.0.0.18").bytes());
    std::vector<OutgoingFrame> flood(6000, OutgoingFrame{their_eth0, frame});
    theirs->send_frames(flood);
    std::size_t heard = 0;
    while (const std::size_t count = ours->receive().size()) heard += count;
    EXPECT_GT(heard, 1000u) << "the ring was full of them";
    EXPECT_LT(heard, flood.size());
    ASSERT_TRUE(say(frame));
    EXPECT_FALSE(hear().bytes.empty());
}

TEST_F(CarpSocketTest, PassesOverWhatTheNetworkRefuses) {
    them->enter();
    run("ip link add gone type veth peer name its-peer");  // down
    const int gone = static_cast<int>(if_nametoindex("gone"));
    us->enter();
    std::vector<OutgoingFrame> frames;
    for (int i = 0; i < 9; ++i) {
        AdvertisementBytes payload{};
        payload[0] = static_cast<std::uint8_t>(i);
        const AdvertisementPacket sent(ip("192.0.2.2"), ip("224.0.0.18"), payload);
        frames.push_back({i % 3 == 1 ? gone : their_eth0, multicast_frame(kVirtualMac, sent.bytes())});
    }
    for (int times = 0; times < 500; ++times) {  // more than the ring has places
        theirs->send_frames(frames);
        std::vector<int> heard;
        for (const Received& received : ours->receive()) heard.push_back(received.bytes[20]);
        ASSERT_THAT(heard, testing::ElementsAre(0, 2, 3, 5, 6, 8));
        for (std::size_t i = 0; i < frames.size(); ++i) ASSERT_EQ(frames[i].sent, i % 3 != 1);
    }
}

}  // namespace
}  // namespace carpd
