// What an operator asks a pool, and tells it: the answers are how things are.
#include <fmt/format.h>

#include "pool_fixture.h"

namespace carpd::lab {
namespace {

using testing::HasSubstr;

class BalanceControl : public PoolFixture {
 protected:
    void SetUp() override {
        PoolFixture::SetUp();
        if (IsSkipped()) return;
        build({});
        ask();
    }
    nlohmann::json who_serves(int asked, int client) {
        const std::string address = crowd().address(client, Family::ipv4).to_string();
        const Result result = server(asked).carpd().carpctl({"-j", "explain", "--client", address});
        EXPECT_EQ(result.exit_code, 0) << result.errors;
        return nlohmann::json::parse(result.output).at("pools").at(0).at("answers").at(0);
    }
    // Every host names the one that answered this client's questions.
    void expect_named(const ServerOf& server_of) {
        expect_served(server_of);
        const IpAddress service = *IpAddress::parse(kPool4);
        for (int client = 0; client < 12; ++client)
            for (int asked = 0; asked < 3; ++asked) {
                const int serving = server_of(client, service);
                const std::string master = who_serves(asked, client).at("master");
                EXPECT_EQ(master, asked == serving ? "self" : fmt::format("10.1.0.{}", serving + 1))
                    << "asked " << asked << " for " << client;
            }
    }
};

TEST_F(BalanceControl, EveryHostNamesWhoServesAClient) {
    expect_named([&](int client, const IpAddress& service) { return home_of(client, service); });
    EXPECT_EQ(server(1).carpd().carpctl({"demote", kPool, "100"}).exit_code, 0);
    ASSERT_TRUE(wait_carpnodes({{1}, {}, {2, 3}}));
    expect_named([&](int client, const IpAddress& service) {
        const int home = home_of(client, service);
        return home == 1 ? 2 : home;
    });
}

TEST_F(BalanceControl, ThePoolsNameStandsForItsCarpnodes) {
    const Carpd& carpd = server(0).carpd();
    EXPECT_THAT(carpd.carpctl({"explain", kPool}).output,
                AllOf(HasSubstr("web:1"), HasSubstr("web:2"), HasSubstr("web:3")));
    const auto transitions = [&](int vhid) { return carpd.transitions(PoolServer::carpnode_name(vhid)); };
    const std::vector<std::uint64_t> before{transitions(1), transitions(2), transitions(3)};
    EXPECT_EQ(carpd.carpctl({"state", kPool, "master"}).exit_code, 0);
    ASSERT_TRUE(pool().wait_home()) << "the others take back what is theirs";
    EXPECT_EQ(transitions(1), before[0]);
    EXPECT_GE(transitions(2), before[1] + 2);
    EXPECT_GE(transitions(3), before[2] + 2);
    EXPECT_EQ(carpd.carpctl({"state", kPool, "backup"}).exit_code, 0);
    EXPECT_GT(transitions(1), before[0]);
    ASSERT_TRUE(pool().wait_home());
}

TEST_F(BalanceControl, WithoutTheGateThereIsNoPool) {
    server(0).carpd().write_config("dataplane = \"macvlan\"\n" + server(0).config());
    const Result refused = server(0).carpd().carpctl({"reload"});
    EXPECT_NE(refused.exit_code, 0);
    EXPECT_THAT(refused.errors, HasSubstr("carpnodes"));
    EXPECT_TRUE(pool().wait_home()) << "nothing changed";
}

}  // namespace
}  // namespace carpd::lab
