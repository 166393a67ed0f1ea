// What the tests of load balancing share: a pool of three servers, clients that ask it by every way, and what
// has to be true of the answers.
#pragma once

#include <deque>
#include <functional>
#include <optional>

#include "lab/questions.h"
#include "lab/server_pool.h"
#include "lab/sessions.h"
#include "netns_test.h"

namespace carpd::lab {

class PoolFixture : public NetnsTest {
 protected:
    static constexpr int kClients = 60;
    static constexpr Span kRound = 300ms;  // in which each client asks

    // Three servers that are at home, and clients on their LAN.
    void build(const PoolOptions& options);
    // The clients ask all the time from now on: IPv4 and IPv6, UDP, TCP and ping.
    void ask();
    void TearDown() override;

    ServerPool& pool() { return *pool_; }
    PoolServer& server(int index) { return pool_->server(index); }
    Crowd& crowd() { return *crowd_; }

    // About a client of this address.
    using ServerOf = std::function<int(int client, const IpAddress& service)>;
    using Counts = std::function<bool(int client, const IpAddress& service)>;
    // The server whose a client is, as long as all are at home; with other weights than it was built with.
    int home_of(int client, const IpAddress& service) const;
    void set_weights(const std::vector<int>& weights) { options_.weights = weights; }

    // Each server is MASTER of these carpnodes, by their vhids, and of no other, within 10 s.
    bool wait_carpnodes(const std::vector<std::vector<int>>& by_server);
    // Two rounds of questions are all answered, each by the server that shall, from the end on of a hand-over
    // that is just going on (rule N7).
    void expect_served(const ServerOf& server_of);
    // All questions since `from` were. Returns how many they are.
    std::size_t expect_served_since(Time from, const ServerOf& server_of);
    // None of the questions since `from` was lost, of the clients that count; or at most so many of each kind
    // that nobody says again.
    void expect_none_lost(Time from, const Counts& counts);
    void expect_few_lost(Time from, int datagrams);

 private:
    PoolOptions options_;
    std::optional<ServerPool> pool_;
    std::optional<Crowd> crowd_;
    std::deque<Questions> questions_;
};

}  // namespace carpd::lab
