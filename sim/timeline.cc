#include "sim/timeline.h"

#include <fmt/format.h>

#include <algorithm>

namespace carpd::sim {

Timeline::Timeline(const Plan& plan, int group, std::size_t lines, Moment zero)
    : plan_(plan), group_(group), limit_(lines), zero_(zero) {
    for (const HostPlan& host : plan.hosts) width_ = std::max(width_, host.name.size());
}

void Timeline::tell(const World& world, int host, int group, const std::string& text) {
    if (group_ >= 0 && group >= 0 && group != group_) return;
    if (world.now() < zero_) return;
    const Moment at = world.now() - zero_;
    const std::string who = host < 0 ? "" : plan_.hosts[static_cast<std::size_t>(host)].name;
    const std::string whose = group < 0 ? "" : plan_.groups[static_cast<std::size_t>(group)].name;
    lines_.push_back(fmt::format("{:>4}.{:06} {} {:<{}} {:<3} {}\n", at / kSecond,
                                 at % kSecond / kMicrosecond, states(world), who, width_, whose, text));
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
        text += fmt::format(" {:<{}}", s.awake() ? state : "(" + state + ")", width_);
    }
    return text;
}

std::string Timeline::text() const {
    std::string text = fmt::format("{:>11} ", "seconds");
    for (std::size_t h = 0; h < plan_.hosts.size() && group_ >= 0; ++h)
        text += fmt::format(" {:<{}}", plan_.hosts[h].name, width_);
    text += " event\n";
    if (left_out_ > 0) text += fmt::format("  ({} earlier lines)\n", left_out_);
    for (const std::string& line : lines_) text += line;
    return text;
}

}  // namespace carpd::sim
