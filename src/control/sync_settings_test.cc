#include "control/sync_settings.h"

#include <gmock/gmock.h>

#include "control/message_fields.h"
#include "control/sync_message.h"

namespace carpd {
namespace {

IpAddress address(const char* text) {
    return *IpAddress::parse(text);
}

SyncSettings everything() {
    SyncSettings settings;
    SyncConfig& config = settings.config;
    config.name = *HostName::from("füchsin \"1\"");
    config.interface = "eth2";
    config.port = 65535;
    config.peers = {address("10.9.0.2"), address("fe80::2")};
    config.peer_routed = config.commit_at_takeover = true;
    config.keys.first.fill(0x0f);
    config.keys.second.emplace().fill(0xf0);
    config.dead_after = std::chrono::milliseconds(100);
    config.commit_wait = std::chrono::seconds(60);
    config.max_flows = 1 << 24;
    config.ignored = {{address("192.0.2.0"), 24}, {address("2001:db8::"), 32}};
    config.protocols = {6, 255};
    config.zones = {0, 65535};
    config.tcp_states = {3, 5};
    config.defer = {"wan0", "lan0.5"};
    config.defer_wait = std::chrono::milliseconds(100);
    settings.virtual_addresses = {address("192.0.2.100"), address("2001:db8::100")};
    return settings;
}

TEST(SyncSettings, ReadBackAsThemselves) {
    SyncSettings least;
    least.config.name = *HostName::from("x");
    for (const SyncSettings& settings : {everything(), least}) {
        const auto again = parse_to_sync(to_message(ToSync(settings)));
        ASSERT_TRUE(again) << again.error();
        EXPECT_EQ(*again, ToSync(settings));
    }
}

TEST(SyncSettings, HaveTheGroupsAddressesInOrder) {
    Config config;
    config.sync = everything().config;
    config.groups.resize(2);
    config.groups[0].addresses = {{address("2001:db8::100"), 64}, {address("192.0.2.100"), 24}};
    config.groups[1].addresses = {{address("192.0.2.99"), 24}};
    EXPECT_THAT(
        sync_settings(config).virtual_addresses,
        testing::ElementsAre(address("192.0.2.99"), address("192.0.2.100"), address("2001:db8::100")));
    EXPECT_EQ(sync_settings(config).config, *config.sync);
}

TEST(SyncSettings, AreTakenWholeOrNotAtAll) {
    const Json good = message::open(to_message(everything())).first;
    ASSERT_TRUE(read_sync_settings(good));
    for (const auto& [key, value] : good.items()) {
        if (key == "message") continue;
        Json bad = good;
        bad[key] = nullptr;
        EXPECT_FALSE(read_sync_settings(bad)) << key;
        bad.erase(key);
        EXPECT_EQ(read_sync_settings(bad).has_value(), key == "accept_key") << key;
    }
    using List = std::vector<Json>;
    for (const auto& [key, value] :
         std::vector<std::pair<const char*, Json>>{{"name", ""},
                                                   {"port", 65536},
                                                   {"peers", List{"10.9.0"}},
                                                   {"peers", List(8, "10.9.0.2")},
                                                   {"key", "0f"},
                                                   {"dead_after_ns", -1},
                                                   {"ignored", List{"192.0.2.1/24"}},
                                                   {"ignored", List{7}},
                                                   {"protocols", List{256}},
                                                   {"zones", List{"0"}},
                                                   {"tcp_states", List{-1}},
                                                   {"defer", List{7}},
                                                   {"defer", List(17, "eth0")},
                                                   {"defer_wait_ns", "5"},
                                                   {"virtual", List{"192.0.2.2", "192.0.2.1"}}}) {
        Json bad = good;
        bad[key] = value;
        EXPECT_FALSE(read_sync_settings(bad)) << bad[key];
    }
}

}  // namespace
}  // namespace carpd
