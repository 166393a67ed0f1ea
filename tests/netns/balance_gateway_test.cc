// Gateways that are all at work, and what goes through them.
#include <fmt/format.h>

#include "lab/gateways.h"
#include "lab/questions.h"
#include "lab/sessions.h"
#include "lab/web_server.h"
#include "netns_test.h"

namespace carpd::lab {
namespace {

constexpr int kClients = 60;
constexpr const char *kServer4 = "198.51.100.9", *kServer6 = "2001:db8:2::9";

class BalanceGateway : public NetnsTest {
 protected:
    void build(bool sync) {
        gateways_.emplace(lab(), kClients, sync);
        Questions::mark(gateways().server());
        web_.emplace(gateways().server());
        gateways().start();
        for (const char* service : {kServer4, kServer6})
            for (const QuestionKind kind : {QuestionKind::udp, QuestionKind::tcp, QuestionKind::ping})
                questions_.emplace_back(gateways().crowd(), service, kind, 300ms);
    }
    void TearDown() override {
        questions_.clear();
        if (HasFailure() && gateways_)
            for (const int i : {0, 1}) fmt::print("---- gw{}'s log:\n{}", i + 1, gateways().carpd(i).log());
        NetnsTest::TearDown();
    }
    Gateways& gateways() { return *gateways_; }
    void expect_served() {
        const Time from = Clock::now();
        std::this_thread::sleep_until(from + 600ms);
        for (const Questions& questions : questions_) EXPECT_TRUE(questions.wait_asked(from, 10s));
        const Time until = Clock::now();
        for (const Questions& questions : questions_) {
            EXPECT_TRUE(questions.wait_answered(from, until, 5s));
            for (const Tally& client : tally(questions.asked(from, until), kClients))
                EXPECT_FALSE(client.twice);
        }
    }

 private:
    std::optional<Gateways> gateways_;
    std::optional<WebServer> web_;
    std::deque<Questions> questions_;
};

// The rules let in nothing but answers, so both directions of a flow pass the same gateway.
TEST_F(BalanceGateway, EachForwardsItsShare) {
    build(false);
    expect_served();
    for (const int i : {0, 1}) EXPECT_GT(gateways().forwarded(i), 500);
    gateways().host(1).power_off();
    ASSERT_TRUE(gateways().carpd(0).wait_state("lan:2", "master"));
    ASSERT_TRUE(gateways().carpd(0).wait_state("wan:2", "master"));
    expect_served();
}

TEST_F(BalanceGateway, OneFailedCableMovesBothSides) {
    build(false);
    expect_served();
    gateways().host(1).port("eth1").set_plugged(false);
    ASSERT_TRUE(gateways().carpd(0).wait_state("wan:2", "master"));
    ASSERT_TRUE(gateways().carpd(0).wait_state("lan:2", "master"));
    expect_served();
}

TEST_F(BalanceGateway, WithSyncTheFlowsOfADeadOneGoOn) {
    build(true);
    Sessions sessions4(gateways().crowd(), kServer4, 1s), sessions6(gateways().crowd(), kServer6, 1s);
    expect_served();
    gateways().host(1).power_off();
    ASSERT_TRUE(gateways().carpd(0).wait_state("lan:2", "master"));
    ASSERT_TRUE(gateways().carpd(0).wait_state("wan:2", "master"));
    for (Sessions* sessions : {&sessions4, &sessions6}) EXPECT_EQ(sessions->survivors(10s), kClients);
    expect_served();
}

}  // namespace
}  // namespace carpd::lab
