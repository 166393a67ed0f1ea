#include "control/human.h"

#include <fmt/format.h>

#include <algorithm>

namespace carpd {

std::string human_duration(Duration duration) {
    using namespace std::chrono;
    duration = std::max(duration, Duration::zero());
    const auto s = duration_cast<seconds>(duration).count();
    if (duration < 10ms && duration > 0ms)
        return fmt::format("{}.{} ms", duration / 1ms, duration % 1ms / 100us);
    if (duration < 1s) return fmt::format("{} ms", milliseconds(duration));
    if (duration < 1min)
        return fmt::format("{}.{} s", s,
                           duration_cast<std::chrono::milliseconds>(duration % 1s).count() / 100);
    if (duration < 1h) return fmt::format("{} min {} s", s / 60, s % 60);
    if (duration < 24h) return fmt::format("{} h {} min", s / 3600, s / 60 % 60);
    return fmt::format("{} d {} h", s / 86400, s / 3600 % 24);
}

std::string_view explain_incomplete(std::string_view reason) {
    constexpr std::pair<std::string_view, std::string_view> kReasons[] = {
        {"no_process", "carpd: sync does not run"},   {"silent", "carpd: sync is silent"},
        {"starting", "it has just started"},          {"overrun", "events of the kernel were lost"},
        {"receiving", "peers have not told all yet"}, {"differs", "it is not the same as what peers have"}};
    for (const auto& [word, explanation] : kReasons)
        if (word == reason) return explanation;
    return reason;
}

}  // namespace carpd
