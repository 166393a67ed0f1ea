// What the demo shows: a strip for each lane (a host's state, a client's requests) that grows while an act
// runs, lines of what happens, and a table at the end. On a terminal with colours and drawn in place;
// elsewhere plain ASCII text, where an act's strips are printed once, when it is over.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lab/clock.h"

namespace carpd::lab {

enum class Mark { master, backup, init, dead, all_answered, some_lost, all_lost, nothing };

struct Strip {
    std::string name;
    std::string now;  // a word about the present, for instance MASTER
    std::vector<Mark> marks;
};

class Screen {
 public:
    Screen();

    void heading(const std::string& text);
    void text(const std::string& text);
    // Something happened to `who`, `at` seconds after the start.
    void event(double at, const std::string& who, const std::string& text, bool is_fault = false);
    // An act's strips so far; replaced by the next call, kept by end_strips().
    void draw_strips(const std::vector<Strip>& strips, const std::string& scale);
    void end_strips();
    // The first row is the head. A column of figures is right-aligned.
    void table(const std::vector<std::vector<std::string>>& rows);
    void verdict(bool good, const std::string& text);

    bool is_terminal() const { return terminal_; }
    std::size_t columns() const { return columns_; }

 private:
    void erase_strips();
    std::string render(const std::vector<Strip>& strips, const std::string& scale) const;
    std::string paint(const char* colour, const std::string& text) const;

    bool terminal_;
    std::size_t columns_;  // of a strip
    std::string strips_;   // as drawn last
    std::size_t drawn_lines_ = 0;
};

}  // namespace carpd::lab
