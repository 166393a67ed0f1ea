#include "linux/gate_pools.h"

#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "balance/macs.h"
#include "base/random.h"
#include "linux/clock.h"
#include "linux/gate_maps.h"
#include "linux/test_frames.h"
#include "linux/test_network.h"

namespace carpd {
namespace {

using namespace std::chrono_literals;

constexpr GroupId kFirst = 40;  // group of the first carpnode
constexpr MacAddress kOwnMac{{0x02, 0, 0, 0, 0, 0x01}}, kNeighbor{{0x02, 0, 0, 0, 0, 0x02}};
const Key kKey{'s', '3', 'c', 'r', 'e', 't'};
const IpAddress kPool4 = ip("192.0.2.100"), kPool6 = ip("2001:db8::100"), kPoolLocal = ip("fe80::100");

constexpr Balancing kByIp[] = {Balancing::ip, Balancing::ip_stealth, Balancing::ip_unicast};

BalanceConfig pool_config(Balancing mode, std::size_t count, BalanceHash hash = BalanceHash::bsd) {
    BalanceConfig config{"web", mode, hash, {}};
    for (std::size_t i = 0; i < count; ++i)
        config.carpnodes.push_back(
            {static_cast<std::uint8_t>(7 + 3 * i), 0,
             static_cast<std::uint8_t>(hash == BalanceHash::weighted ? 1 + i % 4 : 1)});
    return config;
}

// The program in the kernel, and packets that it is asked about one by one.
class GatePoolsTest : public TwoHosts {
 protected:
    void SetUp() override {
        TwoHosts::SetUp();
        if (IsSkipped()) return;
        ifindex = static_cast<int>(if_nametoindex("eth0"));
        auto loaded = GateProgram::load();
        ASSERT_TRUE(loaded) << loaded.error().to_string();
        program.emplace(std::move(*loaded));
        pools.emplace(*program);
    }
    void make(const BalanceConfig& config) {
        if (owner != 0) remove();
        pool = SharedValue<BalanceConfig>(config);
        shares.emplace(config, kKey);
        for (std::size_t i = 0; i < config.carpnodes.size(); ++i) {
            const Vhid vhid{config.carpnodes[i].vhid};
            const bool speaks_virtually = !hides_mac(config.mode);
            program->set_identity(group(i), speaks_virtually ? virtual_mac(vhid) : kOwnMac, speaks_virtually,
                                  false);
            const auto joined = pools->join(ifindex, {pool, kKey, vhid}, group(i));
            ASSERT_TRUE(joined) << joined.error().to_string();
            owner = *joined;
            if (!config.by_ip()) {
                ASSERT_FALSE(program->put_mac(ifindex, virtual_mac(vhid), pools->carpnode(owner, vhid)));
            }
        }
        for (const IpAddress& address : {kPool4, kPool6, kPoolLocal})
            ASSERT_FALSE(program->put_address(ifindex, address, owner));
        if (config.by_ip()) {
            ASSERT_FALSE(program->put_mac(ifindex, pool_mac(config), owner));
        }
    }
    void remove() {
        own({});
        const auto members = pools->members(owner);
        for (const auto& [vhid, member] : members) {
            program->remove_mac(ifindex, virtual_mac(vhid),
                                pool->by_ip() ? owner : pools->carpnode(owner, vhid));
            program->remove_mac(ifindex, pool_mac(*pool), owner);
        }
        for (const auto& [vhid, member] : members) pools->leave(owner, member);
        owner = 0;
    }
    void set_at_home(CarpnodeSet at_home, Instant settling_until = {}) {
        ASSERT_FALSE(pools->set(kFirst, at_home, settling_until, {}));
        shares->set_at_home(at_home);
    }
    static GroupId group(std::size_t carpnode) { return kFirst + static_cast<GroupId>(carpnode); }
    // This host is MASTER of these carpnodes.
    void own(CarpnodeSet carpnodes) {
        for (std::size_t i = 0; i < pool->carpnodes.size(); ++i)
            program->set_lease(group(i), carpnodes >> i & 1 ? host_now() + 1h : Instant{});
    }
    void own_all_but(CarpnodeSet carpnodes) { own(all_carpnodes(pool->carpnodes.size()) & ~carpnodes); }

    struct Outcome {
        std::uint32_t action;
        TestFrame frame;

        bool passes() const { return action == static_cast<std::uint32_t>(TC_ACT_UNSPEC); }
        bool is_dropped() const { return action == TC_ACT_SHOT; }
        bool is_answered() const { return action == TC_ACT_REDIRECT; }
    };
    Outcome give(Direction direction, const TestFrame& frame) {
        __sk_buff context{};
        context.ifindex = static_cast<__u32>(ifindex);
        Outcome outcome{0, TestFrame(frame.size() + 256)};
        bpf_test_run_opts options{};
        options.sz = sizeof options;
        options.data_in = frame.data();
        options.data_size_in = static_cast<__u32>(frame.size());
        options.data_out = outcome.frame.data();
        options.data_size_out = static_cast<__u32>(outcome.frame.size());
        options.ctx_in = &context;
        options.ctx_size_in = sizeof context;
        EXPECT_EQ(bpf_prog_test_run_opts(program->descriptor(direction), &options), 0)
            << std::strerror(errno);
        outcome.action = options.retval;
        outcome.frame.resize(options.data_size_out);
        return outcome;
    }
    Outcome comes_in(const TestFrame& frame) { return give(Direction::ingress, frame); }
    Outcome leaves(const TestFrame& frame) { return give(Direction::egress, frame); }

    // It passes where the host is MASTER of this carpnode, and nowhere else.
    testing::AssertionResult belongs_to(CarpnodeIndex carpnode, Direction direction, const TestFrame& frame) {
        own(CarpnodeSet{1} << carpnode);
        const bool passes = give(direction, frame).passes();
        own_all_but(CarpnodeSet{1} << carpnode);
        const bool passes_elsewhere = !give(direction, frame).is_dropped();
        if (passes && !passes_elsewhere) return testing::AssertionSuccess();
        return testing::AssertionFailure() << "carpnode " << int{carpnode} << (passes ? "" : ", not there")
                                           << (passes_elsewhere ? ", elsewhere" : "");
    }
    IpAddress random_address(Family family) {
        std::array<std::uint8_t, 16> bytes;
        for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.next());
        // Of any kind that packets have as source.
        bytes[0] =
            family == Family::ipv4 ? static_cast<std::uint8_t>(1 + bytes[0] % 126) : std::uint8_t{0x20};
        return IpAddress::from_bytes(Bytes(bytes).first(family == Family::ipv4 ? 4 : 16));
    }
    MacAddress random_mac() {
        MacAddress mac;
        for (std::uint8_t& byte : mac.bytes) byte = static_cast<std::uint8_t>(random.next());
        mac.bytes[0] &= 0xfe;
        return mac;
    }

    int ifindex = 0;
    std::optional<GateProgram> program;
    std::optional<GatePools> pools;
    SharedValue<BalanceConfig> pool;
    std::optional<Shares> shares;
    GateOwner owner = 0;
    Random random{1};
};

constexpr BalanceHash kHashes[] = {BalanceHash::bsd, BalanceHash::weighted};
constexpr std::size_t kCounts[] = {2, 3, 5, 32};

const IpAddress& pool_address(Family family) {
    return family == Family::ipv4 ? kPool4 : kPool6;
}

// N1, N3, N5: in the kernel as in balance/.
TEST_F(GatePoolsTest, AgreesWithSharesOnWhosePacketsAre) {
    for (const BalanceHash hash : kHashes) {
        for (const std::size_t count : kCounts) {
            make(pool_config(Balancing::ip, count, hash));
            for (int i = 0; i < 300; ++i) {
                if (i % 50 == 0) set_at_home(static_cast<CarpnodeSet>(random.next()));
                const IpAddress& address = pool_address(i % 2 ? Family::ipv4 : Family::ipv6);
                const IpAddress client = random_address(address.family());
                const auto carpnode = shares->carpnode_of(client, address);
                SCOPED_TRACE(client.to_string() + ", " + std::string(to_string(hash)) + ", " +
                             std::to_string(count));
                ASSERT_TRUE(belongs_to(carpnode, Direction::ingress,
                                       ethernet(pool_mac(*pool), kNeighbor, echo_request(client, address))));
                ASSERT_TRUE(belongs_to(carpnode, Direction::egress,
                                       ethernet(kNeighbor, kOwnMac, echo_request(address, client))));
            }
        }
    }
}

// N2, N3, N5.
TEST_F(GatePoolsTest, AgreesWithSharesOnWhoIsAnswered) {
    for (const BalanceHash hash : kHashes) {
        for (const std::size_t count : kCounts) {
            make(pool_config(Balancing::arp, count, hash));
            for (int i = 0; i < 300; ++i) {
                if (i % 50 == 0) set_at_home(static_cast<CarpnodeSet>(random.next()));
                const MacAddress asker = random_mac();
                const auto carpnode = shares->carpnode_of(asker);
                const TestFrame question =
                    i % 2 ? arp_request(asker, ip("192.0.2.9"), kPool4)
                          : neighbor_solicitation(i % 4 ? asker : kNeighbor, ip("2001:db8::9"), kPool6,
                                                  i % 4 ? std::nullopt : std::optional(asker));
                own_all_but(CarpnodeSet{1} << carpnode);
                ASSERT_TRUE(comes_in(question).is_dropped()) << asker.to_string();
                own(CarpnodeSet{1} << carpnode);
                const Outcome outcome = comes_in(question);
                ASSERT_TRUE(outcome.is_answered()) << asker.to_string();
                const MacAddress mac = virtual_mac(Vhid{pool->carpnodes[carpnode].vhid});
                ASSERT_EQ(said_mac(outcome.frame), mac);
                ASSERT_EQ(source_mac(outcome.frame), mac);
            }
        }
    }
}

// N4.
TEST_F(GatePoolsTest, AnErrorBelongsToTheFlowThatItQuotes) {
    make(pool_config(Balancing::ip, 32));
    for (int i = 0; i < 200; ++i) {
        const Family family = i % 2 ? Family::ipv4 : Family::ipv6;
        const IpAddress& address = pool_address(family);
        const IpAddress client = random_address(family), router = random_address(family);
        const auto carpnode = shares->carpnode_of(client, address);
        const TestFrame answer = tcp_packet(address, client, 80, 4321, kAck);
        const std::vector<std::uint8_t> types = family == Family::ipv4
                                                    ? std::vector<std::uint8_t>{3, 4, 5, 11, 12}
                                                    : std::vector<std::uint8_t>{1, 2, 3, 4};
        for (const std::uint8_t type : types) {
            EXPECT_TRUE(
                belongs_to(carpnode, Direction::ingress,
                           ethernet(pool_mac(*pool), kNeighbor, icmp_error(router, address, type, answer))));
            EXPECT_TRUE(belongs_to(
                carpnode, Direction::egress,
                ethernet(kNeighbor, kOwnMac,
                         icmp_error(address, router, type, tcp_packet(client, address, 4321, 80, kAck)))));
        }
        // No error: an echo with the same bytes in it.
        EXPECT_TRUE(
            belongs_to(shares->carpnode_of(router, address), Direction::ingress,
                       ethernet(pool_mac(*pool), kNeighbor,
                                icmp_error(router, address, family == Family::ipv4 ? 8 : 128, answer))));
    }
}

// N4: the first fragment of an error has the quote, the others haven't.
TEST_F(GatePoolsTest, FragmentsStayTogether) {
    make(pool_config(Balancing::ip, 32));
    for (int i = 0; i < 100; ++i) {
        const IpAddress client = random_address(Family::ipv4), router = random_address(Family::ipv4);
        TestFrame error = icmp_error(router, kPool4, 3, tcp_packet(kPool4, client, 80, 4321, kAck));
        for (const unsigned fragment : {0x2000u, 0x2010u, 0x0010u}) {
            set_u16(error, 6, fragment);
            EXPECT_TRUE(belongs_to(shares->carpnode_of(router, kPool4), Direction::ingress,
                                   ethernet(pool_mac(*pool), kNeighbor, error)));
        }
    }
}

// Headers that end early are no reason for anything else than the outer addresses.
TEST_F(GatePoolsTest, TruncatedErrorsGoByTheirOwnAddresses) {
    make(pool_config(Balancing::ip, 32));
    const IpAddress client = ip("198.51.100.5"), router = ip("203.0.113.77");
    TestFrame error = icmp_error(router, kPool4, 3, tcp_packet(kPool4, client, 80, 4321, kAck));
    error.resize(20 + 8 + 19);
    EXPECT_TRUE(belongs_to(shares->carpnode_of(router, kPool4), Direction::ingress,
                           ethernet(pool_mac(*pool), kNeighbor, error)));
}

// N5: frames to the pool's MAC pass on, as by a gateway, and so do those to an address at the host's own MAC.
TEST_F(GatePoolsTest, ForwardedPacketsHaveACarpnodeToo) {
    for (const Balancing mode : kByIp) {
        make(pool_config(mode, 5));
        for (int i = 0; i < 100; ++i) {
            const Family family = i % 2 ? Family::ipv4 : Family::ipv6;
            const IpAddress client = random_address(family), server = random_address(family);
            EXPECT_TRUE(belongs_to(shares->carpnode_of(client, server), Direction::ingress,
                                   ethernet(pool_mac(*pool), kNeighbor, echo_request(client, server))));
            const IpAddress& address = pool_address(family);
            EXPECT_TRUE(belongs_to(shares->carpnode_of(client, address), Direction::ingress,
                                   ethernet(kOwnMac, kNeighbor, echo_request(client, address))));
            own({});
            EXPECT_TRUE(comes_in(ethernet(kOwnMac, kNeighbor, echo_request(client, server))).passes());
        }
    }
}

// In ARP balancing a frame's destination says whose it is.
TEST_F(GatePoolsTest, ByArpTheMacSaysWhose) {
    make(pool_config(Balancing::arp, 5));
    for (CarpnodeIndex carpnode = 0; carpnode < 5; ++carpnode) {
        const MacAddress mac = virtual_mac(Vhid{pool->carpnodes[carpnode].vhid});
        for (int i = 0; i < 20; ++i) {
            const Family family = i % 2 ? Family::ipv4 : Family::ipv6;
            const IpAddress client = random_address(family);
            EXPECT_TRUE(belongs_to(carpnode, Direction::ingress,
                                   ethernet(mac, kNeighbor, echo_request(client, pool_address(family)))));
            EXPECT_TRUE(belongs_to(carpnode, Direction::ingress,
                                   ethernet(mac, kNeighbor, echo_request(client, random_address(family)))));
            const TestFrame to_own_mac =
                ethernet(kOwnMac, kNeighbor, echo_request(client, pool_address(family)));
            own(CarpnodeSet{1} << carpnode);
            EXPECT_TRUE(comes_in(to_own_mac).passes()) << "any lease";
            own({});
            EXPECT_TRUE(comes_in(to_own_mac).is_dropped());
        }
    }
}

// The table of §1: what ARP and ND say, and with which source; answered by the MASTER of the leader.
TEST_F(GatePoolsTest, ByIpTheLeadersMasterAnswers) {
    for (const Balancing mode : kByIp) {
        make(pool_config(mode, 3));
        const MacAddress source = mode == Balancing::ip_unicast ? virtual_mac(Vhid{7}) : kOwnMac;
        for (const TestFrame& question :
             {arp_request(kNeighbor, ip("192.0.2.9"), kPool4),
              neighbor_solicitation(kNeighbor, ip("2001:db8::9"), kPool6, kNeighbor),
              neighbor_solicitation(kNeighbor, ip("::"), kPool6, std::nullopt),
              neighbor_solicitation(kNeighbor, ip("fe80::9"), kPoolLocal, kNeighbor)}) {
            own_all_but(1);
            EXPECT_TRUE(comes_in(question).is_dropped());
            own(1);
            const Outcome outcome = comes_in(question);
            ASSERT_TRUE(outcome.is_answered());
            EXPECT_EQ(said_mac(outcome.frame), pool_mac(*pool));
            EXPECT_EQ(source_mac(outcome.frame), source);
            // As it leaves it passes the gate again.
            const Outcome sent = leaves(outcome.frame);
            ASSERT_TRUE(sent.passes());
            EXPECT_EQ(sent.frame, outcome.frame);
        }
    }
}

// The table of §1, third column.
TEST_F(GatePoolsTest, SpeaksWithTheSourceOfItsMode) {
    const auto source_of = [&](const IpAddress& address, const MacAddress& to) {
        const IpAddress client = random_address(address.family());
        const Outcome outcome = leaves(ethernet(to, kOwnMac, echo_request(address, client)));
        EXPECT_TRUE(outcome.passes());
        return source_mac(outcome.frame);
    };
    for (const IpAddress& address : {kPool4, kPool6}) {
        for (const Balancing mode : kByIp) {
            make(pool_config(mode, 3));
            own(7);
            EXPECT_EQ(source_of(address, kNeighbor),
                      mode == Balancing::ip_unicast ? virtual_mac(Vhid{7}) : kOwnMac);
        }
        make(pool_config(Balancing::arp, 3));
        for (int i = 0; i < 50; ++i) {
            const MacAddress to = random_mac();
            const auto carpnode = shares->carpnode_of(to);
            own(7);
            EXPECT_EQ(source_of(address, to), virtual_mac(Vhid{pool->carpnodes[carpnode].vhid}));
            own_all_but(CarpnodeSet{1} << carpnode);
            EXPECT_EQ(source_of(address, to), virtual_mac(Vhid{pool->carpnodes[carpnode == 0 ? 1 : 0].vhid}))
                << "the first other";
        }
        own({});
        EXPECT_TRUE(leaves(ethernet(kNeighbor, kOwnMac, echo_request(address, address))).is_dropped());
    }
}

// The kernel asks for neighbours by itself, with an address of the pool where the interface has no other.
// What it says of the address is what clients should know, whoever is asked.
TEST_F(GatePoolsTest, SaysThePoolsMacWhenItAsks) {
    const TestFrame arp = arp_request(kOwnMac, kPool4, ip("192.0.2.9"));
    const TestFrame ns = neighbor_solicitation(kOwnMac, kPoolLocal, ip("fe80::9"), kOwnMac);
    for (const Balancing mode : kByIp) {
        make(pool_config(mode, 3));
        own(2);
        const Outcome question = leaves(arp);
        ASSERT_TRUE(question.passes());
        EXPECT_EQ(said_mac(question.frame), pool_mac(*pool));
        const Outcome solicitation = leaves(ns);
        ASSERT_TRUE(solicitation.passes());
        EXPECT_EQ(said_mac(solicitation.frame), pool_mac(*pool));
        Bytes sent(solicitation.frame);
        EXPECT_EQ(checksum_fold(checksum_sum(sent.subspan(22), IPPROTO_ICMPV6 + 32)), 0)
            << "addresses and message";
        // The answer.
        TestFrame reply = arp_request(kNeighbor, ip("192.0.2.9"), kPool4);
        reply[21] = 2;
        std::copy_n(pool_mac(*pool).bytes.begin(), 6, reply.begin());
        EXPECT_TRUE(comes_in(reply).passes());
        own({});
        EXPECT_TRUE(leaves(arp).is_dropped());
        EXPECT_TRUE(leaves(ns).is_dropped());
        EXPECT_TRUE(comes_in(reply).is_dropped());
    }
}

TEST_F(GatePoolsTest, AMacThatHidesIsNeverASource) {
    for (const Balancing mode : kByIp) {
        make(pool_config(mode, 3));
        own(7);
        const TestFrame frame =
            ethernet(kNeighbor, pool_mac(*pool), echo_request(ip("192.0.2.1"), ip("192.0.2.9")));
        EXPECT_EQ(leaves(frame).passes(), mode == Balancing::ip_unicast) << to_string(mode);
    }
}

// IPv4 groups have the pool's Ethernet address, too: 224.0.1.7, 239.128.1.7.
TEST_F(GatePoolsTest, LetsMulticastPass) {
    make(pool_config(Balancing::ip, 3));
    for (const char* address : {"224.0.1.7", "239.128.1.7"}) {
        EXPECT_TRUE(comes_in(ethernet(pool_mac(*pool), kNeighbor, echo_request(ip("192.0.2.9"), ip(address))))
                        .passes());
    }
}

TEST_F(GatePoolsTest, AdvertisementsPass) {
    make(pool_config(Balancing::ip, 3));
    const TestFrame packet = ip_packet(ip("192.0.2.9"), kPool4, 112, TestFrame(36), 255);
    EXPECT_TRUE(comes_in(ethernet(pool_mac(*pool), kNeighbor, packet)).passes());
    EXPECT_TRUE(leaves(ethernet(kNeighbor, kOwnMac, packet)).passes());
}

// Only the leader's is a destination in IP balancing.
TEST_F(GatePoolsTest, OtherCarpnodesMacsAreNobodys) {
    make(pool_config(Balancing::ip_stealth, 3));
    own({});
    const TestFrame frame =
        ethernet(virtual_mac(Vhid{10}), kNeighbor, echo_request(ip("192.0.2.9"), ip("198.51.100.1")));
    EXPECT_TRUE(comes_in(frame).passes()) << "to the kernel it is a stranger's";
}

TEST_F(GatePoolsTest, CountsWhatItAcceptsAndWhatItLeaves) {
    make(pool_config(Balancing::ip, 2));
    own(1);
    PoolTraffic wanted;
    for (int i = 0; i < 100; ++i) {
        const IpAddress client = random_address(Family::ipv4);
        const TestFrame frame = ethernet(pool_mac(*pool), kNeighbor, echo_request(client, kPool4));
        comes_in(frame);
        if (shares->carpnode_of(client, kPool4) == 0) {
            ++wanted.packets;
            wanted.bytes += frame.size();
        } else {
            ++wanted.of_others;
        }
    }
    EXPECT_GT(wanted.packets, 20u);
    PoolTraffic counted = program->traffic_of(owner);
    EXPECT_EQ(counted.packets, wanted.packets);
    EXPECT_EQ(counted.bytes, wanted.bytes);
    EXPECT_EQ(counted.of_others, wanted.of_others);
    remove();
    make(pool_config(Balancing::ip, 2));
    counted = program->traffic_of(owner);
    EXPECT_EQ(counted.packets + counted.of_others, 0u) << "another pool of this number";
}

// Reload: another carpnode between those that were there, and other weights.
TEST_F(GatePoolsTest, FollowsItsConfiguration) {
    BalanceConfig config = pool_config(Balancing::ip, 2, BalanceHash::weighted);
    make(config);
    const GateOwner before = owner;
    config.carpnodes.insert(config.carpnodes.begin() + 1, {8, 0, 4});
    const SharedValue<BalanceConfig> changed(config);
    for (const auto& [vhid, member] : {std::pair{7, kFirst}, {8, kFirst + 5}, {10, kFirst + 1}})
        EXPECT_EQ(
            pools->join(ifindex, {changed, kKey, Vhid{static_cast<std::uint8_t>(vhid)}}, member).value(),
            before);
    const Shares wanted(config, kKey);
    for (int i = 0; i < 100; ++i) {
        const IpAddress client = random_address(Family::ipv4);
        const GroupId members[] = {kFirst, kFirst + 5, kFirst + 1};
        for (const GroupId member : members) program->set_lease(member, Instant{});
        program->set_lease(members[wanted.carpnode_of(client, kPool4)], host_now() + 1h);
        EXPECT_TRUE(comes_in(ethernet(pool_mac(*pool), kNeighbor, echo_request(client, kPool4))).passes());
    }
}

// N8: what refuses is held back while a pool settles, and nothing else.
TEST_F(GatePoolsTest, HoldsBackRefusalsWhileItSettles) {
    const auto leaves_with = [&](std::uint8_t flags) {
        return leaves(ethernet(kNeighbor, kOwnMac, tcp_packet(kPool4, ip("198.51.100.5"), 80, 4321, flags)))
            .passes();
    };
    for (const Balancing mode : {Balancing::ip, Balancing::arp}) {
        make(pool_config(mode, 2));
        for (const Instant ended : {Instant{}, Instant::min(), host_now() - 1ns}) {
            set_at_home(3, ended);
            own({});
            EXPECT_FALSE(leaves_with(kAck));
            own(3);
            EXPECT_TRUE(leaves_with(kRst));
        }
        set_at_home(3, host_now() + 1h);
        EXPECT_EQ(leaves_with(kRst), mode == Balancing::arp) << "whose frames come to no other host";
        EXPECT_TRUE(leaves_with(kRst | kAck));
        EXPECT_TRUE(leaves_with(kAck));
        own({});
        EXPECT_EQ(leaves_with(kAck), mode == Balancing::ip) << "what answers others' leaves, too";
    }
}

// Two pools, on two interfaces or of two leaders, know nothing of each other.
TEST_F(GatePoolsTest, PoolsAreApart) {
    make(pool_config(Balancing::ip, 2));
    const auto there = pools->join(ifindex + 1, {pool, kKey, Vhid{7}}, 90);
    ASSERT_TRUE(there);
    EXPECT_NE(*there, owner);
    program->set_lease(90, host_now() + 1h);
    own({});
    EXPECT_TRUE(
        comes_in(ethernet(pool_mac(*pool), kNeighbor, echo_request(ip("192.0.2.9"), kPool4))).is_dropped());
    pools->leave(*there, 90);
    EXPECT_EQ(
        pools
            ->join(
                ifindex,
                {SharedValue<BalanceConfig>({"x", Balancing::arp, BalanceHash::bsd, {{9, 0, 1}, {11, 0, 1}}}),
                 kKey, Vhid{9}},
                90)
            .value(),
        *there)
        << "a number that is free is used again";
}

}  // namespace
}  // namespace carpd
