// What watches the pools: clients that know who answers them. Here without a pool.
#include "lab/crowd.h"

#include <fmt/format.h>

#include "lab/questions.h"
#include "lab/sessions.h"
#include "lab/web_server.h"
#include "netns_test.h"

namespace carpd::lab {
namespace {

struct Case {
    const char* name;
    Crowd::Place place;
    int clients;
};

class CrowdTest : public NetnsTest, public testing::WithParamInterface<Case> {};

// Every client hears from the host that has the address.
TEST_P(CrowdTest, KnowsWhoAnswersWhom) {
    Host& other = lab().add_host("other", {"10.1.0.1/16"});
    Host& host = lab().add_host("host", {"10.1.0.2/16", "2001:db8::2/64"});
    ASSERT_NE(host.number(), other.number());
    Crowd crowd(lab(), GetParam().clients, GetParam().place);
    Crowd::add_routes(host);
    Questions::mark(host);
    host.serve();
    WebServer server(host);
    host.ip("address add 10.1.0.100/32 dev lo\naddress add 2001:db8::100/128 dev eth0 nodad");
    std::deque<Questions> all;
    for (const char* address : {"10.1.0.100", "2001:db8::100"})
        for (const QuestionKind kind : {QuestionKind::udp, QuestionKind::tcp, QuestionKind::ping})
            all.emplace_back(crowd, address, kind, 300ms);
    const Time from = Clock::now();
    std::this_thread::sleep_for(700ms);  // some rounds of questions
    const Time moved = Clock::now();
    for (const Questions& questions : all) {
        EXPECT_TRUE(questions.wait_answered(from, moved, 5s));
        for (const Tally& client : tally(questions.asked(from, moved), crowd.size())) {
            EXPECT_GT(client.asked, 0);
            EXPECT_EQ(client.lost, 0);
            EXPECT_EQ(client.by, host.number());
            EXPECT_FALSE(client.twice);
        }
    }
    Sessions sessions(crowd, "10.1.0.100");
    EXPECT_EQ(sessions.survivors(5s), crowd.size());
    EXPECT_GE(server.connections(), crowd.size());
}

INSTANTIATE_TEST_SUITE_P(, CrowdTest,
                         testing::Values(Case{"BeyondARouter", Crowd::Place::beyond_router, 500},
                                         Case{"OnTheLan", Crowd::Place::on_the_lan, 60}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace carpd::lab
