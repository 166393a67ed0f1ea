#include "control/peer_news.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

namespace carpd {
namespace {

using nlohmann::json;
using testing::HasSubstr;

GroupConfig lan() {
    GroupConfig group;
    group.name = "lan";
    group.interface = "eth0";
    group.vhid = Vhid{3};
    return group;
}

ReportPeer report(PeerNews news) {
    return {0, news, "fw2", *IpAddress::parse("192.0.2.2")};
}

TEST(PeerNews, SayWhoAndWhatToDo) {
    EXPECT_EQ(describe(lan(), report(PeerNews::heard)), "lan: fw2 (192.0.2.2) is heard");
    EXPECT_EQ(describe(lan(), report(PeerNews::silent)),
              "lan: fw2 (192.0.2.2) isn't heard any more: it is down, or what it sends doesn't arrive here");
    EXPECT_THAT(describe(lan(), report(PeerNews::deaf)), HasSubstr("protocol 112"));
    EXPECT_THAT(describe(lan(), report(PeerNews::addresses_differ)), HasSubstr("the same addresses"));
    ReportPeer nameless = report(PeerNews::left);
    nameless.host = "";
    EXPECT_EQ(describe(lan(), nameless), "lan: a host (192.0.2.2) has left the group");
}

TEST(PeerNews, TellOfAMasterThatIsHeardInOneFamily) {
    ReportPeer master = report(PeerNews::ipv4_only);
    master.host = "";
    EXPECT_EQ(describe(lan(), master),
              "lan: the master 192.0.2.2 is heard in IPv4 only: something between keeps its IPv6 "
              "advertisements back; see `carpctl doctor`");
    master.news = PeerNews::both_families;
    EXPECT_EQ(describe(lan(), master), "lan: the master 192.0.2.2 is heard in both families again");
}

TEST(PeerNews, EachHasItsOwnWords) {
    std::set<std::string> texts, words;
    int troubles = 0;
    for (std::size_t i = 0; i < kPeerNewsCount; ++i) {
        const auto news = static_cast<PeerNews>(i);
        texts.insert(describe(lan(), report(news)));
        words.insert(std::string(to_identifier(news)));
        troubles += is_trouble(news);
    }
    EXPECT_EQ(texts.size(), kPeerNewsCount);
    EXPECT_EQ(words.size(), kPeerNewsCount);
    EXPECT_EQ(troubles, 6);
}

TEST(PeerNews, MonitorsGetTheSame) {
    const json line = json::parse(monitor_line(lan(), report(PeerNews::deaf), "now"));
    EXPECT_EQ(line["time"], "now");
    EXPECT_EQ(line["event"], "peer");
    EXPECT_EQ(line["group"], "lan");
    EXPECT_EQ(line["reason"], "peer_deaf");
    EXPECT_EQ(line["host"], "fw2");
    EXPECT_EQ(line["peer"], "192.0.2.2");
    EXPECT_EQ(line["text"], describe(lan(), report(PeerNews::deaf)));
}

}  // namespace
}  // namespace carpd
