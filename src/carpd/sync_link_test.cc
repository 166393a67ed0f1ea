#include "carpd/sync_link.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <vector>

namespace carpd {
namespace {

using std::chrono::seconds;

class SyncLinkTest : public testing::Test {
 protected:
    void say(const FromSync& message) {
        ASSERT_TRUE(sync_.send(to_message(message)));
        link_.wake(now_);
    }
    std::vector<ToSync> heard() {
        std::vector<ToSync> messages;
        while (const auto text = sync_.receive()) {
            const auto message = parse_to_sync(*text);
            EXPECT_TRUE(message) << message.error();
            messages.push_back(*message);
        }
        return messages;
    }
    bool is_readable() const {
        pollfd event{link_.fd(), POLLIN, 0};
        return poll(&event, 1, 0) == 1;
    }
    std::string incomplete() const { return link_.status(now_)->incomplete; }

    std::pair<MessageSocket, MessageSocket> pair_ = std::move(MessageSocket::open_pair(32 * 1024).value());
    MessageSocket& sync_ = pair_.second;
    SyncLink link_ = std::move(SyncLink::open(pair_.first).value());
    Instant now_{std::chrono::hours(1)};
};

TEST_F(SyncLinkTest, SaysNothingWhereNothingIsConfigured) {
    link_.tell(now_, true);
    EXPECT_EQ(heard(), std::vector<ToSync>());
    EXPECT_FALSE(link_.status(now_));
    EXPECT_EQ(link_.demotion(now_), 0);
}

// Another engine goes on: nobody is demoted by that, and the process hears nothing that it knows.
TEST_F(SyncLinkTest, GoesOnInAnotherEngine) {
    for (const bool is_master : {false, true}) {
        auto pair = std::move(MessageSocket::open_pair(32 * 1024).value());
        SyncLink before = std::move(SyncLink::open(pair.first).value());
        EXPECT_FALSE(before.memory(now_));
        before.set_wanted(true);
        pair.second.send(to_message(FromSync(SyncGreeting{4711})));
        pair.second.send(to_message(FromSync(SyncCopy{SyncIncomplete::no, 2, 1})));
        before.wake(now_);
        const std::uint64_t takeover = before.begin_takeover();
        before.tell(now_, is_master);
        now_ += seconds(1);
        ASSERT_EQ(before.demotion(now_), 0);
        pair.second.discard();

        SyncLink after = std::move(SyncLink::open(pair.first).value());
        after.resume(now_, *before.memory(now_), is_master, false);
        after.set_wanted(true);
        after.tell(now_, is_master);
        EXPECT_FALSE(pair.second.receive());
        EXPECT_EQ(after.demotion(now_), 0);
        EXPECT_EQ(after.memory(now_), before.memory(now_));
        EXPECT_EQ(after.status(now_)->incomplete, "no");
        EXPECT_GT(after.begin_takeover(), takeover);
        // Its process is replaced, which is no matter for a MASTER.
        pair.second.send(to_message(FromSync(SyncEnded{})));
        after.wake(now_);
        EXPECT_EQ(after.demotion(now_), is_master ? 0 : 240);
    }
}

TEST_F(SyncLinkTest, SaysWhatIsNewAndAllToANewProcess) {
    link_.set_wanted(true);
    EXPECT_EQ(heard(), std::vector<ToSync>{Mastership{}});
    link_.tell(now_, false);
    EXPECT_EQ(heard(), std::vector<ToSync>());
    const std::uint64_t first = link_.begin_takeover();
    link_.tell(now_, true);
    const std::uint64_t second = link_.begin_takeover();
    EXPECT_GT(second, first);
    link_.tell(now_, true);
    EXPECT_EQ(heard(), (std::vector<ToSync>{Mastership{true, first}, Mastership{true, second}}));
    say(SyncGreeting{4711});
    EXPECT_EQ(heard(), (std::vector<ToSync>{Mastership{true, second}}));
    EXPECT_EQ(link_.status(now_)->pid, 4711);
    EXPECT_EQ(link_.status(now_)->takeover, second);
}

// A process that hangs learns the newest, and the engine never waits for it.
TEST_F(SyncLinkTest, SaysLaterWhatTheSocketCannotTake) {
    link_.set_wanted(true);
    bool master = false;
    for (int i = 0; i < 100'000; ++i) link_.tell(now_, master = !master);
    EXPECT_FALSE(is_readable());
    const std::uint64_t takeover = link_.begin_takeover();
    link_.tell(now_, true);
    const std::size_t unread = heard().size();
    EXPECT_LT(unread, 100'000u);
    EXPECT_TRUE(is_readable());
    link_.wake(now_);
    EXPECT_EQ(heard(), (std::vector<ToSync>{Mastership{true, takeover}}));
    EXPECT_FALSE(is_readable());
}

TEST_F(SyncLinkTest, HearsWhatIsCommitted) {
    link_.set_wanted(true);
    say(SyncCommitted{12345});  // for an earlier engine
    EXPECT_EQ(link_.committed(), 0u);
    EXPECT_EQ(link_.status(now_)->messages_refused, 0u);
    const std::uint64_t first = link_.begin_takeover(), second = link_.begin_takeover();
    say(SyncCommitted{second + 1});
    EXPECT_EQ(link_.committed(), 0u);
    EXPECT_EQ(link_.status(now_)->messages_refused, 1u);
    say(SyncCommitted{second});
    say(SyncCommitted{first});
    EXPECT_EQ(link_.committed(), second);
    EXPECT_EQ(link_.status(now_)->committed, second);
}

TEST_F(SyncLinkTest, KnowsHowCompleteTheCopyIs) {
    link_.set_wanted(true);
    EXPECT_EQ(incomplete(), "no_process");
    say(SyncGreeting{4711});
    EXPECT_EQ(incomplete(), "starting");
    say(SyncCopy{SyncIncomplete::receiving, 2, 1});
    EXPECT_EQ(incomplete(), "receiving");
    EXPECT_EQ(link_.demotion(now_), CopyState::kDemotion);
    EXPECT_EQ(link_.status(now_)->demotion, CopyState::kDemotion);
    EXPECT_EQ(link_.status(now_)->copy.peers_up, 1);
    say(SyncCopy{SyncIncomplete::no, 2, 2});
    EXPECT_EQ(incomplete(), "no");
    EXPECT_EQ(link_.demotion(now_ + CopyState::kSettle), 0);
    now_ += seconds(3);
    EXPECT_EQ(incomplete(), "silent");
    EXPECT_EQ(link_.demotion(now_), CopyState::kDemotion);
    say(SyncCopy{SyncIncomplete::no, 2, 2});
    say(SyncEnded{});
    EXPECT_EQ(incomplete(), "no_process");
    EXPECT_EQ(link_.demotion(now_), CopyState::kDemotion);
    // Another one has to say it for itself.
    say(SyncCopy{SyncIncomplete::no, 2, 2});
    say(SyncGreeting{4712});
    EXPECT_EQ(link_.demotion(now_), CopyState::kDemotion);
    link_.tell(now_, true);
    EXPECT_EQ(link_.demotion(now_ + seconds(3)), 0);
    link_.set_wanted(false);
    EXPECT_EQ(link_.demotion(now_), 0);
}

TEST_F(SyncLinkTest, TakesWhatWasSaidBeforeItCame) {
    for (int i = 0; i < 40; ++i) sync_.send(to_message(FromSync(SyncCopy{SyncIncomplete::receiving, 1, 1})));
    sync_.send(to_message(FromSync(SyncGreeting{7})));
    sync_.send(to_message(FromSync(SyncCopy{SyncIncomplete::no, 1, 1})));
    link_.set_wanted(true);
    link_.catch_up(now_);
    EXPECT_EQ(incomplete(), "no");
    EXPECT_EQ(link_.demotion(now_ + CopyState::kSettle), 0);
}

TEST_F(SyncLinkTest, CountsWhatMakesNoSense) {
    link_.set_wanted(true);
    for (const char* text : {"nonsense", R"({"message":"copy"})"})
        if (sync_.send(text)) link_.wake(now_);
    EXPECT_EQ(link_.status(now_)->messages_refused, 2u);
}

}  // namespace
}  // namespace carpd
