// For tests of load balancing: hosts that serve one address together, on real kernels.
#pragma once

#include <memory>

#include "balance/macs.h"
#include "balance/shares.h"
#include "linux/clock.h"
#include "linux/data_plane.h"
#include "linux/test_frames.h"
#include "linux/test_network.h"

namespace carpd {

using namespace std::chrono_literals;

inline constexpr std::size_t kHosts = 3;
inline constexpr GroupId kLeader = 4;  // the group of the first carpnode; the others follow
inline const IpAddress kPool4 = ip("192.0.2.100"), kPool6 = ip("2001:db8::100");
inline constexpr MacAddress kClientMac{{0x02, 0, 0, 0, 0, 0xcc}};

// Behind one hub, so that each hears everything: the client's namespace, and hosts of which each is at first
// MASTER of one carpnode of three.
class PoolOfHosts : public testing::Test {
 protected:
    struct Host {
        TestHost place;
        std::optional<Netlink> netlink;
        std::optional<LinkMonitor> monitor;
        std::optional<DataPlane> plane;
        MacAddress mac;
    };

    void SetUp() override {
        if (unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "needs the right to make network namespaces (root)";
        hub.emplace();
        run("ip link add hub0 type bridge ageing_time 0 mcast_snooping 0 && ip link set hub0 up");
        client.emplace();
        plug_in(*client, 9);
        run("ip link set eth0 address " + kClientMac.to_string() +
            " && ip link set eth0 up && ip address add 192.0.2.2/24 dev eth0 && ip address add "
            "2001:db8::2/64 "
            "dev eth0 nodad");
        for (std::size_t i = 0; i < kHosts; ++i) add_host(static_cast<int>(i));
    }
    void plug_in(TestHost& host, int port) {
        hub->enter();
        const std::string name = "port" + std::to_string(port);
        run("ip link add " + name + " type veth peer name eth0 netns " + host.path() + " && ip link set " +
            name + " master hub0 up");
        host.enter();
    }
    // With ways to all clients, of whom there is but one in this LAN, a router to the others.
    void add_host(int number) {
        hosts.push_back(std::make_unique<Host>());
        Host& host = *hosts.back();
        plug_in(host.place, number);
        const std::string last = std::to_string(11 + number), to = kClientMac.to_string() + " dev eth0";
        run("ip link set eth0 up && ip address add 192.0.2." + last +
            "/24 dev eth0 && ip address add 2001:db8::" + last +
            "/64 dev eth0 nodad && ip neigh add 192.0.2.2 lladdr " + to +
            " && ip neigh add 2001:db8::2 lladdr " + to +
            " && ip route add 10.0.0.0/8 via 192.0.2.2 && ip route add 2001:db8:10::/48 via 2001:db8::2");
        host.netlink.emplace(std::move(*Netlink::open()));
        host.monitor.emplace(std::move(*LinkMonitor::open(*host.netlink)));
        make_plane(host);
        EXPECT_FALSE(host.monitor->resync());
        host.mac = host.monitor->find("eth0")->mac();
    }
    static void make_plane(Host& host) {
        auto gate = Gate::open(*host.netlink);
        ASSERT_TRUE(gate) << gate.error().to_string();
        host.plane.emplace(*host.netlink, std::move(*gate));
    }

    void configure(Balancing mode, BalanceHash hash = BalanceHash::bsd) {
        pool = SharedValue<BalanceConfig>(
            BalanceConfig{"web", mode, hash, {{7, 0, 1}, {9, 100, 1}, {12, 100, 1}}});
        if (hash == BalanceHash::weighted) {
            BalanceConfig weighted = *pool;
            weighted.carpnodes[1].weight = 3;
            pool = SharedValue<BalanceConfig>(weighted);
        }
        shares.emplace(*pool, Key{});
        configs.clear();
        for (const Carpnode& each : pool->carpnodes) {
            GroupConfig config;
            config.name = "web:" + std::to_string(each.vhid);
            config.interface = "eth0";
            config.vhid = Vhid{each.vhid};
            config.addresses = {{kPool4, 24}, {kPool6, 64}};
            config.balance = pool;
            configs.push_back(config);
        }
        for (std::size_t i = 0; i < kHosts; ++i) {
            prepare(i);
            install(i, i);
        }
    }
    void prepare(std::size_t host) {
        hosts[host]->place.enter();
        EXPECT_FALSE(hosts[host]->monitor->resync());
        for (std::size_t i = 0; i < configs.size(); ++i) {
            const auto error = plane(host).prepare(group(i), configs[i], *hosts[host]->monitor->find("eth0"));
            ASSERT_FALSE(error) << error->to_string();
        }
    }
    static GroupId group(std::size_t carpnode) { return kLeader + static_cast<GroupId>(carpnode); }
    DataPlane& plane(std::size_t host) { return *hosts[host]->plane; }
    void install(std::size_t host, std::size_t carpnode) {
        hosts[host]->place.enter();
        DataPlane::Installation wanted{group(carpnode), &configs[carpnode], host_now() + 1h};
        plane(host).install(std::span(&wanted, 1));
        EXPECT_TRUE(wanted.installed);
    }
    void settle(std::size_t host) {
        hosts[host]->place.enter();
        while (!plane(host).is_settled()) plane(host).settle();
    }
    // The pool settles for so long on all hosts, and the shares of before count for so long.
    void set_pool(Duration settling, CarpnodeSet at_home = 7, Duration hand_over = -std::chrono::hours(1)) {
        for (std::size_t i = 0; i < kHosts; ++i) {
            hosts[i]->place.enter();
            plane(i).set_pool(kLeader, at_home, host_now() + settling, host_now() + hand_over);
        }
        if (shares) shares->set_at_home(at_home);
    }
    void move(std::size_t carpnode, std::size_t from, std::size_t to) {
        hosts[from]->place.enter();
        plane(from).withdraw(group(carpnode));
        install(to, carpnode);
    }
    std::string addresses_on_lo(std::size_t host) {
        hosts[host]->place.enter();
        return output_of(
            "ip -br address show dev lo; ip route show table local proto 112; ip -6 route show "
            "table local proto 112");
    }

    // Sends frames from the client, and returns what came in of it, without what the hosts say by themselves.
    std::vector<TestFrame> exchange(const std::vector<TestFrame>& frames) {
        client->enter();
        Sniffer sniffer("eth0");
        const UniqueFd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
        sockaddr_ll place{};
        place.sll_family = AF_PACKET;
        place.sll_ifindex = static_cast<int>(if_nametoindex("eth0"));
        std::vector<TestFrame> received;
        for (std::size_t i = 0; i < frames.size(); ++i) {
            EXPECT_EQ(sendto(socket.get(), frames[i].data(), frames[i].size(), 0,
                             reinterpret_cast<sockaddr*>(&place), sizeof place),
                      static_cast<ssize_t>(frames[i].size()));
            if (i % 64 != 63 && i + 1 != frames.size()) continue;
            for (TestFrame& frame : sniffer.received(i + 1 == frames.size() ? 150 : 0)) {
                EXPECT_EQ(frame[6] & 1, 0) << "a multicast source";
                received.push_back(std::move(frame));
            }
        }
        return received;
    }
    static IpAddress client_address(Family family, unsigned number) {
        const auto high = static_cast<std::uint8_t>(number >> 8), low = static_cast<std::uint8_t>(number);
        if (family == Family::ipv4)
            return IpAddress::from_bytes(std::array<std::uint8_t, 4>{10, 3, high, low});
        return IpAddress::from_bytes(
            std::array<std::uint8_t, 16>{0x20, 0x01, 0x0d, 0xb8, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, high, low});
    }

    std::optional<TestHost> hub, client;
    std::vector<std::unique_ptr<Host>> hosts;
    SharedValue<BalanceConfig> pool;
    std::optional<Shares> shares;
    std::vector<GroupConfig> configs;  // by carpnode
};

}  // namespace carpd
