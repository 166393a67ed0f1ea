// Hosts that serve one address together, on real kernels.
#include <gmock/gmock.h>

#include <map>

#include "linux/leftovers.h"
#include "linux/test_pool.h"

namespace carpd {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

struct Choice {
    Balancing mode;
    BalanceHash hash;
};

std::string name_of(const testing::TestParamInfo<Choice>& test) {
    std::string name(to_string(test.param.mode));
    std::replace(name.begin(), name.end(), '-', '_');
    return name + "_" + std::string(to_string(test.param.hash));
}

class EachClient : public PoolOfHosts, public testing::WithParamInterface<Choice> {};

constexpr unsigned kClients = 300;

// By whom a frame was sent, by the table of docs/protocol/balance.md §1.
std::map<IpAddress, std::vector<MacAddress>> answers_by_client(const std::vector<TestFrame>& frames,
                                                               const IpAddress& address) {
    std::map<IpAddress, std::vector<MacAddress>> answers;
    const bool is_ipv4 = address.family() == Family::ipv4;
    for (const TestFrame& frame : frames) {
        if (ip_source(frame) != address) continue;
        const auto to = is_ipv4 ? Bytes(frame).subspan(30, 4) : Bytes(frame).subspan(38, 16);
        answers[IpAddress::from_bytes(to)].push_back(source_mac(frame));
    }
    return answers;
}

TEST_P(EachClient, IsServedByOneHost) {
    configure(GetParam().mode, GetParam().hash);
    set_pool(-1s);
    for (const IpAddress& address : {kPool4, kPool6}) {
        std::vector<TestFrame> requests;
        for (unsigned i = 0; i < kClients; ++i)
            requests.push_back(ethernet(pool_mac(*pool), kClientMac,
                                        echo_request(client_address(address.family(), i), address)));
        auto answers = answers_by_client(exchange(requests), address);
        for (unsigned i = 0; i < kClients; ++i) {
            const IpAddress from = client_address(address.family(), i);
            const MacAddress wanted = GetParam().mode == Balancing::ip_unicast
                                          ? virtual_mac(Vhid{7})
                                          : hosts[shares->carpnode_of(from, address)]->mac;
            EXPECT_THAT(answers[from], testing::ElementsAre(wanted)) << from.to_string();
        }
    }
}

INSTANTIATE_TEST_SUITE_P(, EachClient,
                         testing::Values(Choice{Balancing::ip, BalanceHash::bsd},
                                         Choice{Balancing::ip, BalanceHash::weighted},
                                         Choice{Balancing::ip_stealth, BalanceHash::weighted},
                                         Choice{Balancing::ip_unicast, BalanceHash::bsd}),
                         name_of);

// Rule N7. Each client whose share went is served by the host that had it, too, and no other client by two.
TEST_F(PoolOfHosts, SharesOfBeforeCountDuringTheHandOver) {
    configure(Balancing::ip, BalanceHash::weighted);
    set_pool(-1s);
    const auto count_answers = [&] {
        std::vector<TestFrame> requests;
        for (unsigned i = 0; i < kClients; ++i)
            requests.push_back(
                ethernet(pool_mac(*pool), kClientMac, echo_request(client_address(Family::ipv4, i), kPool4)));
        return answers_by_client(exchange(requests), kPool4);
    };
    const Shares before(*pool, Key{});
    set_pool(1h, 5, 1h);
    auto answers = count_answers();
    for (unsigned i = 0; i < kClients; ++i) {
        const IpAddress from = client_address(Family::ipv4, i);
        const bool moved = before.carpnode_of(from, kPool4) != shares->carpnode_of(from, kPool4);
        EXPECT_EQ(answers[from].size(), moved ? 2u : 1u) << from.to_string();
    }
    set_pool(1h, 5, -1s);
    for (const auto& [from, by] : count_answers()) EXPECT_EQ(by.size(), 1u);
}

class EachAsker : public PoolOfHosts, public testing::WithParamInterface<BalanceHash> {};

TEST_P(EachAsker, IsAnsweredByOneHost) {
    configure(Balancing::arp, GetParam());
    std::vector<TestFrame> questions, requests;
    const auto mac_of = [](unsigned i) {
        return MacAddress{{0x02, 0x77, static_cast<std::uint8_t>(i * 7), 0, static_cast<std::uint8_t>(i >> 8),
                           static_cast<std::uint8_t>(i)}};
    };
    for (unsigned i = 0; i < kClients; ++i) {
        questions.push_back(
            i % 2 ? arp_request(mac_of(i), client_address(Family::ipv4, i), kPool4)
                  : neighbor_solicitation(mac_of(i), client_address(Family::ipv6, i), kPool6, mac_of(i)));
    }
    std::map<MacAddress, std::vector<MacAddress>> answers;
    for (const TestFrame& frame : exchange(questions)) {
        const bool is_arp_reply = ether_type(frame) == ETH_P_ARP && frame[21] == 2;
        if (!is_arp_reply && ip_source(frame) != kPool6) continue;
        MacAddress to;
        std::copy_n(frame.begin(), 6, to.bytes.begin());
        answers[to].push_back(said_mac(frame));
        EXPECT_EQ(said_mac(frame), source_mac(frame));
    }
    for (unsigned i = 0; i < kClients; ++i) {
        const MacAddress wanted = virtual_mac(configs[shares->carpnode_of(mac_of(i))].vhid);
        ASSERT_THAT(answers[mac_of(i)], testing::ElementsAre(wanted)) << mac_of(i).to_string();
        const Family family = i % 2 ? Family::ipv4 : Family::ipv6;
        requests.push_back(
            ethernet(wanted, mac_of(i), echo_request(client_address(family, i), i % 2 ? kPool4 : kPool6)));
    }
    const auto frames = exchange(requests);
    auto answers4 = answers_by_client(frames, kPool4), answers6 = answers_by_client(frames, kPool6);
    for (unsigned i = 0; i < kClients; ++i)
        EXPECT_EQ(
            (i % 2 ? answers4 : answers6)[client_address(i % 2 ? Family::ipv4 : Family::ipv6, i)].size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(, EachAsker, testing::Values(BalanceHash::bsd, BalanceHash::weighted),
                         [](const auto& test) { return std::string(to_string(test.param)); });

TEST_F(PoolOfHosts, AHostWithoutACarpnodeIsSilent) {
    for (const Balancing mode :
         {Balancing::ip, Balancing::ip_stealth, Balancing::ip_unicast, Balancing::arp}) {
        configure(mode);
        set_pool(-1s);
        move(2, 2, 1);
        settle(2);
        std::vector<TestFrame> frames{
            arp_request(kClientMac, ip("192.0.2.2"), kPool4),
            neighbor_solicitation(kClientMac, ip("2001:db8::2"), kPool6, kClientMac)};
        for (const MacAddress& mac : {pool_mac(*pool), virtual_mac(Vhid{12}), hosts[2]->mac}) {
            for (unsigned i = 0; i < 50; ++i) {
                frames.push_back(
                    ethernet(mac, kClientMac, echo_request(client_address(Family::ipv4, i), kPool4)));
                frames.push_back(ethernet(mac, kClientMac,
                                          tcp_packet(client_address(Family::ipv6, i), kPool6, 9, 9, kSyn)));
            }
        }
        hub->enter();
        Sniffer heard_from_it("port2");
        EXPECT_FALSE(exchange(frames).empty());
        for (const TestFrame& frame : heard_from_it.received(0)) {
            EXPECT_NE(ether_type(frame), ETH_P_ARP) << to_string(mode);
            EXPECT_NE(ip_source(frame), kPool4) << to_string(mode);
            EXPECT_NE(ip_source(frame), kPool6) << to_string(mode);
        }
        for (std::size_t host = 0; host < kHosts; ++host) {
            hosts[host]->place.enter();
            for (std::size_t i = 0; i < configs.size(); ++i) plane(host).release(group(i));
        }
    }
}

// As a gateway: the kernel forwards only what is to the host itself.
TEST_F(PoolOfHosts, ForwardsEachClientsPacketsOnce) {
    TestHost server;
    run("ip link add wan0 type bridge && ip link set wan0 up && ip address add 198.51.100.9/24 dev wan0 && "
        "ip "
        "route add default via 198.51.100.11");
    for (std::size_t i = 0; i < kHosts; ++i) {
        server.enter();
        const std::string port = "port" + std::to_string(i);
        run("ip link add " + port + " type veth peer name eth1 netns " + hosts[i]->place.path() +
            " && ip link set " + port + " master wan0 up");
        hosts[i]->place.enter();
        run("sysctl -qw net.ipv4.ip_forward=1 && ip link set eth1 up && ip address add 198.51.100." +
            std::to_string(11 + i) + "/24 dev eth1");
    }
    for (const Balancing mode : {Balancing::ip, Balancing::ip_stealth}) {
        configure(mode);
        std::vector<TestFrame> requests;
        for (unsigned i = 0; i < 50; ++i)
            requests.push_back(ethernet(pool_mac(*pool), kClientMac,
                                        echo_request(client_address(Family::ipv4, i), ip("198.51.100.9"))));
        auto answers = answers_by_client(exchange(requests), ip("198.51.100.9"));
        for (unsigned i = 0; i < 50; ++i)
            EXPECT_EQ(answers[client_address(Family::ipv4, i)].size(), 1u) << to_string(mode) << " " << i;
    }
}

// Clients learn the pool's MAC by themselves, whatever it is, and talk to all hosts by it.
TEST_F(PoolOfHosts, AClientResolvesThePoolsMac) {
    for (const Balancing mode : {Balancing::ip, Balancing::ip_stealth, Balancing::ip_unicast}) {
        configure(mode);
        client->enter();
        run("ip neigh flush dev eth0");
        for (const IpAddress& address : {kPool4, kPool6}) {
            EXPECT_TRUE(answers(address));
            EXPECT_THAT(output_of("ip neigh show " + address.to_string() + " dev eth0"),
                        HasSubstr(pool_mac(*pool).to_string()));
        }
    }
}

// In mode ip the host is a member of the group whose Ethernet address is the pool's, as long as it stands
// ready.
TEST_F(PoolOfHosts, TheCardTakesInThePoolsMac) {
    hosts[0]->place.enter();
    const std::string before = output_of("ip maddr show dev eth0");
    configure(Balancing::ip);
    hosts[0]->place.enter();
    EXPECT_THAT(output_of("ip maddr show dev eth0"), HasSubstr("224.0.1.7"));
    EXPECT_THAT(output_of("ip maddr show dev eth0"), HasSubstr("01:00:5e:00:01:07"));
    plane(0).release(group(0));
    plane(0).release(group(1));
    EXPECT_THAT(output_of("ip maddr show dev eth0"), HasSubstr("224.0.1.7"));
    plane(0).release(group(2));
    EXPECT_EQ(output_of("ip maddr show dev eth0"), before);
}

TEST_F(PoolOfHosts, SpeaksWithTheMacOfItsMode) {
    for (const Balancing mode :
         {Balancing::ip, Balancing::ip_stealth, Balancing::ip_unicast, Balancing::arp}) {
        configure(mode);
        for (std::size_t i = 0; i < configs.size(); ++i)
            EXPECT_EQ(plane(0).mac_of(group(i)),
                      hides_mac(mode) ? hosts[0]->mac : virtual_mac(configs[i].vhid));
    }
    configure(Balancing::ip);
    hosts[0]->place.enter();
    run("ip link set eth0 address 02:00:00:00:00:77");
    prepare(0);
    EXPECT_EQ(plane(0).mac_of(group(1)).to_string(), "02:00:00:00:00:77");
}

TEST_F(PoolOfHosts, AddressesAreThereWithTheLastCarpnode) {
    configure(Balancing::ip);
    install(0, 1);
    settle(0);
    const std::string with = addresses_on_lo(0);
    install(0, 2);
    settle(0);
    EXPECT_EQ(addresses_on_lo(0), with);
    for (const std::size_t carpnode : {0, 2}) {
        plane(0).withdraw(group(carpnode));
        settle(0);
        EXPECT_EQ(addresses_on_lo(0), with);
    }
    install(0, 2);
    plane(0).release(group(1));
    EXPECT_THAT(addresses_on_lo(0), HasSubstr("192.0.2.100"));
    plane(0).withdraw(group(2));
    settle(0);
    EXPECT_THAT(addresses_on_lo(0), Not(HasSubstr("100")));
}

TEST_F(PoolOfHosts, ACarpnodeAddsWhatOthersOfItsPoolDontHaveYet) {
    configure(Balancing::ip);
    settle(0);
    for (GroupConfig& config : configs) config.addresses = {{kPool4, 24}, {ip("192.0.2.101"), 24}};
    prepare(0);
    EXPECT_THAT(addresses_on_lo(0), Not(HasSubstr("192.0.2.101")));
    install(0, 1);
    settle(0);
    EXPECT_THAT(addresses_on_lo(0), AllOf(HasSubstr("192.0.2.100"), HasSubstr("192.0.2.101")));
}

// Though the carpnode that couldn't get it counts as installed, until the core has heard of it and later.
TEST_F(PoolOfHosts, WhatOneCarpnodeCouldNotGetNoOtherHas) {
    configure(Balancing::ip);
    hosts[0]->place.enter();
    plane(0).withdraw(group(0));
    for (GroupConfig& config : configs) config.addresses = {{kPool4, 24}, {ip("fe80::100"), 128}};
    prepare(0);
    run("sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1");
    const Instant lease = host_now() + 1h;
    std::vector<DataPlane::Installation> wanted{{group(0), &configs[0], lease},
                                                {group(1), &configs[1], lease}};
    plane(0).install(std::span(wanted).first(1));
    EXPECT_FALSE(wanted[0].installed);
    plane(0).install(std::span(wanted).last(1));
    EXPECT_FALSE(wanted[1].installed);
    run("sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0");
    install(0, 1);
    install(0, 2);
    EXPECT_THAT(output_of("ip -br address show dev eth0"), HasSubstr("fe80::100"));
}

TEST_F(PoolOfHosts, LeavesNothingBehind) {
    const auto snapshot = [] {
        return output_of(
            "ip -br address && ip route show table all && ip maddr show dev eth0 && sysctl "
            "net.ipv4.conf.eth0.arp_ignore net.ipv4.conf.eth0.arp_announce && tc qdisc show dev eth0");
    };
    hosts[0]->place.enter();
    const std::string before = snapshot();
    for (const Balancing mode : {Balancing::ip, Balancing::ip_stealth, Balancing::arp}) {
        configure(mode);
        set_pool(1h);
        install(0, 1);
        settle(0);
        hosts[0]->place.enter();
        plane(0).withdraw(group(0));
        EXPECT_NE(snapshot(), before);
        for (std::size_t i = 0; i < configs.size(); ++i) plane(0).release(group(i));
        EXPECT_EQ(snapshot(), before) << to_string(mode);
        // Killed.
        configure(mode);
        settle(0);
        hosts[0]->place.enter();
        make_plane(*hosts[0]);
        EXPECT_THAT(remove_leftovers(*hosts[0]->netlink, configs),
                    Contains("removed 192.0.2.100/32 from lo, left by an earlier run"));
        EXPECT_EQ(snapshot(), before) << to_string(mode);
    }
}

TEST_F(PoolOfHosts, AnnouncesNothing) {
    configure(Balancing::ip);
    std::vector<OutgoingFrame> frames;
    plane(0).announce(group(0), configs[0], frames);
    EXPECT_TRUE(frames.empty());
}

TEST_F(PoolOfHosts, NeedsAGate) {
    configure(Balancing::ip);
    hosts[0]->place.enter();
    DataPlane without(*hosts[0]->netlink);
    const auto error = without.prepare(1, configs[0], *hosts[0]->monitor->find("eth0"));
    ASSERT_TRUE(error);
    EXPECT_EQ(error->to_string(), "cannot balance load by a macvlan; that needs dataplane = \"bpf\"");
}

// The order in which the core says things: who is at home before anything is prepared.
TEST_F(PoolOfHosts, KeepsWhatWasSaidBeforeItWasPrepared) {
    set_pool(-1s, 2);
    configure(Balancing::ip, BalanceHash::weighted);
    shares->set_at_home(2);
    std::vector<TestFrame> requests;
    for (unsigned i = 0; i < 20; ++i)
        requests.push_back(
            ethernet(pool_mac(*pool), kClientMac, echo_request(client_address(Family::ipv4, i), kPool4)));
    auto answers = answers_by_client(exchange(requests), kPool4);
    for (unsigned i = 0; i < 20; ++i)
        EXPECT_THAT(answers[client_address(Family::ipv4, i)], testing::ElementsAre(hosts[1]->mac));
}

}  // namespace
}  // namespace carpd
