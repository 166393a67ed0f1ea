#include "carpctl/render_peers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace carpd {
namespace {

using Json = nlohmann::ordered_json;

Json host(const char* name, const char* id) {
    return {{"name", name},
            {"id", id},
            {"addresses", {"192.0.2.2", "fe80::2"}},
            {"left", false},
            {"state", "backup"},
            {"since_ms", 61000},
            {"advbase", 1},
            {"advskew", 100},
            {"demotion", 0},
            {"fingerprint", "5f0c1a2b"},
            {"heard_for_ms", 61000},
            {"beacon_age_ms", 1200},
            {"ipv4_age_ms", 1200},
            {"ipv6_age_ms", nullptr},
            {"advertisement_age_ms", nullptr},
            {"late_ms", 3},
            {"hears_us", true},
            {"trouble", Json::array()},
            {"hears",
             {{{"id", "aa"},
               {"ipv4_age_ms", 300},
               {"ipv6_age_ms", nullptr},
               {"advertisement_age_ms", 300},
               {"late_ms", 25}}}}};
}

Json status(Json hosts) {
    Json group = {{"name", "lan"},
                  {"interface", "eth0"},
                  {"vhid", 1},
                  {"state", "master"},
                  {"since_ms", 7500000},
                  {"advskew", 0},
                  {"demotion", 0},
                  {"addresses", {"192.0.2.100/24"}},
                  {"source_ipv4", "192.0.2.1"},
                  {"source_ipv6", nullptr},
                  {"fingerprint", "5f0c1a2b"},
                  {"hosts", std::move(hosts)}};
    return {{"host", {{"name", "fw1"}, {"id", "aa"}}}, {"groups", Json::array({group})}};
}

std::string render(Json hosts) {
    return render_peers(LongStatus(status(std::move(hosts)).dump()), Paint(false));
}

TEST(Peers, AreATableOfWhoHearsWhom) {
    EXPECT_EQ(render(Json::array({host("fw2", "bb")})),
              "lan: vhid 1 on eth0\n"
              "  HOST        STATE   SINCE      SKEW  ADDRESS    CONFIG    HEARS fw1          HEARS fw2\n"
              "  fw1 (this)  MASTER  2 h 5 min  0     192.0.2.1  5f0c1a2b  -                  1.2 s\n"
              "  fw2         BACKUP  1 min 1 s  100   192.0.2.2  5f0c1a2b  1.5 s, late 25 ms  -\n");
}

TEST(Peers, TroubleIsSaid) {
    Json deaf = host("fw2", "bb");
    deaf["hears"] = Json::array();
    deaf["hears_us"] = false;
    deaf["trouble"] = {"deaf"};
    Json silent = host("fw3", "cc");
    silent["beacon_age_ms"] = 40000;
    silent["trouble"] = {"silent"};
    EXPECT_EQ(
        render(Json::array({deaf, silent})),
        "lan: vhid 1 on eth0\n"
        "  HOST        STATE   SINCE      SKEW  ADDRESS    CONFIG    HEARS fw1  HEARS fw2  HEARS fw3\n"
        "  fw1 (this)  MASTER  2 h 5 min  0     192.0.2.1  5f0c1a2b  -          1.2 s      -\n"
        "  fw2         BACKUP  1 min 1 s  100   192.0.2.2  5f0c1a2b  NO         -          -\n"
        "  fw3         silent  40.0 s     100   192.0.2.2  5f0c1a2b  -          -          -\n"
        "  ! fw2 doesn't hear this host, or in one family only: what this one sends doesn't arrive there.\n"
        "  ! fw3 isn't heard any more (for 40.0 s): it is down, or what it sends doesn't arrive here.\n");
}

// Who has just come can't be in the beacons of the others yet.
TEST(Peers, WhatTheOthersCannotHaveSaidYetIsNotSaid) {
    Json known = host("fw2", "bb"), fresh = host("fw3", "cc");
    const auto row = [&](const char* of) {
        const std::string text = render(Json::array({known, fresh}));
        return text.substr(text.find(of), text.find('\n', text.find(of)) - text.find(of));
    };
    fresh["heard_for_ms"] = 17000;  // 15.8 s of them when fw2 spoke last
    EXPECT_THAT(row("  fw2 "), testing::EndsWith("-          ?"));
    EXPECT_THAT(row("  fw3 "), testing::EndsWith("NO         -"));
    fresh["heard_for_ms"] = 17300;
    EXPECT_THAT(row("  fw2 "), testing::EndsWith("-          NO"));
    fresh["heard_for_ms"] = 10000;
    EXPECT_THAT(row("  fw3 "), testing::EndsWith("?          -"));
    // An older carpd doesn't tell how long.
    known.erase("heard_for_ms");
    fresh.erase("heard_for_ms");
    EXPECT_THAT(row("  fw2 "), testing::EndsWith("-          NO"));
}

TEST(Peers, NoHostsAndNoBeaconsAreSaid) {
    EXPECT_NE(render(Json::array()).find("no other host that runs carpd has been heard"), std::string::npos);
    EXPECT_NE(render(nullptr).find("beacons = false"), std::string::npos);
}

TEST(Peers, OneFamilyThatIsMissingIsSaid) {
    Json all = status(Json::array({host("fw2", "bb")}));
    all["groups"][0]["addresses"].push_back("2001:db8::100/64");
    EXPECT_NE(render_peers(LongStatus(all.dump()), Paint(false)).find("no IPv6"), std::string::npos);
}

TEST(Peers, NamesOfOthersAreHarmless) {
    EXPECT_EQ(render(Json::array({host("\x1b[31mx", "bb")})).find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace carpd
