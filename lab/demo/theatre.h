// What every demo shares: hosts whose changes of state are told and drawn, acts, and the way out on Ctrl-C.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "lab/carpd.h"
#include "lab/demo/screen.h"
#include "lab/probe.h"

namespace carpd::lab {

// Ctrl-C or SIGTERM: thrown by Theatre's waits, so that everything is torn down on the way out.
class Interrupted {};

// A host and its carpd, as the audience sees them by the state of one group.
struct Actor {
    std::string name, group;
    std::size_t events_seen = 0;  // of its carpd
    std::string state = "off";
    std::vector<std::pair<Time, Mark>> history{};
};

std::string upper(std::string text);
Mark mark_of(const std::vector<Request>& requests);

class Theatre {
 public:
    // Blocks the signals: make it before there are threads, which inherit that.
    explicit Theatre(Screen& screen);

    Screen& screen() const { return screen_; }
    // What a column of the strips stands for, from the next act on.
    void set_column(Span column) { column_ = column; }

    void tell(const Actor& actor, const std::string& what, bool is_fault);
    // It is in `state` since `at`: a state of CARP, or "off".
    void enter(Actor& actor, Time at, const std::string& state);
    // A new carpd; what it did before isn't told.
    void launch(Actor& actor, const Carpd& carpd);
    // Tells and remembers what its carpd said since the last time.
    void collect(Actor& actor, const Carpd& carpd);

    void begin_act(const std::string& title);
    Time act_started() const { return act_started_; }
    // Calls `draw` all the time.
    void watch(Span span, const std::function<void()>& draw);

    Strip strip_of(const Actor& actor) const;
    // With `mark` for what happened between two times.
    Strip strip_of(const std::string& name, const std::string& now,
                   const std::function<Mark(Time, Time)>& mark) const;
    void draw(const std::vector<Strip>& strips);

    // Shown before and after what happens in an act.
    static constexpr Span kLead = 500ms;

 private:
    Time strip_end() const;

    Screen& screen_;
    int signals_;
    Span column_ = 100ms;
    Time started_, act_started_;
};

}  // namespace carpd::lab
