// The demo's two hosts, their client, and the acts they play.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lab/demo/theatre.h"
#include "lab/lab.h"

namespace carpd::lab {

struct Act {
    std::string title;
    std::string taker;  // the host that must be MASTER afterwards
    std::string why;    // as carpd told it
    Outage ipv4, ipv6;
    Span bound;          // the protocol's, for the outage
    bool judged = true;  // false: there was nobody to take over from
    bool good = false;
};

// What the machine may add to the protocol's bound before an act counts as failed.
inline constexpr Span kSlack = 250ms;

class Stage {
 public:
    explicit Stage(Screen& screen);
    ~Stage();

    // carpd's timing on both hosts from the next start on, and the client's: a request to each address every
    // `requests`.
    void set_pace(int advbase, int alpha_advskew, int beta_advskew, Span requests);

    void start(const std::string& host);
    void start_both();
    void stop_all();
    void power_off(const std::string& host);
    void power_on(const std::string& host);  // with carpd started again
    void stop(const std::string& host);
    void cut(const std::string& host);
    void restore(const std::string& host);

    // Plays `scene`, then watches until `taker` is MASTER and answers the client.
    template <class Scene>
    Act play(const std::string& title, const std::string& taker, Span bound, bool judged, Scene scene) {
        begin(title);
        const Time at = Clock::now();
        scene();
        return finish(title, taker, bound, judged, at);
    }

 private:
    struct Member {
        Host* host;
        Actor actor;
        int advskew = 0;
        std::unique_ptr<Carpd> carpd{};
    };

    Member& member(const std::string& name);
    std::string config(const Member& member) const;
    void launch(Member& member);
    void watch(Span span);
    void show();
    Strip strip_of(const std::string& name, const Probe& probe) const;
    void begin(const std::string& title);
    Act finish(const std::string& title, const std::string& taker, Span bound, bool judged, Time at);

    Theatre theatre_;
    Lab lab_;
    Member alpha_, beta_;
    Host& client_;
    std::unique_ptr<Probe> ipv4_, ipv6_;
    int advbase_ = 1;
    Span column_ = 100ms;
};

}  // namespace carpd::lab
