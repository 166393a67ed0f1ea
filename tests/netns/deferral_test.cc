// Two firewalls that are both at work: a client's packets leave through one, the answers come back through
// the other, which lets in nothing but answers. Without deferral it hasn't heard of the connection when they
// come.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

#include "lab/traffic_server.h"
#include "linux/defer_maps.h"
#include "linux/socket_address.h"
#include "netns_test.h"

namespace carpd::lab {
namespace {

constexpr const char* kServer = "198.51.100.9";
constexpr const char* kSixServer = "2001:db8:2::9";
// Of fw2, outside.
constexpr const char* kShared = "198.51.100.102";

constexpr const char* kRules = R"(
table inet firewall {
    chain untracked_in {
        type filter hook prerouting priority raw;
        meta l4proto { igmp, 112 } notrack
        iifname "eth2" notrack
    }
    chain untracked_out {
        type filter hook output priority raw;
        meta l4proto { igmp, 112 } notrack
        oifname "eth2" notrack
    }
    chain forward {
        type filter hook forward priority filter; policy drop;
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
        ct state invalid drop
        ct state established,related accept
        iifname "eth0" oifname "eth1" ct state new accept
    }
}
)";

// What became of flows that were begun one after the other.
struct Outcome {
    int made = 0, lost = 0;  // lost: no answer until it would have had to be sent again
    std::vector<Span> times{};
    double median_ms() {
        if (times.empty()) return 0;
        std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2),
                         times.end());
        return to_ms(times[times.size() / 2]);
    }
};

// TCP sends its first packet again after a second, others after 200 ms.
constexpr int kPatienceMs = 150;

bool is_ready(int socket, short events, int patience_ms) {
    pollfd waiting{socket, events, 0};
    return poll(&waiting, 1, patience_ms) == 1 && (waiting.revents & POLLERR) == 0;
}

// Each is a connection, or a datagram from another port, a word and the same word back.
Outcome begin_flows(Host& client, int type, int count, const char* to = kServer,
                    int patience_ms = kPatienceMs) {
    Outcome outcome;
    client.space().inside([&] {
        const SocketAddress server(IpAddress::parse(to).value(), TrafficServer::kSessions);
        for (int i = 0; i < count; ++i) {
            const UniqueFd socket(::socket(server.get()->sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
            const Time begin = Clock::now();
            ::connect(socket.get(), server.get(), server.size);
            bool is_answered = is_ready(socket.get(), POLLOUT, patience_ms);
            if (type == SOCK_STREAM && is_answered) outcome.times.push_back(Clock::now() - begin);
            std::uint64_t word = 1;
            is_answered = is_answered && ::send(socket.get(), &word, kWord, MSG_NOSIGNAL) == kWord &&
                          is_ready(socket.get(), POLLIN, patience_ms) &&
                          ::recv(socket.get(), &word, kWord, 0) == kWord;
            if (type == SOCK_DGRAM && is_answered) outcome.times.push_back(Clock::now() - begin);
            ++outcome.made;
            outcome.lost += is_answered ? 0 : 1;
        }
    });
    return outcome;
}

// What is sent here has a right checksum: otherwise nobody tracks it.
std::uint16_t checksum(std::span<const std::uint8_t> bytes) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += bytes[i] << 8 | bytes[i + 1];
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

// So many first packets of TCP connections to a port that nobody answers at, as fast as they leave.
void flood(Host& client, std::uint16_t port, int count) {
    client.space().inside([&] {
        const UniqueFd socket(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP));
        const SocketAddress server(IpAddress::parse(kServer).value(), 0);
        // A pseudo header, and the TCP header.
        std::array<std::uint8_t, 32> bytes = {10, 0, 0, 9, 198, 51, 100, 9, 0, IPPROTO_TCP, 0, 20};
        bytes[24] = 5 << 4;
        bytes[25] = 2;  // SYN
        ByteWriter(std::span(bytes).subspan(14, 2)).u16(port);
        for (int i = 0; i < count; ++i) {
            ByteWriter(std::span(bytes).subspan(12, 2)).u16(static_cast<std::uint16_t>(1024 + i));
            bytes[28] = bytes[29] = 0;
            ByteWriter(std::span(bytes).subspan(28, 2)).u16(checksum(bytes));
            sendto(socket.get(), bytes.data() + 12, 20, 0, server.get(), server.size);
        }
    });
}

class DeferralTest : public NetnsTest {
 protected:
    // `defer` is a line of [sync]. Answers come back through the firewall `answers_by`. `rules`, of nft, come
    // to the firewalls'.
    void build(const std::string& defer, int answers_by = 2, const std::string& rules = {}) {
        client_ = &lab().add_host("client");
        client_->attach("eth0", 0, {"10.0.0.9/24", "2001:db8:1::9/64"});
        client_->ip("route add 198.51.100.0/24 via 10.0.0.1\nroute add 2001:db8:2::/64 via 2001:db8:1::1");
        server_ = &lab().add_host("server");
        server_->attach("eth0", 1, {"198.51.100.9/24", "2001:db8:2::9/64"});
        server_->ip(
            fmt::format("route add 10.0.0.0/24 via 198.51.100.{0}\n"
                        "route add 2001:db8:1::/64 via 2001:db8:2::{0}",
                        answers_by));
        for (const int number : {1, 2}) add_firewall(number, rules);
        for (const int number : {1, 2}) start(*firewalls_[number - 1], config(number, defer));
        for (const Carpd* carpd : {&alpha_carpd(), &beta_carpd()})
            ASSERT_TRUE(wait_until([&] { return is_at_work(*carpd); }, 20s)) << carpd->log();
        traffic_.emplace(*server_);
    }
    void add_firewall(int number, const std::string& rules) {
        Host& host = lab().add_host(fmt::format("fw{}", number));
        firewalls_.push_back(&host);
        host.attach("eth0", 0,
                    {fmt::format("10.0.0.{}/24", number), fmt::format("2001:db8:1::{}/64", number)});
        host.attach("eth1", 1,
                    {fmt::format("198.51.100.{}/24", number), fmt::format("2001:db8:2::{}/64", number)});
        host.attach("eth2", 2, {fmt::format("10.9.0.{}/24", number)});
        run_checked({{"nft", "-f", "-"}, &host.space(), kRules + rules});
        for (const char* setting : {"tcp_loose", "tcp_be_liberal"})
            host.set(fmt::format("net/netfilter/nf_conntrack_{}", setting), "0");
        host.set("net/ipv4/ip_forward", "1");
        host.set("net/ipv6/conf/all/forwarding", "1");
    }
    void TearDown() override {
        traffic_.reset();
        if (HasFailure() && !firewalls_.empty())
            fmt::print("---- fw1: {}\n{}\n---- fw2: {}\n{}\n", sync(alpha_carpd()).dump(1),
                       alpha_carpd().log(), sync(beta_carpd()).dump(1), beta_carpd().log());
        NetnsTest::TearDown();
    }

    // Each is MASTER of a group of its own, fw1 inside, fw2 outside.
    static std::string config(int number, const std::string& defer) {
        Group group{.vhid = number};
        group.interface = number == 1 ? "eth0" : "eth1";
        group.addresses = {number == 1 ? "10.0.0.101/24" : fmt::format("{}/24", kShared)};
        return fmt::format(
                   "[sync]\nname = \"fw{}\"\ninterface = \"eth2\"\npeers = [\"10.9.0.{}\"]\n"
                   "key-hex = \"{:0>64}\"\n{}\n",
                   number, 3 - number, "5ec4e7", defer) +
               group.text();
    }
    static nlohmann::json sync(const Carpd& carpd) {
        return ask(carpd.socket() + ".sync", {{"command", "status"}});
    }
    static bool is_at_work(const Carpd& carpd) {
        try {
            const auto status = sync(carpd);
            const auto& said = status["peers"][0]["said"];
            const auto& deferral = status["deferral"];
            return status["master"].get<bool>() && status["incomplete"] == "no" && !said.is_null() &&
                   said["complete"].get<bool>() && (deferral.is_null() || deferral["active"].get<bool>());
        } catch (const std::exception&) {
            return false;
        }
    }
    // Of the process `carpd: sync`, or 0 while there is none.
    static pid_t pid_of(const Carpd& carpd) {
        try {
            return sync(carpd)["pid"];
        } catch (const std::exception&) {
            return 0;
        }
    }
    // What deferral has in the first firewall's network.
    int taps() const { return count_in(firewalls_[0]->run({"ip", "link"}).output, "carpd-defer"); }
    int programs() const { return programs_of("eth0") + programs_of("eth1"); }
    int programs_of(const char* interface) const {
        const auto all = programs_at(*firewalls_[0], interface, Direction::egress);
        return static_cast<int>(std::count(all.begin(), all.end(), DEFER_PROGRAM));
    }
    static int count(const Carpd& carpd, const char* counter) {
        return sync(carpd)["deferral"]["counters"][counter].get<int>();
    }
    // Of packets that left too early for a peer to know, answers may be lost.
    void expect_no_loss(const Outcome& outcome) {
        EXPECT_LE(outcome.lost, count(alpha_carpd(), "timed_out") + count(beta_carpd(), "timed_out") +
                                    count(alpha_carpd(), "passed") + count(beta_carpd(), "passed"));
        EXPECT_LE(outcome.lost, outcome.made / 10);
    }
    static void print(const char* what, Outcome& outcome) {
        fmt::print("{}: {} of {} first answers lost, median {:.2f} ms\n", what, outcome.lost, outcome.made,
                   outcome.median_ms());
    }

    Host *client_ = nullptr, *server_ = nullptr;
    std::vector<Host*> firewalls_;
    std::optional<TrafficServer> traffic_;
};

constexpr const char* kDefer = "defer = [\"eth0\", \"eth1\"]\n";

TEST_F(DeferralTest, WithoutItAnswersComeTooEarly) {
    build("");
    Outcome tcp = begin_flows(*client_, SOCK_STREAM, 40), udp = begin_flows(*client_, SOCK_DGRAM, 40);
    print("TCP", tcp);
    print("UDP", udp);
    EXPECT_GT(tcp.lost, 20);
    EXPECT_GT(udp.lost, 20);
    EXPECT_TRUE(sync(alpha_carpd())["deferral"].is_null());
}

TEST_F(DeferralTest, ConnectionsBeginThroughTwoFirewalls) {
    build(kDefer);
    Outcome tcp = begin_flows(*client_, SOCK_STREAM, 200);
    print("TCP", tcp);
    expect_no_loss(tcp);
    EXPECT_GE(count(alpha_carpd(), "deferred"), 200);
    EXPECT_GE(count(alpha_carpd(), "acknowledged"), 180);
    EXPECT_GE(count(beta_carpd(), "acknowledged"), 180) << "the answers wait, too";
}

TEST_F(DeferralTest, OtherFlowsWaitOnlyOnce) {
    build(kDefer);
    Outcome udp = begin_flows(*client_, SOCK_DGRAM, 200);
    print("UDP", udp);
    expect_no_loss(udp);
    const int before = count(alpha_carpd(), "deferred");
    EXPECT_EQ(count_in(client_->run({"ping", "-c", "5", "-i", "0.02", "-W", "1", kServer}).output, "ttl="),
              5);
    EXPECT_EQ(count(alpha_carpd(), "deferred"), before + 1);
}

// What a first packet costs where nothing needs it.
TEST_F(DeferralTest, TakesLittleTime) {
    build("", 1);
    Outcome without = begin_flows(*client_, SOCK_STREAM, 200);
    for (const int number : {1, 2})
        (number == 1 ? alpha_carpd() : beta_carpd()).apply(config(number, kDefer));
    for (const Carpd* carpd : {&alpha_carpd(), &beta_carpd()})
        ASSERT_TRUE(
            wait_until([&] { return is_at_work(*carpd) && !sync(*carpd)["deferral"].is_null(); }, 20s))
            << carpd->log();
    Outcome with = begin_flows(*client_, SOCK_STREAM, 200);
    print("TCP without", without);
    print("TCP with, both ways", with);
    expect_no_loss(with);
    EXPECT_GE(count(alpha_carpd(), "acknowledged"), 300);
}

TEST_F(DeferralTest, AlsoInIpv6) {
    build(kDefer);
    EXPECT_TRUE(pings(*client_, kSixServer));  // neighbours are found, which takes longer than a packet waits
    Outcome tcp = begin_flows(*client_, SOCK_STREAM, 100, kSixServer);
    Outcome udp = begin_flows(*client_, SOCK_DGRAM, 100, kSixServer);
    print("TCP over IPv6", tcp);
    print("UDP over IPv6", udp);
    expect_no_loss(tcp);
    expect_no_loss(udp);
    EXPECT_GE(count(alpha_carpd(), "acknowledged"), 180);
}

// fw1 translates to an address of fw2, which gets the answers and has to translate them back.
TEST_F(DeferralTest, TranslatedFlowsAreKnownWhereTheirAnswersCome) {
    build(kDefer, 2,
          fmt::format("table ip nat {{ chain c {{ type nat hook postrouting priority srcnat; "
                      "oifname eth1 ip saddr 10.0.0.0/24 snat to {}; }}; }}",
                      kShared));
    Outcome tcp = begin_flows(*client_, SOCK_STREAM, 100), udp = begin_flows(*client_, SOCK_DGRAM, 100);
    print("translated TCP", tcp);
    print("translated UDP", udp);
    expect_no_loss(tcp);
    expect_no_loss(udp);
    EXPECT_GE(count(alpha_carpd(), "acknowledged"), 180);
    EXPECT_GE(count(beta_carpd(), "acknowledged"), 90);
}

// What is translated to an address of the host's own dies with it, and no peer is told.
TEST_F(DeferralTest, WhatIsMasqueradedNeedNotWait) {
    build(
        kDefer, 2,
        "table ip nat { chain c { type nat hook postrouting priority srcnat; oifname eth1 masquerade; }; }");
    Outcome tcp = begin_flows(*client_, SOCK_STREAM, 100);
    print("masqueraded TCP", tcp);
    EXPECT_EQ(tcp.lost, 0);
    EXPECT_GE(count(alpha_carpd(), "not_told"), 200);
    EXPECT_EQ(count(alpha_carpd(), "acknowledged") + count(alpha_carpd(), "timed_out"), 0);
}

TEST_F(DeferralTest, AProcessThatHangsStopsNoConnection) {
    build(kDefer, 1);
    const pid_t hanging = pid_of(alpha_carpd());
    ASSERT_EQ(kill(hanging, SIGSTOP), 0);
    begin_flows(*client_, SOCK_STREAM, 1);  // it has the first one
    Outcome meanwhile = begin_flows(*client_, SOCK_STREAM, 100);
    print("TCP while it hangs", meanwhile);
    EXPECT_EQ(meanwhile.lost, 0);
    ASSERT_EQ(kill(hanging, SIGCONT), 0);
    ASSERT_TRUE(wait_until([&] { return is_at_work(alpha_carpd()); }, 20s));
    EXPECT_GE(count(alpha_carpd(), "passed"), 100);
    const int before = count(alpha_carpd(), "deferred");
    expect_no_loss(begin_flows(*client_, SOCK_STREAM, 20));
    EXPECT_GE(count(alpha_carpd(), "deferred"), before + 20);
}

TEST_F(DeferralTest, AProcessThatDiesTakesWithItWhatWaitsAndNothingElse) {
    build(kDefer, 1);
    EXPECT_EQ(taps(), 2);
    EXPECT_EQ(programs(), 2);
    Outcome outcome;
    std::thread traffic([&] { outcome = begin_flows(*client_, SOCK_STREAM, 2000); });
    for (int i = 0; i < 2; ++i) {
        const pid_t dying = pid_of(alpha_carpd());
        const int before = count(alpha_carpd(), "deferred");
        EXPECT_TRUE(wait_until([&] { return count(alpha_carpd(), "deferred") > before + 20; }, 10s));
        EXPECT_EQ(kill(dying, SIGKILL), 0);
        EXPECT_TRUE(
            wait_until([&] { return pid_of(alpha_carpd()) != dying && is_at_work(alpha_carpd()); }, 20s));
    }
    traffic.join();
    print("TCP around two deaths", outcome);
    EXPECT_LE(outcome.lost, 4);
    EXPECT_EQ(taps(), 2);
    // A frame meets the gate once, when it has waited.
    EXPECT_EQ(programs_at(*firewalls_[0], "eth0", Direction::egress),
              (std::vector<std::string>{DEFER_PROGRAM, "carpd_gate_out"}));
    EXPECT_EQ(alpha_carpd().stop(), 0);
    EXPECT_EQ(taps(), 0);
    EXPECT_EQ(programs(), 0);
}

TEST_F(DeferralTest, WithoutAPeerNothingWaits) {
    build(kDefer, 1);
    // As long as the peer isn't known to be gone packets wait, but not for long.
    firewalls_[1]->port("eth2").set_forwarding(false);
    Outcome first = begin_flows(*client_, SOCK_STREAM, 20);
    ASSERT_TRUE(wait_until([&] { return !sync(alpha_carpd())["deferral"]["active"].get<bool>(); }, 10s));
    const int before = count(alpha_carpd(), "deferred");
    Outcome alone = begin_flows(*client_, SOCK_STREAM, 100);
    print("TCP when the peer falls silent", first);
    print("TCP without a peer", alone);
    EXPECT_EQ(first.lost + alone.lost, 0);
    EXPECT_EQ(count(alpha_carpd(), "deferred"), before);
    firewalls_[1]->port("eth2").set_forwarding(true);
    EXPECT_TRUE(wait_until([&] { return is_at_work(alpha_carpd()); }, 20s));
    expect_no_loss(begin_flows(*client_, SOCK_STREAM, 20));
    EXPECT_GE(count(alpha_carpd(), "deferred"), before + 20);
}

TEST_F(DeferralTest, AFloodPasses) {
    build(kDefer, 1);
    constexpr std::uint16_t kPort = 9;
    constexpr int kFlood = 30'000;
    run_checked(
        {{"nft", "-f", "-"},
         &server_->space(),
         fmt::format("table ip t {{ counter seen {{ }}; chain c {{ type filter hook prerouting priority 0; "
                     "tcp dport {} tcp flags & (syn | ack) == syn counter name seen drop; }}; }}",
                     kPort)});
    std::thread flooding([&] { flood(*client_, kPort, kFlood); });
    // They may be late on a busy machine, but not sent again.
    Outcome meanwhile = begin_flows(*client_, SOCK_STREAM, 100, kServer, 900);
    flooding.join();
    print("TCP during a flood", meanwhile);
    EXPECT_EQ(meanwhile.lost, 0);
    const auto seen = [&] {
        const std::string text = server_->run({"nft", "list", "counter", "ip", "t", "seen"}).output;
        const auto at = text.find("packets ");
        return at == std::string::npos ? -1 : std::stoi(text.substr(at + 8));
    };
    EXPECT_TRUE(wait_until([&] { return seen() == kFlood; }, 5s)) << seen();
    const auto deferral = sync(alpha_carpd())["deferral"];
    EXPECT_EQ(deferral["held"], 0);
    EXPECT_EQ(deferral["counters"]["lost"], 0);
    EXPECT_EQ(deferral["counters"]["send_errors"], 0);
    int waited_or_not = 0;
    for (const char* counter : {"deferred", "overflow", "passed"})
        waited_or_not += deferral["counters"][counter].get<int>();
    EXPECT_GE(waited_or_not, kFlood + 200) << "with the answers";
}

TEST_F(DeferralTest, ADeviceThatIsGoneOrDownStopsNoConnection) {
    build(kDefer, 1);
    const auto trouble = [&] { return sync(alpha_carpd())["deferral"]["interfaces"][0]["trouble"]; };
    const std::string name = "carpd-defer0";
    firewalls_[0]->ip("link set " + name + " down");
    EXPECT_TRUE(wait_until(
        [&] {
            return trouble() == name +
                                    " is down, so no packet that leaves eth0 waits; "
                                    "set it up";
        },
        5s))
        << trouble();
    EXPECT_EQ(programs(), 1);
    expect_no_loss(begin_flows(*client_, SOCK_STREAM, 50));
    firewalls_[0]->ip("link set " + name + " up");
    EXPECT_TRUE(wait_until([&] { return trouble().is_null(); }, 5s));
    EXPECT_EQ(programs(), 2);
    expect_no_loss(begin_flows(*client_, SOCK_STREAM, 50));
    firewalls_[0]->ip("link delete " + name);
    EXPECT_TRUE(wait_until(
        [&] {
            return trouble() == name +
                                    " is gone, so no packet that leaves eth0 waits; "
                                    "restart carpd";
        },
        5s))
        << trouble();
    EXPECT_EQ(programs(), 1);
    EXPECT_EQ(begin_flows(*client_, SOCK_STREAM, 50).lost, 0);
    EXPECT_TRUE(wait_until([&] { return is_idle(pid_of(alpha_carpd())); }, 5s));
}

TEST_F(DeferralTest, InterfacesMayComeAndGo) {
    build("defer = [\"eth0\", \"eth1\", \"eth5\"]\n", 1);
    const auto trouble = [&] { return sync(alpha_carpd())["deferral"]["interfaces"][2]["trouble"]; };
    EXPECT_EQ(trouble(), "there is no interface eth5");
    EXPECT_EQ(count_in(alpha_carpd().log(), "there is no interface eth5"), 1);
    EXPECT_EQ(taps(), 3);
    for (int i = 0; i < 2; ++i) {
        firewalls_[0]->attach("eth5", 5, {"203.0.113.1/24"});
        EXPECT_TRUE(wait_until([&] { return trouble().is_null(); }, 5s));
        EXPECT_EQ(programs_of("eth5"), 1);
        firewalls_[0]->detach("eth5");
        EXPECT_TRUE(wait_until([&] { return !trouble().is_null(); }, 5s));
    }
}

// What follows from the sandbox: the process that has it configured needs more than the one that hasn't.
TEST_F(DeferralTest, MayBeConfiguredLater) {
    build("", 1);
    EXPECT_EQ(taps(), 0);
    alpha_carpd().apply(config(1, kDefer));
    EXPECT_TRUE(wait_until([&] { return taps() == 2 && is_at_work(alpha_carpd()); }, 10s));
    EXPECT_EQ(programs(), 2);
    // Who ends in order sends what waits.
    Outcome outcome;
    std::thread traffic([&] { outcome = begin_flows(*client_, SOCK_STREAM, 500); });
    EXPECT_TRUE(wait_until([&] { return count(alpha_carpd(), "deferred") > 20; }, 10s));
    alpha_carpd().apply(config(1, ""));
    EXPECT_TRUE(wait_until([&] { return taps() == 0 && programs() == 0; }, 10s));
    traffic.join();
    EXPECT_EQ(outcome.lost, 0);
}

}  // namespace
}  // namespace carpd::lab
