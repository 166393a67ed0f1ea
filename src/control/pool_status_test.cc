#include "control/pool_status.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "carp/authenticator.h"
#include "control/status.h"

namespace carpd {
namespace {

using nlohmann::json;
using std::chrono::minutes;
using std::chrono::seconds;

IpAddress ip(const std::string& text) {
    return IpAddress::parse(text).value();
}

// Three carpnodes, of which this host is to have the first; another group beside them.
std::vector<GroupConfig> config(Balancing mode, BalanceHash hash) {
    BalanceConfig pool;
    pool.pool = "web";
    pool.mode = mode;
    pool.hash = hash;
    pool.carpnodes = {{1, 0, 2}, {2, 100, 1}, {3, 200, 1}};
    const SharedValue<BalanceConfig> shared(pool);
    std::vector<GroupConfig> groups(4);
    for (std::size_t i = 0; i < groups.size(); ++i) {
        GroupConfig& group = groups[i];
        group.name = i < 3 ? "web:" + std::to_string(i + 1) : "lan";
        group.interface = "eth0";
        group.vhid = Vhid{static_cast<std::uint8_t>(i + 1)};
        group.addresses = {{ip(i < 3 ? "192.0.2.100" : "192.0.2.99"), 24}};
        if (i == 3) break;
        group.addresses.push_back({ip("2001:db8::100"), 64});
        group.advskew = AdvSkew{pool.carpnodes[i].advskew};
        group.key = {'s', '3', 'c', 'r', 'e', 't'};
        group.balance = shared;
    }
    return groups;
}

class PoolStatus : public testing::Test {
 protected:
    void start(Balancing mode = Balancing::ip, BalanceHash hash = BalanceHash::bsd) {
        node.configure(now, share(config(mode, hash)), out);
        come_up();
        hear(2, 2, 0);
        hear(3, 2, 100);
        pass(seconds(2));
        hear(2, 2, 0);
        hear(3, 2, 100);
        pass(milliseconds(1500));  // carpnode 1 is ours
    }
    void come_up() {
        node.handle_link(now, 0, {true, true, true, ip("192.0.2.1"), ip("fe80::1"), ip("2001:db8::1")}, out);
        settle();
    }
    // 192.0.2.`host` advertises the carpnode.
    void hear(std::uint8_t vhid, int host, std::uint8_t advskew) {
        const GroupConfig group = node.group(0)->config();
        Advertisement a;
        a.vhid = vhid;
        a.advbase = advskew == 255 ? 255 : 1;
        a.advskew = advskew;
        a.counter = ++counter;
        a.digest = Authenticator(group.key, Vhid{vhid}, group.addresses).sign(a.counter);
        for (const auto& source :
             {ip("192.0.2." + std::to_string(host)), ip("fe80::" + std::to_string(host))}) {
            const AdvertisementPacket packet(source, carp_multicast_group(source.family()), encode(a));
            EXPECT_FALSE(node.handle_packet(now, 0, packet.bytes(), out).refused);
        }
        settle();
    }
    // What it wants done works.
    void settle() {
        while (!out.empty())
            for (const Action& action : std::exchange(out, {})) {
                if (const auto* send = std::get_if<SendAdvertisement>(&action))
                    node.handle_send_result(now, send->group, true, out);
                if (const auto* install = std::get_if<InstallAddresses>(&action))
                    node.handle_install_result(now, install->group, true, out);
            }
    }
    void pass(Duration time) {
        for (const Instant end = now + time; now < end;) {
            now = std::min(end, std::max(now, node.next_deadline()));
            node.handle_timer(now, out);
            settle();
        }
    }
    json pool() const { return json::parse(status_of(node, *node.pool(0), now, traffic)); }
    json balance(GroupId id) const {
        return json::parse(status_of(node, *node.group(id), now, "bpf")).at("balance");
    }
    json client(const PoolClient& client) const {
        return json::parse(client_line(node, {node.pool(0)}, client, now));
    }
    json answers(const std::string& address) const {
        return client({ip(address), {}}).at("pools").at(0).at("answers");
    }

    using milliseconds = std::chrono::milliseconds;
    Node node{1};
    Instant now{std::chrono::hours(1)};
    Actions out;
    std::uint64_t counter = 1000;
    std::optional<PoolTraffic> traffic;
};

TEST_F(PoolStatus, SaysWhatEachCarpnodeIs) {
    start();
    EXPECT_EQ(
        balance(0),
        json::parse(R"({"pool": "web", "mode": "ip", "hash": "bsd", "carpnodes": 3, "carpnode": 0, "vhid": 1,
        "group": "web:1", "weight": 2, "share": 0.3335, "at_home": true, "master": "self"})"));
    const json second = balance(1);
    EXPECT_EQ(second.at("carpnode"), 1);
    EXPECT_EQ(second.at("master"), "192.0.2.2");
    EXPECT_EQ(second.at("at_home"), true);
    // The stand-in of the third is at home in the second.
    EXPECT_EQ(balance(2).at("master"), "192.0.2.2");
    EXPECT_EQ(balance(2).at("at_home"), false);
    EXPECT_TRUE(balance(3).is_null());
    EXPECT_EQ(json::parse(status_of(node, *node.group(1), now, "bpf")).at("virtual_mac"),
              "01:00:5e:00:01:01");
}

TEST_F(PoolStatus, SaysWhichHostHasWhichShare) {
    start();
    EXPECT_TRUE(pool().at("traffic").is_null());
    traffic = PoolTraffic{3, 2000, 5};
    const json all = pool();
    EXPECT_EQ(all.at("name"), "web");
    EXPECT_EQ(all.at("mac"), "01:00:5e:00:01:01");
    EXPECT_EQ(all.at("addresses"), json::parse(R"(["192.0.2.100/24", "2001:db8::100/64"])"));
    EXPECT_TRUE(all.at("settling_ms").is_null());
    ASSERT_EQ(all.at("hosts").size(), 2u);
    EXPECT_EQ(all.at("hosts")[0],
              json::parse(R"({"host": "self", "carpnodes": [1], "share": 0.3335, "pool": null,
        "probes": null})"));
    EXPECT_EQ(all.at("hosts")[1].at("host"), "192.0.2.2");
    EXPECT_EQ(all.at("hosts")[1].at("carpnodes"), json::parse("[2, 3]"));
    EXPECT_EQ(all.at("hosts")[1].at("share"), 0.6665);
    EXPECT_EQ(all.at("traffic"), json::parse(R"({"packets": 3, "bytes": 2000, "packets_of_others": 5})"));
}

TEST_F(PoolStatus, AShareThatNobodyServesIsNobodys) {
    node.configure(now, share(config(Balancing::ip, BalanceHash::bsd)), out);
    come_up();
    hear(2, 2, 0);
    const json hosts = pool().at("hosts");
    ASSERT_EQ(hosts.size(), 2u);
    EXPECT_TRUE(hosts[0].at("host").is_null());
    EXPECT_EQ(hosts[0].at("carpnodes"), json::parse("[1, 3]"));
    EXPECT_TRUE(balance(2).at("master").is_null());
    EXPECT_EQ(balance(2).at("at_home"), true) << "as long as nobody has taken over";
}

TEST_F(PoolStatus, WeightsMakeShares) {
    start(Balancing::ip_stealth, BalanceHash::weighted);
    EXPECT_EQ(pool().at("mac"), "00:00:5e:00:01:01");
    // 2:1 between the two that are at home.
    EXPECT_NEAR(balance(0).at("share").get<double>(), 2.0 / 3, 0.02);
    EXPECT_NEAR(balance(1).at("share").get<double>(), 1.0 / 3, 0.02);
    EXPECT_EQ(balance(2).at("share"), 0);
}

TEST_F(PoolStatus, SaysHowLongItSettles) {
    start();
    hear(3, 3, 0);  // 192.0.2.3 comes, and 192.0.2.2 yields to it
    ASSERT_TRUE(node.pool(0)->settles(now));
    EXPECT_EQ(pool().at("settling_ms"), std::chrono::milliseconds(minutes(10)).count());
}

TEST_F(PoolStatus, SaysWhoServesAnAddress) {
    start();
    // 192.0.2.7 ^ 192.0.2.100 is 99, and 99 mod 3 is 0.
    const json found = client({ip("192.0.2.7"), {}});
    EXPECT_EQ(found.at("address"), "192.0.2.7");
    EXPECT_TRUE(found.at("mac").is_null());
    const json& in_pool = found.at("pools").at(0);
    EXPECT_EQ(in_pool.at("carpnodes"), 3);
    EXPECT_TRUE(in_pool.at("needs").is_null());
    ASSERT_EQ(in_pool.at("answers").size(), 1u) << "of its family";
    const json& answer = in_pool.at("answers")[0];
    EXPECT_EQ(answer.at("address"), "192.0.2.100");
    EXPECT_EQ(answer.at("hash"), 99);
    EXPECT_EQ(answer.at("group"), "web:1");
    EXPECT_EQ(answer.at("master"), "self");
    EXPECT_FALSE(answer.contains("slot"));

    EXPECT_EQ(answers("192.0.2.6").at(0).at("hash"), 98);
    EXPECT_EQ(answers("192.0.2.6").at(0).at("group"), "web:3");
    EXPECT_EQ(answers("192.0.2.6").at(0).at("at_home"), false);
    EXPECT_EQ(answers("2001:db8::7").at(0).at("address"), "2001:db8::100");
    EXPECT_EQ(answers("2001:db8::7").at(0).at("hash"), 0x107);
}

TEST_F(PoolStatus, SaysWhoServesByWeights) {
    start(Balancing::ip, BalanceHash::weighted);
    int moved = 0;
    for (int i = 1; i < 99; ++i) {
        const json answer = answers("198.51.100." + std::to_string(i)).at(0);
        EXPECT_EQ(answer.at("slot"), answer.at("hash").get<std::uint32_t>() % kSlots);
        EXPECT_NE(answer.at("vhid"), 3) << "it is not at home";
        if (answer.at("vhid") == answer.at("slot_of_vhid")) continue;
        EXPECT_EQ(answer.at("slot_of_vhid"), 3);
        ++moved;
    }
    EXPECT_GT(moved, 0);
}

TEST_F(PoolStatus, SaysWhoAnswersAMac) {
    start(Balancing::arp);
    EXPECT_TRUE(pool().at("mac").is_null()) << "each carpnode has its own";
    EXPECT_EQ(client({ip("192.0.2.7"), {}}).at("pools").at(0).at("needs"), "mac");
    EXPECT_EQ(client({ip("192.0.2.7"), {}}).at("pools").at(0).at("answers").size(), 0u);
    // docs/protocol: its hash is d8d3b341, which mod 3 is 2.
    const json found = client({{}, MacAddress::parse("52:54:00:12:34:56")});
    EXPECT_EQ(found.at("mac"), "52:54:00:12:34:56");
    const json& answers = found.at("pools").at(0).at("answers");
    ASSERT_EQ(answers.size(), 2u) << "the same for every address";
    EXPECT_EQ(answers[0].at("hash"), 0xd8d3b341);
    EXPECT_EQ(answers[0].at("group"), "web:3");
    EXPECT_EQ(answers[1].at("group"), "web:3");
}

TEST_F(PoolStatus, AsksForAnAddressWhereThatDecides) {
    start();
    EXPECT_EQ(client({{}, MacAddress::parse("52:54:00:12:34:56")}).at("pools").at(0).at("needs"), "address");
}

}  // namespace
}  // namespace carpd
