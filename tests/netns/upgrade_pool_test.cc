// Upgrades of hosts that balance load (docs/upgrade.md), under traffic: no question is lost, and every client
// stays where it is.
#include <fmt/format.h>

#include "pool_fixture.h"

namespace carpd::lab {
namespace {

using testing::HasSubstr;

nlohmann::json pool_of(const Carpd& carpd) {
    return carpd.status().at("pools").at(0);
}

// What the engine that serves says of its own coming: "that took 1.2 ms".
std::string length_of(const Carpd& carpd) {
    const std::string log = carpd.log(), mark = "that took ";
    const std::size_t at = log.rfind(mark);
    return at == std::string::npos ? "unknown"
                                   : log.substr(at + mark.size(), log.find('\n', at) - at - mark.size());
}

class UpgradePoolTest : public PoolFixture {
 protected:
    ServerOf home() {
        return [this](int client, const IpAddress& service) { return home_of(client, service); };
    }
    // Of all carpnodes on all servers.
    std::vector<std::uint64_t> transitions() {
        std::vector<std::uint64_t> all;
        for (int i = 0; i < pool().size(); ++i)
            for (int vhid = 1; vhid <= pool().size(); ++vhid)
                all.push_back(server(i).carpd().transitions(PoolServer::carpnode_name(vhid)));
        return all;
    }
    // Nothing changes but the engine.
    void upgrade(int index) {
        const Carpd& carpd = server(index).carpd();
        const pid_t engine = carpd.engine_pid();
        const auto before = transitions();
        const std::vector<int> carpnodes = server(index).carpnodes();
        const nlohmann::json pool = pool_of(carpd);
        const Result result = carpd.carpctl({"upgrade"});
        ASSERT_EQ(result.exit_code, 0) << result.errors << carpd.log();
        EXPECT_NE(carpd.engine_pid(), engine);
        EXPECT_EQ(transitions(), before);
        EXPECT_EQ(server(index).carpnodes(), carpnodes);
        const nlohmann::json after = pool_of(carpd);
        EXPECT_EQ(after.at("settling_ms").is_null(), pool.at("settling_ms").is_null());
        for (const auto& [key, count] : pool.at("traffic").items())
            EXPECT_GE(after.at("traffic").at(key).get<std::uint64_t>(), count.get<std::uint64_t>()) << key;
        fmt::print("handed over in {}\n", length_of(carpd));
    }
};

class UpgradePool : public UpgradePoolTest, public testing::WithParamInterface<PoolOptions> {};

TEST_P(UpgradePool, NobodyNotices) {
    build(GetParam());
    ask();
    expect_served(home());
    const Time since = Clock::now();
    for (int i = 0; i < pool().size(); ++i) ASSERT_NO_FATAL_FAILURE(upgrade(i));
    fmt::print("{} questions, none lost or moved\n", expect_served_since(since, home()));
    EXPECT_TRUE(pool().wait_home());
    for (int i = 0; i < pool().size(); ++i) {
        EXPECT_FALSE(server(i).says("somebody else removed"));
        EXPECT_FALSE(server(i).says("which the engine before had"));
    }
    // A new engine goes like any other.
    EXPECT_EQ(server(1).stop(), 0);
    EXPECT_EQ(server(1).host().run({"ip", "-o", "address", "show", "to", kPool4}).output, "");
    EXPECT_THAT(programs_at(server(1).host(), "eth0", Direction::ingress), testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(, UpgradePool,
                         testing::Values(PoolOptions{.balancing = "ip"},
                                         PoolOptions{.balancing = "ip-unicast", .hash = "weighted"},
                                         PoolOptions{.balancing = "arp", .hash = "weighted"}),
                         [](const auto& test) {
                             std::string name = test.param.balancing + "_" + test.param.hash;
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

// Its addresses stay for the connections that it has (rule N8), though it is MASTER of nothing.
TEST_F(UpgradePoolTest, ADrainedHostKeepsItsConnections) {
    build({.hash = "weighted"});
    ask();
    Sessions sessions(crowd(), kPool4, 1s);
    server(1).demote(100);
    ASSERT_TRUE(wait_carpnodes({{1}, {}, {2, 3}}));
    const auto serving = sessions.servers();
    for (const int i : {1, 2, 1}) ASSERT_NO_FATAL_FAILURE(upgrade(i));
    EXPECT_FALSE(pool_of(server(1).carpd()).at("settling_ms").is_null());
    EXPECT_THAT(server(1).host().run({"ip", "-o", "address", "show", "to", kPool4}).output,
                HasSubstr(kPool4));
    EXPECT_EQ(sessions.survivors(5s), kClients);
    EXPECT_EQ(sessions.servers(), serving);
    server(1).demote(0);
    ASSERT_TRUE(pool().wait_home());
    expect_served(home());
    EXPECT_EQ(sessions.survivors(5s), kClients);
}

// As many carpnodes as a pool may have.
class UpgradeLargePool : public NetnsTest {
 protected:
    static std::string config(int skew) {
        std::string carpnodes;
        for (int vhid = 1; vhid <= 32; ++vhid) carpnodes += fmt::format("\"{}:{}\", ", vhid, skew);
        return fmt::format(
            "[[group]]\nname = \"web\"\ninterface = \"eth0\"\ncarpnodes = [{}]\n"
            "addresses = [\"192.0.2.100/24\", \"2001:db8::100/64\"]\npassword = \"s3cret\"\n"
            "advbase = 0\nbalancing = \"ip\"\nhash = \"weighted\"\n",
            carpnodes);
    }
};

TEST_F(UpgradeLargePool, NobodyNotices) {
    three_hosts();
    for (Host* host : {&alpha(), &beta()}) start(*host, config(host == &alpha() ? kGoodSkew : kPoorSkew));
    const auto masters = [](const Carpd& carpd) {
        const nlohmann::json groups = carpd.status().at("groups");
        return std::count_if(groups.begin(), groups.end(),
                             [](const auto& each) { return each.at("state") == "master"; });
    };
    ASSERT_TRUE(wait_until([&] { return masters(alpha_carpd()) == 32 && masters(beta_carpd()) == 0; }, 10s));
    std::deque<Probe> probes;
    for (const char* address : {kVip4, kVip6}) probes.emplace_back(client(), address, 1ms);
    for (const Probe& probe : probes) ASSERT_TRUE(probe.wait_answer(&alpha(), 10s));
    const Time since = Clock::now();
    for (Carpd* carpd : {&alpha_carpd(), &beta_carpd(), &alpha_carpd()}) {
        const Result result = carpd->carpctl({"upgrade"});
        ASSERT_EQ(result.exit_code, 0) << result.errors << carpd->log();
        EXPECT_EQ(masters(alpha_carpd()), 32);
        EXPECT_EQ(masters(beta_carpd()), 0);
        fmt::print("32 carpnodes handed over in {}\n", length_of(*carpd));
    }
    std::this_thread::sleep_for(Request::kPatience + 50ms);
    for (const Probe& probe : probes) {
        const Outage outage = probe.outage(since);
        fmt::print("{} of {} requests lost\n", outage.lost, outage.sent);
        EXPECT_EQ(outage.lost, 0);
        EXPECT_EQ(outage.answered_by, std::vector<std::uint8_t>{alpha().number()});
    }
}

}  // namespace
}  // namespace carpd::lab
