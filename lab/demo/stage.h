// The demo's two hosts, their client, and the acts they play.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lab/carpd.h"
#include "lab/demo/screen.h"
#include "lab/lab.h"
#include "lab/probe.h"

namespace carpd::lab {

// Ctrl-C or SIGTERM: thrown by Stage's waits, so that everything is torn down on the way out.
class Interrupted {};

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
        int advskew = 0;
        std::unique_ptr<Carpd> carpd{};
        std::size_t events_seen = 0;
        std::string state = "off";
        std::vector<std::pair<Time, Mark>> history{};
    };

    Member& member(const std::string& name);
    std::string config(const Member& member) const;
    void launch(Member& member);
    void tell(const Member& member, const std::string& what, bool is_fault);
    void enter(Member& member, Time at, const std::string& state);
    void collect(Member& member);
    void watch(Span span);
    void show();
    Time strip_end() const;
    Strip strip_of(const Member& member) const;
    Strip strip_of(const std::string& name, const Probe& probe) const;
    void begin(const std::string& title);
    Act finish(const std::string& title, const std::string& taker, Span bound, bool judged, Time at);

    Screen& screen_;
    int signals_;
    Lab lab_;
    Member alpha_, beta_;
    Host& client_;
    std::unique_ptr<Probe> ipv4_, ipv6_;
    int advbase_ = 1;
    Span column_ = 100ms;
    Time started_, act_started_;
};

}  // namespace carpd::lab
