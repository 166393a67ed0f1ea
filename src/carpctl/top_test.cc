#include "carpctl/top.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace carpd {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

Json group(const std::string& name, const std::string& state = "master") {
    return {{"name", name},
            {"state", state},
            {"since_ms", 7'500},
            {"reason", "master timed out"},
            {"demotion", 0},
            {"demotion_reasons", Json::object()},
            {"last_heard", {{"source", "192.0.2.2"}}},
            {"balance", nullptr},
            {"counters",
             {{"advertisements_received_ipv4", 0},
              {"advertisements_received_ipv6", 0},
              {"advertisements_sent_ipv4", 0},
              {"advertisements_sent_ipv6", 0},
              {"dropped", Json::object()}}}};
}

Json status(std::vector<Json> groups, int pid = 1) {
    return {{"pid", pid},      {"running_ms", 60'000},    {"groups", groups},
            {"sync", nullptr}, {"tracks", Json::array()}, {"pools", Json::array()}};
}

std::size_t place(const std::string& text, const std::string& part) {
    EXPECT_THAT(text, HasSubstr(part));
    return text.find(part);
}

TEST(Top, ShowsRatesSinceTheFrameBefore) {
    Top top(Paint(false));
    Json lan = group("lan", "backup");
    lan["counters"]["advertisements_received_ipv4"] = 100;
    EXPECT_EQ(top.frame(status({lan}), 10s, {}),
              "carpd for 1 min 0 s: 1 group, 0 MASTER, 1 BACKUP, 0 INIT; 0 in trouble\n"
              "advertisements: 0.0/s in, 0.0/s out, 0.0/s refused\n"
              "\n"
              "GROUP  STATE   SINCE  MASTER     IN/s  OUT/s  REFUSED/s  DEMOTION  NOTE\n"
              "lan    BACKUP  7.5 s  192.0.2.2  -     -      -          0         \n");
    lan["counters"]["advertisements_received_ipv4"] = 102;
    lan["counters"]["advertisements_sent_ipv6"] = 40;
    lan["counters"]["dropped"] = {{"vrrp2", 2}, {"bad_digest", 6}};
    EXPECT_THAT(top.frame(status({lan}), 12s, {}),
                HasSubstr("lan    BACKUP  7.5 s  192.0.2.2  1.0   20     4.0 bad_digest  0         \n"));
    EXPECT_THAT(top.frame(status({lan}), 13s, {}), HasSubstr("  0.0   0.0    0.0        0  "));
    EXPECT_THAT(top.frame(status({group("lan")}, 2), 14s, {}), HasSubstr("  -     -      -  "))
        << "another engine, which counts anew";
}

TEST(Top, TroubleComesFirst) {
    Json demoted = group("demoted"), idle = group("idle", "init"), rival = group("rival");
    demoted["demotion"] = 64;
    demoted["demotion_reasons"] = {{"track:uplink", 64}};
    idle["reason"] = "no address";
    rival["hears_rival"] = true;
    Top top(Paint(false));
    const std::string text = top.frame(status({group("fine"), demoted, rival, idle}), 1s, {});
    EXPECT_THAT(text, HasSubstr("4 groups, 3 MASTER, 0 BACKUP, 1 INIT; 3 in trouble"));
    EXPECT_LT(place(text, "no address\n"), place(text, "another MASTER advertises\n"));
    EXPECT_LT(place(text, "another MASTER advertises\n"), place(text, "track:uplink 64\n"));
    EXPECT_LT(place(text, "track:uplink 64\n"), place(text, "\nfine "));
}

TEST(Top, NamesWhatElseIsWrong) {
    Json all = status({group("lan")});
    all["tracks"] = {{{"name", "uplink"}, {"passed", false}, {"why", "no carrier"}},
                     {{"name", "web"}, {"passed", true}, {"why", "200"}}};
    all["sync"] = {{"incomplete", "receiving"}, {"peers", 2}, {"peers_up", 1}};
    Top top(Paint(false));
    const std::string text = top.frame(all, 1s, {});
    EXPECT_THAT(text, HasSubstr("failing checks: uplink (no carrier)\n"));
    EXPECT_THAT(text, HasSubstr("sync: INCOMPLETE: peers have not told all yet, 1 of 2 peers\n"));
}

TEST(Top, ShowsWhatFits) {
    std::vector<Json> groups;
    for (int i = 0; i < 4000; ++i) groups.push_back(group("group" + std::to_string(i)));
    groups[3999]["state"] = "init";
    Top top(Paint(false));
    for (const ScreenSize size : {ScreenSize{24, 80}, {6, 20}, {3, 10}, {1, 1}}) {
        const std::string text = top.frame(status(groups), 1s, size);
        std::size_t lines = 0;
        for (std::size_t from = 0, end; from < text.size(); from = end + 1, ++lines) {
            end = text.find('\n', from);
            ASSERT_NE(end, std::string::npos);
            EXPECT_LE(end - from, size.columns);
        }
        EXPECT_EQ(lines, size.rows);
    }
    const std::string text = top.frame(status(groups), 2s, {24, 80});
    EXPECT_THAT(text, HasSubstr("group3999"));
    EXPECT_THAT(text, HasSubstr("group0 "));
    EXPECT_THAT(text, HasSubstr("and 3981 more groups\n"));
    EXPECT_THAT(top.frame(status({group("lan")}), 3s, {24, 80}), Not(HasSubstr("more groups")));
}

TEST(Top, ShowsNothingThatATerminalWouldActOn) {
    Json bad = group("a\x1b[2J", "init");
    bad["reason"] = "\x07";
    Top top(Paint(false));
    EXPECT_THAT(top.frame(status({bad}), 1s, {24, 80}), Not(testing::ContainsRegex("[\x1b\x07]")));
}

}  // namespace
}  // namespace carpd
