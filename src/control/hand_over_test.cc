#include "control/hand_over.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace carpd {
namespace {

Instant at(int seconds) {
    return Instant(std::chrono::seconds(seconds));
}

HandOver example() {
    HandOver known;
    known.version = "0.1";
    GroupMemory group;
    group.interface = "eth0";
    group.vhid = Vhid{7};
    group.state = State::master;
    group.cause = Cause::master_timed_out;
    group.since = at(100);
    group.joined_at = at(90);
    group.owns = true;
    group.lease_until = at(103);
    group.advertise_at = at(101);
    group.sent = {.first = ~std::uint64_t{0}, .sent = 12, .last_heard = 5};
    group.demotions = {{"test", -3}, {"track:a", 240}};
    group.withdrawn_by = {"a"};
    group.last_heard = Rival{*IpAddress::parse("2001:db8::1"), {AdvBase{1}, AdvSkew{2}, 3}};
    group.last_heard_at = at(99);
    group.counters.advertisements_sent_ipv4 = 1234;
    group.counters.dropped.count(DropReason::bad_digest);
    known.node.groups.push_back(group);
    known.node.groups.emplace_back().interface = "eth1";
    known.node.groups.back().vhid = Vhid{1};
    PoolMemory pool{"eth2", Vhid{21}, 0x1234, {}, {}, at(700), at(101)};
    pool.carpnodes = {{Vhid{21}, {true, true, *IpAddress::parse("192.0.2.1"), {}, at(80), kNever, {}}}, {}};
    pool.hosts = {{*IpAddress::parse("192.0.2.2"), at(99), at(109), 0x1234, 4, at(60), at(98), false, true}};
    known.node.pools = {pool};
    known.carpnodes = {{"eth2", Vhid{21}, false, PoolTraffic{12, 3456, 78}}, {"eth2", Vhid{22}, true, {}}};
    known.node.interface_group_demotions = {{"carp", "drain", 200}};
    known.node.ends = {{"", {}, "carp", "drain", at(500)}, {"eth0", Vhid{7}, "", "test", at(600)}};
    known.node.sync_demotion = 240;
    known.node.lateness = {3, {std::chrono::seconds(1), at(5)}, {std::chrono::seconds(2), at(4)}};
    known.node.dropped[static_cast<std::size_t>(DropReason::bad_vhid)] = 9;
    known.node.tally.failover.count(std::chrono::milliseconds(3400));
    known.node.tally.failover.count(std::chrono::minutes(2));
    known.node.tally.transitions.count(State::master, Cause::master_timed_out);
    TrackVerdict verdict;
    verdict.known = true;
    verdict.why = "no such file";
    verdict.since = at(50);
    known.tracks = {{"a", verdict}};
    known.sync = SyncMemory{4711, true, 2, 1, 17, 16};
    known.last_packet = ~std::uint64_t{0};
    known.history = {R"({"event":"x"})"};
    return known;
}

std::string replaced(std::string text, const std::string& part, const std::string& other) {
    const std::size_t place = text.find(part);
    EXPECT_NE(place, std::string::npos) << part;
    return text.replace(place, part.size(), other);
}

TEST(HandOver, ComesBackAsItWas) {
    const auto read = parse_hand_over(to_document(example()));
    ASSERT_TRUE(read) << read.error();
    EXPECT_EQ(*read, example());
    const auto empty = parse_hand_over(to_document(HandOver{}));
    ASSERT_TRUE(empty) << empty.error();
    EXPECT_EQ(*empty, HandOver{});
}

// A host without pools goes on also in a carpd that knows none.
TEST(HandOver, PoolsMakeTheFormat) {
    EXPECT_THAT(to_document(example()), testing::HasSubstr(R"("format":2)"));
    HandOver without = example();
    without.node.pools.clear();
    without.carpnodes.clear();
    const std::string document = to_document(without);
    EXPECT_THAT(document, testing::HasSubstr(R"("format":1)"));
    EXPECT_THAT(document, testing::Not(testing::HasSubstr("pools")));
    EXPECT_TRUE(understands(1) && understands(2));
    EXPECT_FALSE(understands(0) || understands(3));
}

TEST(HandOver, FieldsOfALaterVersionArePassedOver) {
    const auto read = parse_hand_over(replaced(to_document(example()), "{", R"({"later":[1],)"));
    ASSERT_TRUE(read) << read.error();
    EXPECT_EQ(*read, example());
}

TEST(HandOver, WhatAnotherVersionCountsOtherwiseBeginsAnew) {
    const auto read = parse_hand_over(
        replaced(to_document(example()), R"("to_3500000000":1)", R"("to_3600000000":1,"to_9":null)"));
    ASSERT_TRUE(read) << read.error();
    EXPECT_EQ(read->node.tally.failover.counts[10], 0);
    EXPECT_EQ(read->node.tally.failover.counts[14], 1);
    const auto without = parse_hand_over(replaced(to_document(example()), R"("tally":{)", R"("other":{)"));
    ASSERT_TRUE(without) << without.error();
    EXPECT_EQ(without->node.tally, HostTally());
}

TEST(HandOver, SaysWhatMakesNoSense) {
    const std::string whole = to_document(example());
    struct {
        const char *part, *other, *complaint;
    } const cases[] = {
        {R"("format":2)", R"("format":3)", "its format is 3, and this carpd knows 2"},
        {R"("vhid":7)", R"("vhid":256)", "node.groups.0.vhid"},
        {R"("vhid":7)", R"("vhid":0)", "vhid 0 on eth0"},
        {R"("vhid":7)", R"("vhid":-1)", "node.groups.0.vhid"},
        {R"("vhid":7)", R"("vhid":1.5)", "node.groups.0.vhid"},
        {R"("state":"master")", R"("state":"king")", "node.groups.0.state"},
        {R"("state":"master")", R"("state":"backup")", "the lease of vhid 7 on eth0"},
        {R"("cause":"master_timed_out")", R"("cause":7)", "node.groups.0.cause"},
        {R"("owns":true)", R"("owns":1)", "node.groups.0.owns"},
        {R"("since":100000000000)", R"("since":9223372036854775806)", "node.groups.0.since"},
        {R"("since":100000000000)", R"("since":9223372036854775807)", "a time of vhid 7"},
        {R"("lease_until":103000000000)", R"("lease_until":9223372036854775807)", "the lease of vhid 7"},
        {R"("lease_until":103000000000)", R"("lease_until":-9223372036854775808)", "a timer of vhid 7"},
        {R"("amount":-3)", R"("amount":-256)", "a demotion of vhid 7 on eth0"},
        {R"("amount":200)", R"("amount":0)", "a demotion of carp"},
        {R"("source":"2001:db8::1")", R"("source":"nowhere")", "node.groups.0.last_heard.source"},
        {R"("withdrawn_by":["a"])", R"("withdrawn_by":[{}])", "node.groups.0.withdrawn_by.0"},
        {R"("bad_digest":1)", R"("bad_digest":-1)", "node.groups.0.counters.dropped"},
        {R"("is_taken":false)", R"("is_taken":true)", "the pool of vhid 21 on eth2"},
        {R"("since":80000000000)", R"("since":9223372036854775807)", "the pool of vhid 21 on eth2"},
        {R"("same_since":60000000000)", R"("same_since":9223372036854775807)", "a host of the pool"},
        {R"("times":4)", R"("times":256)", "node.pools.0.hosts.0.times"},
        {R"("lingers":true)", R"("lingers":null)", "carpnodes.1.lingers"},
        {R"("pools":[)", R"("pools":{},"other":[)", "node.pools"},
        {R"("to_3500000000":1)", R"("to_3500000000":-1)", "node.tally.failover.to_3500000000"},
        {R"("tracks":[)", R"("tracks":[[],)", "tracks.0"},
        {R"("history":[)", R"("history":[1,)", "history.0"},
        {R"("sync":{)", R"("sync":7,"other":{)", "sync"},
        {R"("node":{)", R"("nodes":{)", "node"},
    };
    for (const auto& [part, other, complaint] : cases) {
        const auto read = parse_hand_over(replaced(whole, part, other));
        ASSERT_FALSE(read) << part;
        EXPECT_THAT(read.error(), testing::HasSubstr(complaint));
    }
    EXPECT_FALSE(parse_hand_over(""));
    EXPECT_FALSE(parse_hand_over("[]"));
    EXPECT_FALSE(parse_hand_over("{}"));
    for (std::size_t size = 0; size < whole.size(); size += 7)
        EXPECT_FALSE(parse_hand_over(whole.substr(0, size)));
}

TEST(HandOver, KeepsWhatASupervisorLeaves) {
    const SupervisorMemory memory{17, 2, 5, 6, 7, 8, {{"helper", 18, 9, 10}, {"sync", 0, 11, 12}}};
    const auto read = parse_supervisor_memory(to_document(memory));
    ASSERT_TRUE(read) << read.error();
    EXPECT_EQ(*read, memory);
    EXPECT_FALSE(parse_supervisor_memory(to_document(HandOver{})));
}

}  // namespace
}  // namespace carpd
