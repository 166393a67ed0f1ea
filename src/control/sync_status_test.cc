#include "control/sync_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "control/refusal.h"
#include "sync/test_channels.h"
#include "sync/test_hosts.h"

namespace carpd {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::StartsWith;

SyncConfig config_of(std::string_view name) {
    SyncConfig config;
    config.name = HostName::from(name).value();
    config.interface = "eth2";
    config.peers = {IpAddress::parse("10.9.0.2").value()};
    config.keys.first.fill(0xab);
    return config;
}
SyncPeerFigures peer_at(const char* address) {
    return {.address = IpAddress::parse(address).value()};
}

// ---- the whole

class SyncStatusTest : public testing::Test {
 protected:
    SyncStatusTest() : world(2, 1), config(config_of("fw0")) {
        world[0].set_master(world.now, true);
        world.run(seconds(1));  // what a backup owns when they meet a MASTER takes over (W3)
        for (std::uint32_t number = 0; number < 5; ++number) world.pass(0, number);
        world.pass(1, 7);
        world.run(seconds(2));
    }
    Json status(std::size_t i = 0) {
        const std::string line = sync_status(world[i], figures, world.now);
        EXPECT_EQ(line.find('\n'), std::string::npos);
        return Json::parse(line);
    }

    test_hosts::World world;
    SyncConfig config;
    SyncProcessFigures figures{.config = config, .peers = {peer_at("10.9.0.2")}};
};

TEST_F(SyncStatusTest, ShowsTheHost) {
    figures.pid = 815;
    figures.started = world.now - seconds(3);
    const Json json = status();
    EXPECT_EQ(json["ok"], true);
    EXPECT_EQ(json["schema"], 1);
    EXPECT_EQ(json["name"], "fw0");
    EXPECT_EQ(json["pid"], 815);
    EXPECT_EQ(json["running_ms"], 3000);
    EXPECT_EQ(json["interface"], "eth2");
    EXPECT_EQ(json["port"], 3781);
    EXPECT_EQ(json["commit"], "direct");
    EXPECT_EQ(json["master"], true);
    EXPECT_EQ(json["term"], 1);
    EXPECT_EQ(json["incomplete"], "no");
    EXPECT_EQ(json["flows"], 5);
    EXPECT_EQ(json["max_flows"], 10'000);
    EXPECT_EQ(json["flows_refused"], 0);
    EXPECT_GT(json["memory_bytes"], 0);
    EXPECT_EQ(json["counters"]["taken_over"], 0);
    EXPECT_EQ(json["counters"]["failed"],
              Json::parse(R"({"full":0,"unsupported":0,"invalid":0,"clash":0,"other":0})"));
}

TEST_F(SyncStatusTest, ShowsAPeerThatIsUp) {
    figures.peers[0].bytes_sent = 12'345;
    const Json peer = status()["peers"].at(0);
    EXPECT_EQ(peer["name"], "fw1");
    EXPECT_EQ(peer["address"], "10.9.0.2");
    EXPECT_EQ(peer["up"], true);
    EXPECT_EQ(peer["why"], nullptr);
    EXPECT_LE(peer["heard_ms"], 100);
    EXPECT_GT(peer["round_trip_ms"], 0);
    EXPECT_EQ(peer["conntrack_max"], 65536);
    EXPECT_EQ(peer["said"], Json::parse(R"({"master":false,"complete":true,"overrun":false,"leaving":false,
                                            "defers":false,"term":0,"flows":1,"waiting":0,"lost_events":0})"));
    EXPECT_EQ(peer["told"]["complete"], true);
    EXPECT_EQ(peer["told"]["waiting"], 0);
    EXPECT_EQ(peer["told"]["lag_ms"], 0.0);
    EXPECT_GE(peer["told"]["counters"]["full_records"], 5);
    EXPECT_EQ(peer["held"]["complete"], true);
    EXPECT_EQ(peer["held"]["flows"], 1);
    EXPECT_EQ(peer["held"]["flows_of_session_before"], 0);
    EXPECT_EQ(peer["held"]["differing_buckets"], 0);
    EXPECT_EQ(peer["bytes_sent"], 12'345);
    EXPECT_EQ(peer["counters"]["dropped"].size(), kSyncDropCount);
}

TEST_F(SyncStatusTest, ShowsAPeerThatIsDownWithWhatItTold) {
    world.kill(1);
    world.run(seconds(5));
    Json peer = status()["peers"].at(0);
    EXPECT_EQ(peer["name"], nullptr);
    EXPECT_EQ(peer["up"], false);
    EXPECT_THAT(std::string(peer["why"]), StartsWith("silent for 5.0 s"));
    EXPECT_EQ(peer["heard_ms"], nullptr);
    EXPECT_EQ(peer["said"], nullptr);
    EXPECT_EQ(peer["held"]["flows_of_session_before"], 1);
    EXPECT_EQ(status()["counters"]["taken_over"], 1);

    figures.socket_trouble = "eth2 is missing";
    EXPECT_EQ(status()["peers"].at(0)["why"], "eth2 is missing");
    EXPECT_EQ(status()["socket_trouble"], "eth2 is missing");
}

TEST_F(SyncStatusTest, ShowsWhatOnlyTheProcessKnows) {
    Json json = status();
    EXPECT_EQ(json["kernel"]["max"], nullptr);
    EXPECT_EQ(json["takeovers"]["last_commit_ms"], nullptr);
    EXPECT_EQ(json["socket_trouble"], nullptr);

    config.commit_at_takeover = true;
    figures.kernel_events = 11;
    figures.dumps = 2;
    figures.table = {.entries = 3, .max = 262'144, .buckets = 65'536};
    figures.messages_refused = {{"malformed", 4}};
    figures.datagrams_refused = {{"routed", 5}};
    figures.injection = {.written = 6, .without_helper = 7, .clashes = 8};
    figures.takeovers = 9;
    figures.last_commit = microseconds(250);
    figures.bound_exceeded = 1;
    world[0].on_lost_events(world.now, 12);
    json = status();
    EXPECT_EQ(json["incomplete"], "overrun");
    EXPECT_EQ(json["commit"], "takeover");
    EXPECT_EQ(json["kernel"], Json::parse(R"({"entries":3,"max":262144,"buckets":65536,"events":11,
                                              "lost_events":12,"dumps":2,"messages_refused":{"malformed":4}})"));
    EXPECT_EQ(json["datagrams_refused"], Json::parse(R"({"routed":5})"));
    EXPECT_EQ(json["changes"]["written"], 6);
    EXPECT_EQ(json["changes"]["without_helper"], 7);
    EXPECT_EQ(json["changes"]["failed"]["clashes"], 8);
    EXPECT_EQ(json["takeovers"], Json::parse(R"({"count":9,"last_commit_ms":0.25,"bound_exceeded":1})"));
}

TEST_F(SyncStatusTest, ShowsDeferral) {
    EXPECT_EQ(status()["deferral"], nullptr);
    figures.deferral = {
        .interfaces = {{"wan0", ""}, {"wan1", "there is no interface wan1"}},
        .active = true,
        .held = 1,
        .counters = {.deferred = 2, .acknowledged = 3, .timed_out = 4, .not_told = 5, .overflow = 6},
        .passed = 7,
        .lost = 8,
        .send_errors = 9};
    EXPECT_EQ(status()["deferral"], Json::parse(R"({"trouble":null,
                              "interfaces":[{"name":"wan0","trouble":null},
                                            {"name":"wan1","trouble":"there is no interface wan1"}],
                              "active":true,"held":1,
                              "counters":{"deferred":2,"acknowledged":3,"timed_out":4,"not_told":5,
                                          "overflow":6,"passed":7,"lost":8,"send_errors":9}})"));
    figures.deferral->trouble = "cannot open /dev/net/tun";
    EXPECT_EQ(status()["deferral"]["trouble"], "cannot open /dev/net/tun");
}

TEST_F(SyncStatusTest, CallsPeersByTheirNamesOrAddresses) {
    const auto name = [&] { return sync_peer_name(world[0].session(0).channel(), figures.peers[0].address); };
    EXPECT_EQ(name(), "fw1");
    world.kill(1);
    world.run(seconds(5));
    EXPECT_EQ(name(), "10.9.0.2");
}

TEST_F(SyncStatusTest, ShowsHowPeersAreFound) {
    EXPECT_EQ(status()["finding"], nullptr);
    const ChannelConfig ours{.name = config.name};
    PeerFinder finder(world.now, ours, config.keys, test_channels::random_from(1), 7);
    figures.finding = {.finder = &finder, .group = IpAddress::parse(kSyncGroup).value()};
    Json finding = status()["finding"];
    EXPECT_EQ(finding["counters"]["dropped"].size(), kSyncDropCount);
    finding.erase("counters");
    EXPECT_EQ(finding, Json::parse(R"({"group":"ff12::ca:3781","send_error":null,"refused":null,"found":0,
                                       "known":0,"no_place":0,"forgotten":0})"));

    Channel stranger(world.now, test_channels::config_of("fw9"), {test_channels::key_of(1), {}},
                     test_channels::random_from(2));
    auto hello = test_channels::hello_of(stranger, world.now);
    ASSERT_EQ(finder.hear(world.now, hello, world[0]).refusal, SyncDrop::bad_seal);
    figures.finding->send_error = "Network is unreachable";
    figures.finding->refused = {peer_at("fe80::9").address, "it is no friend", world.now - seconds(2)};
    finding = status()["finding"];
    EXPECT_EQ(finding["counters"]["dropped"]["bad_seal"], 1);
    EXPECT_EQ(finding["send_error"], "Network is unreachable");
    EXPECT_EQ(finding["refused"],
              Json::parse(R"({"address":"fe80::9","why":"it is no friend","ago_ms":2000})"));
}

TEST_F(SyncStatusTest, ShowsNoKey) {
    EXPECT_EQ(sync_status(world[0], figures, world.now).find("abab"), std::string::npos);
}

// ---- why a peer isn't up

class WhyDown : public testing::Test {
 protected:
    std::string why() { return why_down(net[0], peer, config, net.now).value_or("it is up"); }
    void start(SyncKeys theirs, std::string_view name = "fw2") {
        net.start(0, 1, test_channels::config_of("fw1"), {test_channels::key_of(1), {}});
        net.start(1, 2, test_channels::config_of(name), theirs);
    }
    void start() { start({test_channels::key_of(1), {}}); }

    test_channels::Network net;
    SyncConfig config = config_of("fw1");
    SyncPeerFigures peer = peer_at("10.9.0.2");
};

TEST_F(WhyDown, SaysNothingOfWhoIsUp) {
    start();
    net.run(seconds(1));
    EXPECT_EQ(why(), "it is up");
}

TEST_F(WhyDown, NeverHeard) {
    start();
    net.passes = [](int, const auto&) { return false; };
    net.run(seconds(5));
    EXPECT_EQ(
        why(),
        "never heard: does carpd run there, with this host among the peers of its [sync], and does eth2 "
        "let UDP port 3781 through?");
    peer.send_error = "Network is unreachable";
    EXPECT_THAT(why(), HasSubstr("through?; sending to it fails: Network is unreachable"));
}

TEST_F(WhyDown, Silent) {
    start();
    net.run(seconds(1));
    net.passes = [](int, const auto&) { return false; };
    net.run(seconds(42));
    EXPECT_THAT(why(), StartsWith("silent for 4"));
}

TEST_F(WhyDown, AnotherKey) {
    start({test_channels::key_of(2), {}});
    net.run(seconds(5));
    EXPECT_EQ(why(),
              "its datagrams are sealed with another key than ours; compare the keys of [sync] on both hosts "
              "(bad_seal)");
    net.passes = [](int, const auto&) { return false; };
    net.run(seconds(60));
    EXPECT_THAT(why(), StartsWith("silent for "));
    EXPECT_THAT(why(), HasSubstr("; before that it was refused: sealed with another key, forged or damaged"));
}

TEST_F(WhyDown, AnotherKeySinceTheyWereUp) {
    start();
    net.run(seconds(1));
    net[1].set_keys(net.now, {test_channels::key_of(2), {}});
    net.run(seconds(5));
    EXPECT_THAT(why(), HasSubstr("(bad_seal)"));
}

TEST_F(WhyDown, ARefusalFromBeforeItWasUpExplainsNothing) {
    start();
    net.run(seconds(1));
    ASSERT_TRUE(net[0].last_refusal()) << "the first hello answers none";
    net.hosts[1].channel.reset();
    net.run(milliseconds(1500));
    EXPECT_THAT(why(), StartsWith("silent for 1."));
}

TEST_F(WhyDown, OneName) {
    start({test_channels::key_of(1), {}}, "fw1");
    net.run(seconds(5));
    EXPECT_EQ(why(),
              "it is called 'fw1', as this host is; give each a name of its own in [sync] (same_name)");
}

TEST_F(WhyDown, Ourselves) {
    start();
    net.run(seconds(1));
    test_channels::Buffer own = test_channels::hello_of(net[0], net.now);
    net.hosts[1].channel.reset();
    net.run(seconds(3));
    net.deliver(0, own);
    EXPECT_THAT(why(), HasSubstr("are our own datagrams"));
}

TEST_F(WhyDown, HeardButNotHearing) {
    start();
    net.passes = [](int to, const auto&) { return to == 0; };
    net.run(seconds(5));
    EXPECT_THAT(why(), StartsWith("it is heard, but doesn't answer: our datagrams don't reach it (UDP port "
                                  "3781)"));
}

TEST_F(WhyDown, AnotherVersion) {
    start();
    net.passes = [](int, const auto&) { return false; };
    net.run(seconds(1));
    test_channels::Buffer datagram(100);
    datagram[0] = kSyncVersion + 1;
    net.deliver(0, datagram);
    EXPECT_EQ(why(),
              "it speaks another version of the protocol, this host 1; bring carpd on both to one release "
              "(bad_version)");
    const SyncHeader header{SyncKind::hello, 7, 1, {}};
    const SyncHello hello{.version_min = 2, .version_max = 3, .name = HostName::from("fw2").value()};
    datagram.resize(kLongestHelloDatagram);
    const std::size_t head = encode(header, datagram);
    datagram.resize(head + encode(hello, std::span(datagram).subspan(head)) + Aead::kTagSize);
    StreamKeys(test_channels::key_of(1), 7, header.nonce)
        .hello()
        .seal(1, Bytes(datagram).first(head), std::span(datagram).subspan(head));
    net.deliver(0, datagram);
    EXPECT_THAT(why(), StartsWith("it speaks versions 2 to 3 of the protocol, this host 1;"));
}

TEST_F(WhyDown, SomethingElse) {
    start();
    net.passes = [](int, const auto&) { return false; };
    net.run(seconds(1));
    net.deliver(0, {1, 2, 3});
    EXPECT_EQ(why(), "what comes from there is refused: too short to be state synchronisation (too_short)");
}

TEST(ExplainSyncRefusal, KnowsAllAndNothingElse) {
    for (std::size_t i = 0; i < kSyncDropCount; ++i)
        EXPECT_FALSE(explain_sync_refusal(to_string(static_cast<SyncDrop>(i))).empty());
    EXPECT_EQ(explain_sync_refusal("bad_seal"), explain_refusal(SyncDrop::bad_seal));
    EXPECT_EQ(explain_sync_refusal("bad_vhid"), "");
}

}  // namespace
}  // namespace carpd
