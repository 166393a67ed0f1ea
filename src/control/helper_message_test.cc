#include "control/helper_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace carpd {
namespace {

GroupConfig lan() {
    GroupConfig group;
    group.name = "lan";
    group.interface = "eth0";
    group.vhid = Vhid{7};
    group.addresses = {{IpAddress::parse("192.0.2.100").value(), 24}};
    return group;
}

Rival rival() {
    return {IpAddress::parse("192.0.2.2").value(), {AdvBase{1}, AdvSkew{100}, 0}};
}

GroupNews transition() {
    const ReportTransition report{.group = 0,
                                  .from = State::master,
                                  .to = State::backup,
                                  .cause = Cause::better_advertisement,
                                  .ours = {AdvBase{1}, AdvSkew{240}, 3},
                                  .rival = rival(),
                                  .at = Instant{},
                                  .previous = Duration(0)};
    GroupNews news = news_of(lan(), report);
    news.sequence = std::numeric_limits<std::uint64_t>::max();
    news.time = "2026-11-23T10:00:00.000+00:00";
    return news;
}

TrackNews track() {
    return {"uplink", {true, false, "eth1 has no carrier", Instant(std::chrono::hours(9)), 3, 2, 1}};
}

TEST(HelperMessage, SaysWhatHappened) {
    EXPECT_EQ(
        to_message(EngineMessage(transition())),
        R"({"message":"transition","sequence":18446744073709551615,"time":"2026-11-23T10:00:00.000+00:00",)"
        R"("group":"lan","interface":"eth0","vhid":7,"addresses":["192.0.2.100/24"],"state":"backup",)"
        R"("cause":"better_advertisement","reason":"more frequent advertisement received","demotion":3,)"
        R"("rival":"192.0.2.2","from":"master"})");
    const GroupNews reasserted = news_of(lan(), 5, ReportRival{0, Cause::worse_advertisement, rival()});
    EXPECT_EQ(reasserted.state, State::master);
    EXPECT_EQ(reasserted.rival, "192.0.2.2");
    EXPECT_EQ(reasserted.demotion, 5);
    const GroupConfig config = lan();
    HostTally tally;
    const VirtualHost host(0, config, 1, Instant{}, tally);
    EXPECT_EQ(news_of(host).state, State::init);
    EXPECT_EQ(news_of(host).from, std::nullopt);
}

TEST(HelperMessage, ReadsBackAsItself) {
    GroupNews state = transition();
    state.kind = GroupNews::Kind::state;
    state.from = {};
    for (const EngineMessage& message :
         {EngineMessage(transition()), EngineMessage(state), EngineMessage(EngineEnded{})}) {
        const auto again = parse_engine_message(to_message(message));
        ASSERT_TRUE(again) << again.error();
        EXPECT_EQ(*again, message);
    }
    for (const HelperMessage& message :
         {HelperMessage(HelperHello{815}), HelperMessage(HookFigures{4, 3, 2, 1}), HelperMessage(track())}) {
        const auto again = parse_helper_message(to_message(message));
        ASSERT_TRUE(again) << again.error();
        EXPECT_EQ(*again, message);
    }
}

TEST(HelperMessage, SaysHowATrackIs) {
    const std::string text = to_message(HelperMessage(track()));
    EXPECT_EQ(text, R"({"message":"track","track":"uplink","passed":false,"why":"eth1 has no carrier",)"
                    R"("since_ns":32400000000000,"passes":3,"failures":2,"changes":1})");
    for (const char* key : {"track", "passed", "why", "since_ns", "passes", "failures", "changes"}) {
        std::string bad = text;
        bad.replace(bad.find(std::string(1, '"') + key + '"', 10) + 1, 1, "x");
        EXPECT_FALSE(parse_helper_message(bad)) << bad;
    }
}

TEST(HelperMessage, TellsNoNovels) {
    TrackNews news = track();
    news.verdict.why = std::string(10000, 'x');
    const auto again = parse_helper_message(to_message(HelperMessage(news)));
    ASSERT_TRUE(again);
    EXPECT_EQ(std::get<TrackNews>(*again).verdict.why.size(), TrackNews::kLongestWhy);
}

TEST(HelperMessage, NamesAThousandAddressesAtMost) {
    GroupConfig group = lan();
    for (int i = 0; i < 2000; ++i) group.addresses.push_back(group.addresses[0]);
    const GroupNews news = news_of(group, 0, ReportRival{0, Cause::worse_advertisement, rival()});
    EXPECT_EQ(news.addresses.size(), 1000u);
    EXPECT_TRUE(parse_engine_message(to_message(EngineMessage(news))));
}

TEST(HelperMessage, RefusesWhatIsMad) {
    const std::string good = to_message(EngineMessage(transition()));
    for (const char* key : {"sequence", "time", "group", "interface", "vhid", "addresses", "state", "cause",
                            "reason", "demotion", "rival", "from"}) {
        std::string without = good;
        without.replace(without.find("\"" + std::string(key) + "\":"), 2, "\"~");
        EXPECT_FALSE(parse_engine_message(without)) << without;
    }
    for (const char* bad : {"", "{", "[]", "7", "{}", R"({"message":7})", R"({"message":"hello"})"})
        EXPECT_FALSE(parse_engine_message(bad)) << bad;
    for (const char* bad : {"", "{", "null", R"({"message":"state"})", R"({"message":"hello"})",
                            R"({"message":"hello","pid":-1})", R"({"message":"hello","pid":4294967296})",
                            R"({"message":"hello","pid":"1"})", R"({"message":"hooks","run":1})"})
        EXPECT_FALSE(parse_helper_message(bad)) << bad;
    EXPECT_FALSE(parse_helper_message(to_message(HelperMessage(HelperHello{1})) + std::string("\0x", 2)));
    std::string zero = good;
    zero.replace(zero.find("eth0"), 4, "e\\u0000");
    EXPECT_FALSE(parse_engine_message(zero));
}

}  // namespace
}  // namespace carpd
