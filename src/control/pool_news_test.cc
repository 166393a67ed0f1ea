#include "control/pool_news.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace carpd {
namespace {

using nlohmann::json;
using testing::HasSubstr;

GroupConfig leader(Balancing mode) {
    BalanceConfig pool;
    pool.pool = "web";
    pool.mode = mode;
    pool.carpnodes = {{3, 0, 1}, {4, 100, 1}};
    GroupConfig group;
    group.name = "web:3";
    group.interface = "eth0";
    group.vhid = Vhid{3};
    group.balance = SharedValue<BalanceConfig>(pool);
    return group;
}

ReportPool report(PoolNews news, std::uint8_t vhid = 0) {
    return {0, news, *IpAddress::parse("192.0.2.2"), vhid};
}

TEST(PoolNews, SayWhoAndWhatToDo) {
    const GroupConfig web = leader(Balancing::ip);
    EXPECT_EQ(
        describe(web, report(PoolNews::pool_differs)),
        "web: 192.0.2.2 has another balancing, hash, carpnodes or weights, so some clients are served by "
        "two hosts and some by none; configure the same on all hosts");
    EXPECT_EQ(describe(web, report(PoolNews::pool_agrees)), "web: 192.0.2.2 has the same pool now");
    EXPECT_EQ(
        describe(web, report(PoolNews::stray_carpnode, 9)),
        "web: 192.0.2.2 advertises vhid 9 with this pool's password and addresses, and here the pool has "
        "no such carpnode; configure the same carpnodes on all hosts");
    EXPECT_THAT(describe(web, report(PoolNews::probes_missing)),
                HasSubstr("01:00:5e:00:01:03 don't come from 192.0.2.2"));
    EXPECT_THAT(describe(web, report(PoolNews::probes_missing)), HasSubstr("IGMP"));
    EXPECT_THAT(describe(leader(Balancing::ip_stealth), report(PoolNews::probes_missing)),
                HasSubstr("00:00:5e:00:01:03"));
    EXPECT_THAT(describe(leader(Balancing::ip_unicast), report(PoolNews::probes_missing)),
                HasSubstr("a hub"));
    EXPECT_THAT(describe(web, report(PoolNews::probes_heard)), HasSubstr("come from 192.0.2.2 again"));
}

TEST(PoolNews, MonitorsGetTheSame) {
    const GroupConfig web = leader(Balancing::ip);
    const json line = json::parse(monitor_line(web, report(PoolNews::stray_carpnode, 9), "now"));
    EXPECT_EQ(line["time"], "now");
    EXPECT_EQ(line["event"], "pool");
    EXPECT_EQ(line["group"], "web:3");
    EXPECT_EQ(line["vhid"], 3);
    EXPECT_EQ(line["reason"], "stray_carpnode");
    EXPECT_EQ(line["pool"], "web");
    EXPECT_EQ(line["peer"], "192.0.2.2");
    EXPECT_EQ(line["peer_vhid"], 9);
    EXPECT_EQ(line["text"], describe(web, report(PoolNews::stray_carpnode, 9)));
    EXPECT_EQ(json::parse(monitor_line(web, report(PoolNews::pool_differs), ""))["peer_vhid"], nullptr);
}

TEST(PoolNews, TroubleIsAWarning) {
    EXPECT_TRUE(is_trouble(PoolNews::pool_differs));
    EXPECT_TRUE(is_trouble(PoolNews::stray_carpnode));
    EXPECT_TRUE(is_trouble(PoolNews::probes_missing));
    EXPECT_FALSE(is_trouble(PoolNews::pool_agrees));
    EXPECT_FALSE(is_trouble(PoolNews::probes_heard));
}

}  // namespace
}  // namespace carpd
