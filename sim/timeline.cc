#include "sim/timeline.h"

#include <fmt/format.h>

namespace carpd::sim {

void Timeline::tell(const World& world, int host, int group, const std::string& text) {
    if (group_ >= 0 && group >= 0 && group != group_) return;
    const std::string who = host < 0 ? "" : plan_.hosts[static_cast<std::size_t>(host)].name;
    const std::string whose = group < 0 ? "" : plan_.groups[static_cast<std::size_t>(group)].name;
    lines_.push_back(fmt::format("{:>4}.{:06} {} {:<4}{:<4}{}\n", world.now() / kSecond,
                                 world.now() % kSecond / kMicrosecond, states(world), who, whose, text));
    if (lines_.size() <= limit_) return;
    lines_.pop_front();
    ++left_out_;
}

// A letter per host: Init, Backup or Master, a star if it answers; what doesn't run is in brackets.
std::string Timeline::states(const World& world) const {
    std::string text;
    for (int h = 0; h < world.hosts() && group_ >= 0; ++h) {
        const Station& s = world.station(h);
        const char letter = "IBM"[static_cast<std::size_t>(s.state(group_))];
        const std::string state = fmt::format("{}{}", letter, s.owns(group_) ? "*" : "");
        text += fmt::format(" {:<4}", s.awake() ? state : "(" + state + ")");
    }
    return text;
}

std::string Timeline::text() const {
    std::string text = fmt::format("{:>11} ", "seconds");
    for (std::size_t h = 0; h < plan_.hosts.size() && group_ >= 0; ++h)
        text += fmt::format(" {:<4}", plan_.hosts[h].name);
    text += " event\n";
    if (left_out_ > 0) text += fmt::format("  ({} earlier lines)\n", left_out_);
    for (const std::string& line : lines_) text += line;
    return text;
}

}  // namespace carpd::sim
