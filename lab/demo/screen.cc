#include "lab/demo/screen.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace carpd::lab {

namespace {

constexpr const char* kBold = "1";
constexpr const char* kDim = "2";
constexpr const char* kRed = "1;31";
constexpr const char* kGreen = "32";
constexpr const char* kBoldGreen = "1;32";
constexpr const char* kYellow = "33";
constexpr const char* kBlue = "34";

struct Look {
    const char* terminal;  // one column wide
    const char* plain;
    const char* colour;
};

Look look_of(Mark mark) {
    switch (mark) {
        case Mark::master: return {"█", "M", kBoldGreen};
        case Mark::backup: return {"─", "b", kBlue};
        case Mark::init: return {"┄", "i", kYellow};
        case Mark::dead: return {"x", "x", kRed};
        case Mark::all_answered: return {"▅", "#", kGreen};
        case Mark::some_lost: return {"▂", "+", kYellow};
        case Mark::all_lost: return {"·", ".", kRed};
        case Mark::nothing: return {" ", " ", kDim};
    }
    return {" ", " ", kDim};
}

std::size_t strip_columns(bool terminal) {
    winsize size{};
    if (!terminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) size.ws_col = 100;
    return static_cast<std::size_t>(std::clamp(size.ws_col - 22, 20, 72));
}

bool is_figure(const std::string& text) {
    return !text.empty() && (text[0] == '-' || (text[0] >= '0' && text[0] <= '9'));
}

}  // namespace

Screen::Screen()
    : terminal_(isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr),
      columns_(strip_columns(terminal_)) {}

std::string Screen::paint(const char* colour, const std::string& text) const {
    return terminal_ ? fmt::format("\x1b[{}m{}\x1b[0m", colour, text) : text;
}

void Screen::erase_strips() {
    if (drawn_lines_ > 0) fmt::print("\x1b[{}A\x1b[J", drawn_lines_);
    drawn_lines_ = 0;
}

void Screen::heading(const std::string& heading) {
    text("\n" + paint(kBold, heading) + "\n");
}

void Screen::text(const std::string& text) {
    erase_strips();
    fmt::print("{}\n", text);
    if (terminal_) {
        fmt::print("{}", strips_);
        drawn_lines_ = static_cast<std::size_t>(std::count(strips_.begin(), strips_.end(), '\n'));
    }
    std::fflush(stdout);
}

void Screen::event(double at, const std::string& who, const std::string& what, bool is_fault) {
    text(fmt::format("  {:8.3f} s  {:<7} {}", at, who, is_fault ? paint(kRed, what) : what));
}

std::string Screen::render(const std::vector<Strip>& strips, const std::string& scale) const {
    std::string result = "\n";
    for (const Strip& strip : strips) {
        result += fmt::format("  {:<7} {:<9} ", strip.name, strip.now);
        for (auto at = strip.marks.begin(); at != strip.marks.end();) {
            const Look look = look_of(*at);
            std::string run;  // of equal marks: one change of colour
            for (const Mark mark = *at; at != strip.marks.end() && *at == mark; ++at)
                run += terminal_ ? look.terminal : look.plain;
            result += paint(look.colour, run);
        }
        result += "\n";
    }
    return result + paint(kDim, fmt::format("{:20}{}", "", scale)) + "\n";
}

void Screen::draw_strips(const std::vector<Strip>& strips, const std::string& scale) {
    strips_ = render(strips, scale);
    if (!terminal_) return;
    erase_strips();
    fmt::print("{}", strips_);
    drawn_lines_ = static_cast<std::size_t>(std::count(strips_.begin(), strips_.end(), '\n'));
    std::fflush(stdout);
}

void Screen::end_strips() {
    if (!terminal_) fmt::print("{}", strips_);
    strips_.clear();
    drawn_lines_ = 0;
}

void Screen::table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths(rows.at(0).size());
    for (const auto& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    for (const auto& row : rows) {
        std::string line = " ";
        for (std::size_t i = 0; i < row.size(); ++i)
            line += is_figure(rows.back()[i]) ? fmt::format(" {:>{}}", row[i], widths[i])
                                              : fmt::format(" {:<{}}", row[i], widths[i]);
        text(&row == &rows.front() ? paint(kBold, line) : line);
    }
}

void Screen::verdict(bool good, const std::string& what) {
    text("\n" + paint(good ? kBoldGreen : kRed, what));
}

}  // namespace carpd::lab
