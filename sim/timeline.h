// What happened in a world, one line per event, for people: when, how every host stood with the group, who,
// and what.
#pragma once

#include <deque>
#include <string>

#include "sim/world.h"

namespace carpd::sim {

class Timeline {
 public:
    // Keeps the last `lines` of what concerns `group` (-1: any), which the columns are about (-1: none).
    Timeline(const Plan& plan, int group, std::size_t lines) : plan_(plan), group_(group), limit_(lines) {}

    void tell(const World& world, int host, int group, const std::string& text);
    // With a line of column titles.
    std::string text() const;

 private:
    std::string states(const World& world) const;

    const Plan& plan_;
    int group_;
    std::size_t limit_, left_out_ = 0;
    std::deque<std::string> lines_;
};

}  // namespace carpd::sim
