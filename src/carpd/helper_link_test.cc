#include "carpd/helper_link.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>

namespace carpd {
namespace {

constexpr int kGroups = 100;

class Link : public testing::Test {
 protected:
    Link() {
        std::vector<GroupConfig> groups(kGroups);
        for (int i = 0; i < kGroups; ++i) {
            groups[i].name = fmt::format("group{}", i);
            groups[i].interface = "eth0";
            groups[i].vhid = Vhid{static_cast<std::uint8_t>(i + 1)};
            groups[i].addresses = {{IpAddress::parse(fmt::format("192.0.2.{}", i)).value(), 24}};
        }
        Actions actions;
        node_.configure(Instant{}, share(groups), actions);
    }
    void wake() { link_.wake(now_ += std::chrono::seconds(1)); }
    // As the engine does it when nothing else is to do.
    void tell_all() {
        while (link_.can_go_on()) link_.go_on(node_);
    }
    std::vector<GroupNews> heard() {
        std::vector<GroupNews> news;
        while (const auto text = helper_.receive()) {
            const auto message = parse_engine_message(*text);
            EXPECT_TRUE(message) << message.error();
            news.push_back(std::get<GroupNews>(*message));
        }
        return news;
    }
    static GroupNews some_news() {
        GroupNews news;
        news.group = "group1";
        return news;
    }
    bool is_readable() const {
        pollfd event{link_.fd(), POLLIN, 0};
        return poll(&event, 1, 0) == 1;
    }

    std::pair<MessageSocket, MessageSocket> pair_ = std::move(MessageSocket::open_pair(32 * 1024).value());
    MessageSocket& helper_ = pair_.second;
    HelperLink link_ = std::move(HelperLink::open(pair_.first).value());
    Node node_{1};
    Instant now_{};
};

TEST_F(Link, SaysNothingWhereNobodyIsToHear) {
    link_.tell(some_news());
    EXPECT_FALSE(link_.can_go_on());
    EXPECT_FALSE(link_.status());
    EXPECT_TRUE(heard().empty());
}

TEST_F(Link, TellsAllGroupsThenWhatHappens) {
    link_.set_wanted(true);
    std::vector<GroupNews> told;
    while (link_.can_go_on() || told.size() < kGroups) {
        link_.go_on(node_);
        wake();
        for (GroupNews& news : heard()) told.push_back(std::move(news));
    }
    ASSERT_EQ(told.size(), kGroups);
    link_.tell(some_news());
    told.push_back(heard().at(0));
    for (std::size_t i = 1; i < told.size(); ++i) EXPECT_GT(told[i].sequence, told[i - 1].sequence);
    EXPECT_EQ(told[7].group, "group7");
    EXPECT_EQ(told[7].kind, GroupNews::Kind::state);
    EXPECT_FALSE(told[7].time.empty());
    EXPECT_EQ(link_.status()->messages_lost, 0u);
}

TEST_F(Link, TellsAllAgainWhenSomethingWasLost) {
    link_.set_wanted(true);
    while (link_.can_go_on()) {
        link_.go_on(node_);
        wake();
        heard();
    }
    for (int i = 0; i < 1000; ++i) link_.tell(some_news());
    const std::uint64_t lost = link_.status()->messages_lost;
    EXPECT_GT(lost, 0u);
    EXPECT_FALSE(link_.can_go_on()) << "that would keep the engine busy";
    EXPECT_FALSE(is_readable());
    EXPECT_EQ(heard().size(), 1000 - lost);
    EXPECT_TRUE(is_readable());
    wake();
    EXPECT_TRUE(link_.can_go_on());
    std::size_t told = 0;
    while (link_.can_go_on()) {
        link_.go_on(node_);
        told += heard().size();
        wake();
    }
    EXPECT_EQ(told, kGroups);
    EXPECT_EQ(link_.status()->messages_lost, lost);
}

TEST_F(Link, TellsAllToAHelperThatIsNew) {
    link_.set_wanted(true);
    while (link_.can_go_on()) {
        link_.go_on(node_);
        wake();
        heard();
    }
    helper_.send(to_message(HelperMessage(HelperHello{815})));
    helper_.send(to_message(HelperMessage(HookFigures{4, 3, 2, 1})));
    EXPECT_TRUE(is_readable());
    wake();
    EXPECT_TRUE(link_.can_go_on());
    EXPECT_EQ(link_.status()->pid, 815);
    EXPECT_EQ(link_.status()->hooks, (HookFigures{4, 3, 2, 1}));
}

TEST_F(Link, BearsAMadHelper) {
    link_.set_wanted(true);
    int sent = 0;
    while (helper_.send("rubbish")) ++sent;
    for (int i = 0; i < sent; ++i) wake();
    EXPECT_EQ(link_.status()->messages_refused, static_cast<std::uint64_t>(sent));
    helper_.close();
    wake();
    EXPECT_FALSE(is_readable());
    for (int i = 0; i < 10; ++i) link_.tell(some_news());
    EXPECT_EQ(link_.status()->messages_lost, 10u);
}

}  // namespace
}  // namespace carpd
