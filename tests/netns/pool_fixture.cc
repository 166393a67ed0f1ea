#include "pool_fixture.h"

#include <fmt/format.h>

#include "balance/shares.h"
#include "carp/actions.h"

namespace carpd::lab {

void PoolFixture::build(const PoolOptions& options) {
    options_ = options;
    if (options.balancing == "ip-unicast") lab().make_hub();
    pool_.emplace(lab(), options);
    crowd_.emplace(lab(), kClients, Crowd::Place::on_the_lan);
    pool_->start();
}

void PoolFixture::ask() {
    for (const QuestionKind kind : {QuestionKind::udp, QuestionKind::tcp, QuestionKind::ping})
        for (const char* address : {kPool4, kPool6}) questions_.emplace_back(*crowd_, address, kind, kRound);
}

void PoolFixture::TearDown() {
    questions_.clear();
    if (HasFailure() && pool_) fmt::print("{}", pool_->logs());
    NetnsTest::TearDown();
}

int PoolFixture::home_of(int client, const IpAddress& service) const {
    BalanceConfig config;
    config.hash = options_.hash == "bsd" ? BalanceHash::bsd : BalanceHash::weighted;
    for (int i = 0; i < options_.servers; ++i) {
        const int weight = options_.weights.empty() ? 1 : options_.weights.at(static_cast<std::size_t>(i));
        config.carpnodes.push_back(
            {.vhid = static_cast<std::uint8_t>(i + 1), .weight = static_cast<std::uint8_t>(weight)});
    }
    const Shares shares(config, {'s', '3', 'c', 'r', 'e', 't'});
    return options_.balancing == "arp"
               ? shares.carpnode_of(crowd_->mac(client))
               : shares.carpnode_of(crowd_->address(client, service.family()), service);
}

bool PoolFixture::wait_carpnodes(const std::vector<std::vector<int>>& by_server) {
    return wait_until(
        [&] {
            for (std::size_t i = 0; i < by_server.size(); ++i)
                if (server(static_cast<int>(i)).carpnodes() != by_server[i]) return false;
            return true;
        },
        10s);
}

void PoolFixture::expect_served(const ServerOf& server_of) {
    const Time from = Clock::now() + kHandOver;
    std::this_thread::sleep_until(from + 2 * kRound);
    // Who waits for TCP to ask again, or for a server that died, asks nothing new meanwhile.
    for (const Questions& questions : questions_) EXPECT_TRUE(questions.wait_asked(from, 10s));
    expect_served_since(from, server_of);
}

std::size_t PoolFixture::expect_served_since(Time from, const ServerOf& server_of) {
    const Time until = Clock::now();
    std::size_t count = 0;
    for (const Questions& questions : questions_) {
        EXPECT_TRUE(questions.wait_answered(from, until, 5s));
        const std::vector<Question> asked = questions.asked(from, until);
        count += asked.size();
        const std::vector<Tally> all = tally(asked, kClients);
        for (int client = 0; client < kClients; ++client) {
            const Tally& t = all[static_cast<std::size_t>(client)];
            const int wanted = server_of(client, questions.service());
            EXPECT_EQ(t.by, server(wanted).host().number())
                << "client " << client << " of " << questions.service().to_string();
            EXPECT_EQ(t.moves, 0);
            EXPECT_FALSE(t.twice);
        }
    }
    return count;
}

void PoolFixture::expect_none_lost(Time from, const Counts& counts) {
    const Time until = Clock::now();
    for (const Questions& questions : questions_) {
        const auto lost = [&] {
            int count = 0;
            for (const Question& q : questions.asked(from, until))
                count += q.request.by == Request::kNobody && counts(q.client, questions.service());
            return count;
        };
        EXPECT_TRUE(wait_until([&] { return lost() == 0; }, 5s, 50ms))
            << lost() << " questions of " << questions.service().to_string();
    }
}

void PoolFixture::expect_few_lost(Time from, int datagrams) {
    const Time until = Clock::now();
    for (const Questions& questions : questions_) {
        const bool is_tcp = questions.kind() == QuestionKind::tcp;
        const auto lost = [&] {
            const std::vector<Question> all = questions.asked(from, until);
            return std::count_if(all.begin(), all.end(),
                                 [](const Question& q) { return q.request.by == Request::kNobody; });
        };
        EXPECT_TRUE(wait_until([&] { return lost() <= (is_tcp ? 0 : datagrams); }, 5s, 50ms))
            << lost() << " questions of " << questions.service().to_string();
    }
}

}  // namespace carpd::lab
