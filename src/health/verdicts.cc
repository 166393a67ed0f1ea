#include "health/verdicts.h"

#include <algorithm>

namespace carpd {

void Verdicts::configure(const std::vector<TrackConfig>& tracks) {
    std::vector<Entry> entries;
    for (const TrackConfig& config : tracks) {
        const auto known = std::find_if(entries_.begin(), entries_.end(),
                                        [&](const Entry& e) { return e.config.name == config.name; });
        if (known != entries_.end())
            entries.push_back({config, known->counts_as_passed, known->verdict});
        else
            entries.push_back({config, has_started_, {}});
    }
    entries_ = std::move(entries);
    has_started_ = true;
}

Verdicts::News Verdicts::set(std::string_view track, TrackVerdict verdict) {
    const auto entry = std::find_if(entries_.begin(), entries_.end(),
                                    [track](const Entry& e) { return e.config.name == track; });
    if (entry == entries_.end()) return News::unknown_track;
    if (!verdict.known) return News::none;  // a helper that has just begun: what we know stays
    const bool was_known = entry->verdict.known, had_passed = entry->verdict.passed;
    entry->verdict = std::move(verdict);
    if (!was_known) return News::first;
    return had_passed != entry->verdict.passed ? News::changed : News::none;
}

TrackVerdict Verdicts::of(std::string_view track) const {
    for (const Entry& e : entries_)
        if (e.config.name == track) return e.verdict;
    return {};
}

bool Verdicts::is_unchecked(std::string_view track) const {
    return std::any_of(entries_.begin(), entries_.end(),
                       [track](const Entry& e) { return e.config.name == track && !e.verdict.known; });
}

std::vector<FailingTrack> Verdicts::failing() const {
    std::vector<FailingTrack> failing;
    for (const Entry& e : entries_)
        if (!e.passed())
            failing.push_back({e.config.name, e.config.demote, e.config.withdraw, e.config.groups});
    return failing;
}

}  // namespace carpd
