// The demo's three servers that share their work, their 500 clients, and the acts they play.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lab/crowd.h"
#include "lab/demo/theatre.h"
#include "lab/questions.h"
#include "lab/server_pool.h"
#include "lab/sessions.h"

namespace carpd::lab {

struct PoolAct {
    std::string title;
    std::vector<int> shares{};    // how many clients each server has at the end
    bool even = false;            // those that shall serve have equal shares, and the others none
    int asked = 0, lost = 0;      // by all clients
    int others_lost = 0;          // by those whose server nothing happened to
    Span outage{0};               // until the last question by UDP that was lost
    int sessions = 0, alive = 0;  // connections to servers that live
};

class PoolStage {
 public:
    static constexpr int kServers = 3, kClients = 500;

    explicit PoolStage(Screen& screen);

    // Boots the servers, and lets the clients ask.
    PoolAct open(const std::string& title);
    // Plays what happens to `server`, then watches until those in `serving` have equal shares.
    PoolAct play(const std::string& title, int server, const std::vector<int>& serving,
                 const std::function<void()>& scene);

    void power_off(int server);
    void boot(int server);
    // By carpctl, so that others are better: 0 ends it.
    void demote(int server, int by);

 private:
    struct Server {
        Actor actor;
        bool alive = false;
        Time changed{};  // since when
    };
    // What happened in a column of the strips.
    struct Column {
        int asked = 0, answered = 0;
        std::vector<int> by = std::vector<int>(kServers);
    };

    void watch(Span span);
    // Watches until the shares are as they shall be and stay so, or for too long.
    bool watch_until_even(const std::vector<int>& serving);
    void collect(int server);
    void tell_shares();
    void show();
    std::vector<Column> columns() const;
    std::vector<int> shares() const;
    PoolAct judge(const std::string& title, const std::vector<int>& serving, Time at);

    Theatre theatre_;
    Lab lab_;
    ServerPool pool_;
    Crowd crowd_;
    std::vector<Server> servers_;
    std::deque<Questions> questions_;  // the first one's tell the shares
    std::optional<Sessions> sessions_;
    std::vector<int> told_;  // shares
    Time told_at_{}, shown_at_{};
};

}  // namespace carpd::lab
