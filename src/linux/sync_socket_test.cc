#include "linux/sync_socket.h"

#include "linux/socket_address.h"
#include "linux/test_network.h"

namespace carpd {
namespace {

constexpr std::uint16_t kPort = 3781;

class SyncSocketTest : public TwoHosts {
 protected:
    void SetUp() override {
        TwoHosts::SetUp();
        if (IsSkipped()) return;
        them->enter();
        theirs = open();
        us->enter();
        ours = open();
    }
    std::optional<SyncSocket> open(bool routed = false) {
        auto opened = SyncSocket::open(
            {"eth0", static_cast<int>(if_nametoindex("eth0")), kPort, routed, {true, true}}, refused);
        EXPECT_TRUE(opened) << opened.error().to_string();
        return std::optional<SyncSocket>(std::move(*opened));
    }
    static std::size_t send(SyncSocket& from, const char* to, std::string_view text) {
        const Bytes datagram(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
        return from.send(ip(to), std::span(&datagram, 1));
    }
    // What comes next, as "SOURCE TEXT"; empty: nothing comes.
    std::string hear() {
        pollfd waiting[] = {{ours->fds()[0], POLLIN, 0}, {ours->fds()[1], POLLIN, 0}};
        poll(waiting, 2, 5000);
        std::string heard;
        for (const auto& datagram : ours->receive())
            heard +=
                datagram.source.to_string() + ' ' + std::string(datagram.bytes.begin(), datagram.bytes.end());
        return heard;
    }
    // Sends by a socket of ours from the other host, with this hop limit.
    void send_plainly(int hop_limit, std::string_view text) {
        them->enter();
        const UniqueFd plain(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        const SocketAddress to(ip("192.0.2.1"), kPort);
        ASSERT_EQ(setsockopt(plain.get(), IPPROTO_IP, IP_TTL, &hop_limit, sizeof hop_limit), 0);
        ASSERT_EQ(sendto(plain.get(), text.data(), text.size(), 0, to.get(), to.size),
                  static_cast<ssize_t>(text.size()));
        us->enter();
    }

    SyncSocket::Counters refused;
    std::optional<SyncSocket> ours, theirs;
};

TEST_F(SyncSocketTest, CarriesDatagramsOfBothFamilies) {
    EXPECT_EQ(send(*theirs, "192.0.2.1", "four"), 1u);
    EXPECT_EQ(hear(), "192.0.2.2 four");
    EXPECT_EQ(send(*theirs, "2001:db8::1", "six"), 1u);
    EXPECT_EQ(hear(), "2001:db8::2 six");
    EXPECT_TRUE(ours->receive().empty());
}

TEST_F(SyncSocketTest, SendsToLinkLocalAddressesOnItsInterface) {
    const std::string text = output_of("ip -6 -brief address show dev eth0 scope link | grep -o 'fe80[^/]*'");
    const std::string address = text.substr(0, text.find('\n'));
    EXPECT_EQ(send(*theirs, address.c_str(), "here"), 1u);
    EXPECT_NE(hear().find("here"), std::string::npos);
}

TEST_F(SyncSocketTest, SendsManyAtOnce) {
    std::vector<std::vector<std::uint8_t>> texts;
    std::vector<Bytes> datagrams;
    for (std::size_t i = 0; i < SyncSocket::kAtOnce; ++i)
        texts.emplace_back(SyncSocket::kLongest, static_cast<std::uint8_t>(i));
    for (const auto& text : texts) datagrams.emplace_back(text);
    EXPECT_EQ(theirs->send(ip("2001:db8::1"), datagrams), SyncSocket::kAtOnce);
    std::size_t heard = 0;
    while (heard < SyncSocket::kAtOnce && readable(ours->fds()[1]))
        for (const auto& datagram : ours->receive()) {
            EXPECT_TRUE(std::ranges::equal(datagram.bytes, texts[heard]));
            ++heard;
        }
    EXPECT_EQ(heard, SyncSocket::kAtOnce);
}

TEST_F(SyncSocketTest, RefusesWhatPassedARouterUnlessPeersMayBeFar) {
    send_plainly(254, "far");
    send_plainly(255, "near");
    EXPECT_EQ(hear(), "192.0.2.2 near");
    EXPECT_EQ(refused.routed, 1u);
    ours.reset();
    ours = open(true);
    send_plainly(64, "far");
    EXPECT_EQ(hear(), "192.0.2.2 far");
}

TEST_F(SyncSocketTest, RefusesWhatIsTooLong) {
    send_plainly(255, std::string(9217, 'x'));
    send_plainly(255, "short");
    std::string heard = hear();
    if (heard.empty()) heard = hear();
    EXPECT_EQ(heard, "192.0.2.2 short");
    EXPECT_EQ(refused.too_long, 1u);
}

TEST_F(SyncSocketTest, IsDeafOnOtherInterfaces) {
    run("ip link add other type dummy 2>/dev/null || ip link add other type veth peer name other2; "
        "ip address add 198.51.100.1/24 dev other; ip link set other up");
    const UniqueFd local(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int limit = 255;
    setsockopt(local.get(), IPPROTO_IP, IP_TTL, &limit, sizeof limit);
    const SocketAddress to(ip("198.51.100.1"), kPort);
    sendto(local.get(), "x", 1, 0, to.get(), to.size);  // over lo
    EXPECT_EQ(send(*theirs, "192.0.2.1", "cable"), 1u);
    EXPECT_EQ(hear(), "192.0.2.2 cable");
}

TEST_F(SyncSocketTest, SaysWhatIsMissing) {
    const auto missing = SyncSocket::open({"eth9", 0, kPort, false, {true, false}}, refused);
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().to_string(), "cannot bind the synchronisation socket to eth9: No such device");
    const auto taken = SyncSocket::open(
        {"eth0", static_cast<int>(if_nametoindex("eth0")), kPort, false, {true, false}}, refused);
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().to_string(),
              "cannot open the port for state synchronisation on eth0: Address already in use");
}

TEST_F(SyncSocketTest, SaysThatNothingCanBeSent) {
    run("ip link set eth0 down");
    EXPECT_EQ(send(*ours, "192.0.2.2", "x"), 0u);
}

}  // namespace
}  // namespace carpd
