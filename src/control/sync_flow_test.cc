#include "control/sync_flow.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace carpd {
namespace {

using Json = nlohmann::ordered_json;

Flow flow_of(std::uint8_t protocol, std::uint16_t first, std::uint16_t second) {
    Flow flow;
    flow.identity.original = {IpAddress::parse("10.0.0.2").value(), IpAddress::parse("198.51.100.7").value(),
                              protocol, first, second};
    flow.identity.reply = flow.identity.original.inverse();
    flow.state.status = 0xe;
    flow.state.timeout = 299;
    return flow;
}
Json shown(const Flow& flow) {
    const std::string line = sync_flow_line(flow, "fw1");
    EXPECT_EQ(line.find('\n'), std::string::npos);
    return Json::parse(line);
}

TEST(SyncFlowLine, ShowsATranslatedConnectionAsAWhole) {
    Flow flow = flow_of(6, 4711, 443);
    flow.state.protocol = TcpState{3, {7, 7}, {}};
    flow.identity.reply.destination = IpAddress::parse("192.0.2.100").value();
    EXPECT_EQ(sync_flow_line(flow, "fw1"),
              R"({"owner":"fw1","protocol":"tcp","state":"ESTABLISHED","source":"10.0.0.2",)"
              R"("destination":"198.51.100.7","sport":4711,"dport":443,"reply_source":"198.51.100.7",)"
              R"("reply_destination":"192.0.2.100","reply_sport":443,"reply_dport":4711,"nat":true,)"
              R"("replied":true,"assured":true,"zone":0,"mark":0,"timeout_s":299,"helper":null,)"
              R"("expected_by":null})");
}

TEST(SyncFlowLine, NamesStatesAndGivesThoseItDoesNotKnowAsNumbers) {
    Flow flow = flow_of(6, 1, 2);
    flow.state.protocol = TcpState{9, {}, {}};
    EXPECT_EQ(shown(flow)["state"], "SYN_SENT2");
    flow.state.protocol = TcpState{10, {}, {}};
    EXPECT_EQ(shown(flow)["state"], "10");
    flow = flow_of(132, 1, 2);
    flow.state.protocol = SctpState{4, {}};
    EXPECT_EQ(shown(flow)["state"], "ESTABLISHED");
    flow.state.protocol = SctpState{255, {}};
    EXPECT_EQ(shown(flow)["state"], "255");
    flow = flow_of(33, 1, 2);
    flow.state.protocol = DccpState{4, 0, 0};
    EXPECT_EQ(shown(flow)["state"], "OPEN");
    EXPECT_EQ(shown(flow_of(17, 1, 2))["state"], nullptr);
}

TEST(SyncFlowLine, ShowsWhatAProtocolHasInsteadOfPorts) {
    Json json = shown(flow_of(1, 77, 8 << 8));
    EXPECT_EQ(json["protocol"], "icmp");
    EXPECT_EQ(json["type"], 8);
    EXPECT_EQ(json["code"], 0);
    EXPECT_EQ(json["id"], 77);
    EXPECT_EQ(json["reply_type"], 0);
    EXPECT_EQ(json["reply_id"], 77);
    EXPECT_FALSE(json.contains("sport"));

    json = shown(flow_of(47, 5, 6));
    EXPECT_EQ(json["protocol"], "gre");
    EXPECT_EQ(json["source_key"], 5);
    EXPECT_EQ(json["reply_destination_key"], 5);

    json = shown(flow_of(50, 0, 0));
    EXPECT_EQ(json["protocol"], "50");
    for (const char* key : {"sport", "type", "id", "source_key"}) EXPECT_FALSE(json.contains(key)) << key;

    const std::pair<std::uint8_t, const char*> names[] = {{17, "udp"},   {33, "dccp"},     {58, "icmpv6"},
                                                          {132, "sctp"}, {136, "udplite"}, {255, "255"}};
    for (const auto& [number, name] : names) EXPECT_EQ(shown(flow_of(number, 1, 2))["protocol"], name);
}

TEST(SyncFlowLine, ShowsWhatElseThereIs) {
    Flow flow = flow_of(6, 20, 4711);
    flow.identity.zone = 5;
    flow.state.mark = 4'000'000'000;
    flow.state.status = 0;
    flow.identity.master = flow_of(6, 4710, 21).identity.original;
    std::ranges::copy(std::string_view("ftp"), flow.identity.helper.begin());
    const Json json = shown(flow);
    EXPECT_EQ(json["zone"], 5);
    EXPECT_EQ(json["mark"], 4'000'000'000u);
    EXPECT_EQ(json["replied"], false);
    EXPECT_EQ(json["assured"], false);
    EXPECT_EQ(json["nat"], false);
    EXPECT_EQ(json["helper"], "ftp");
    EXPECT_EQ(json["expected_by"],
              Json::parse(R"({"protocol":"tcp","source":"10.0.0.2","destination":"198.51.100.7",
                              "sport":4710,"dport":21})"));
}

TEST(SyncFlowLine, ShowsExpectations) {
    Flow flow = flow_of(6, 0, 50000);
    flow.identity.master = flow_of(6, 4710, 21).identity.original;
    flow.identity.mask = {flow.identity.original.source};
    flow.state.protocol = ExpectationState{};
    const Json json = shown(flow);
    EXPECT_EQ(json["state"], "EXPECTED");
    EXPECT_EQ(json["sport"], 0);
    EXPECT_EQ(json["expected_by"]["dport"], 21);
}

TEST(SyncFlowLine, IsJsonWhateverAnOwnerIsCalled) {
    EXPECT_EQ(Json::parse(sync_flow_line(flow_of(17, 1, 2), "\"\n\xff"))["owner"], "\"\n\uFFFD");
}

TEST(SyncFlowsEnd, CountsTheLinesBefore) {
    EXPECT_EQ(sync_flows_end(0), R"({"ok":true,"flows":0})");
    EXPECT_EQ(sync_flows_end(1'000'000), R"({"ok":true,"flows":1000000})");
}

}  // namespace
}  // namespace carpd
