#include "linux/netlink_socket.h"

#include <gmock/gmock.h>

#include "linux/test_network.h"

namespace carpd {
namespace {

class NetlinkTest : public TwoHosts {
 protected:
    void SetUp() override {
        TwoHosts::SetUp();
        if (IsSkipped()) return;
        netlink.emplace(std::move(*Netlink::open()));
        eth0 = static_cast<int>(if_nametoindex("eth0"));
    }

    std::optional<Netlink> netlink;
    int eth0 = 0;
};

TEST_F(NetlinkTest, ATrainOfMessagesReportsItsFirstErrorAndGoesOn) {
    NetlinkBatch batch;
    batch.add_address(eth0, ip("192.0.2.50"), 112);
    batch.add_address(eth0, ip("192.0.2.50"), 112);        // there already: no error, no change
    batch.delete_address({eth0, {ip("192.0.2.77"), 32}});  // not there: likewise
    batch.add_address(99, ip("192.0.2.51"), 112);
    batch.add_address(98, ip("192.0.2.52"), 112);
    batch.add_address(eth0, ip("2001:db8::50"), 112);
    const auto outcome = netlink->run(batch);
    EXPECT_EQ(outcome.changed, 2u);
    ASSERT_TRUE(outcome.error());
    EXPECT_EQ(outcome.error()->to_string(), "cannot add the address 192.0.2.51: No such device");
    const auto addresses = netlink->addresses();
    ASSERT_TRUE(addresses);
    int marked = 0;
    for (const LinkAddress& address : *addresses) marked += address.protocol == 112;
    EXPECT_EQ(marked, 2);
}

TEST_F(NetlinkTest, LongTrainsAreCutIntoPieces) {
    NetlinkBatch batch;
    for (int i = 0; i < 1000; ++i) {
        const std::string text = "10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1);
        batch.add_address(eth0, ip(text.c_str()), 112);
    }
    auto outcome = netlink->run(batch);
    EXPECT_FALSE(outcome.error());
    EXPECT_EQ(outcome.changed, 1000u);
    outcome = netlink->run(batch);
    EXPECT_FALSE(outcome.error());
    EXPECT_EQ(outcome.changed, 0u);
    EXPECT_GT(netlink->addresses()->size(), 1000u) << "a dump in many parts";
}

TEST_F(NetlinkTest, RoutesAndRulesComeBackAsTheyWere) {
    const Route route{{ip("198.51.100.0"), 24}, eth0, 11'200'000, 77, 112, ip("192.0.2.9"), ip("192.0.2.1")};
    const Rule rule{ip("2001:db8::1"), 11'200'000, 112, 112};
    NetlinkBatch add, remove;
    add.add_route(route);
    add.add_rule(rule);
    remove.delete_route(route);
    remove.delete_rule(rule);
    EXPECT_FALSE(netlink->run(add).error());
    EXPECT_THAT(*netlink->routes(112), testing::ElementsAre(route));
    EXPECT_THAT(*netlink->rules(112), testing::ElementsAre(rule));
    EXPECT_EQ(netlink->run(remove).changed, 2u);
    EXPECT_TRUE(netlink->routes(112)->empty());
    EXPECT_TRUE(netlink->rules(112)->empty());
}

TEST_F(NetlinkTest, ReadsOneLink) {
    EXPECT_EQ((*netlink->link(eth0))->name, "eth0");
    const auto missing = netlink->link(12345);
    ASSERT_TRUE(missing);
    EXPECT_FALSE(missing->has_value());
}

}  // namespace
}  // namespace carpd
