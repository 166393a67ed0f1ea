// What happened in a world, one line per event, for people: when, how every host stood with the group, who,
// and what.
#pragma once

#include <deque>
#include <string>

#include "sim/world.h"

namespace carpd::sim {

class Timeline {
 public:
    // Keeps the last `lines` of what concerns `group` (-1: any), which the columns are about (-1: none). Time
    // is counted from `zero`, and nothing before it is kept.
    Timeline(const Plan& plan, int group, std::size_t lines, Moment zero = 0);

    void tell(const World& world, int host, int group, const std::string& text);
    // With a line of column titles.
    std::string text() const;

 private:
    std::string states(const World& world) const;

    const Plan& plan_;
    int group_;
    std::size_t limit_, left_out_ = 0;
    Moment zero_;
    std::size_t width_ = 4;  // of a host's name
    std::deque<std::string> lines_;
};

}  // namespace carpd::sim
