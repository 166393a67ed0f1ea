// What the engine knows of all tracks: what the helper process told last, and what counts until it does
// (rule H3). Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "carp/types.h"
#include "health/tracker.h"

namespace carpd {

class Verdicts {
 public:
    struct Entry {
        TrackConfig config;
        bool counts_as_passed = false;  // until the verdict is known
        TrackVerdict verdict;
        bool passed() const { return verdict.known ? verdict.passed : counts_as_passed; }
    };

    // The tracks as configured now. The first call is the daemon's start: what has no result yet counts as
    // failed. Later ones keep what is known of a track with the same name; a new one counts as passed.
    void configure(const std::vector<TrackConfig>& tracks);

    // The helper's word of a track. Whether it passes or fails otherwise than before, or is known for the
    // first time, is what the caller logs.
    enum class News { none, first, changed, unknown_track };
    News set(std::string_view track, TrackVerdict verdict);

    // Not known of one that isn't configured.
    TrackVerdict of(std::string_view track) const;
    // Configured, and nothing is known of it yet.
    bool is_unchecked(std::string_view track) const;
    std::vector<FailingTrack> failing() const;
    const std::vector<Entry>& entries() const { return entries_; }  // in the order of the configuration

 private:
    std::vector<Entry> entries_;
    bool has_started_ = false;
};

}  // namespace carpd
