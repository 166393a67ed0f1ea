// One check's way from results to a verdict, and when to check next (rule H3). Pure: the helper process
// drives it, starts what it says, and gives it what came of it.
#pragma once

#include <cstdint>
#include <string>

#include "health/track_config.h"

namespace carpd {

// How one check went.
struct CheckResult {
    bool passed = false;
    std::string why;  // what it found: "no answer from 192.0.2.1"
};

// What a track says of the host's health.
struct TrackVerdict {
    bool known = false;                      // there was a result
    bool passed = false;                     // meaningful if known
    std::string why;                         // what the result said that made it
    Instant since{};                         // when it became so
    std::uint64_t passes = 0, failures = 0;  // results
    std::uint64_t changes = 0;               // of the verdict, after the first
    bool operator==(const TrackVerdict&) const = default;
};

class Tracker {
 public:
    // The first check is due at once.
    Tracker(TrackConfig config, Instant now);

    // Changes everything but the subject (another subject needs another Tracker). The verdict stays.
    void reconfigure(TrackConfig config);

    // What the driver has to do now. It asks when next_deadline() has come; asking early is harmless.
    enum class Step {
        nothing,
        start,   // a check; on_result() follows, at once or later
        cancel,  // the running one: it took longer than its timeout, which counted as a failure
    };
    Step on_timer(Instant now);
    // Of the running check; one that nobody waits for any more is ignored.
    void on_result(Instant now, CheckResult result);
    // Something may have changed: check now, or kShortestGap after the last one, instead of waiting.
    void hurry(Instant now);
    static constexpr Duration kShortestGap = std::chrono::milliseconds(100);

    Instant next_deadline() const { return running_ ? started_at_ + config_.timeout : start_at_; }
    const TrackConfig& config() const { return config_; }
    const TrackVerdict& verdict() const { return verdict_; }

 private:
    void judge(Instant now, CheckResult result);

    TrackConfig config_;
    TrackVerdict verdict_;
    Instant start_at_, started_at_;
    bool running_ = false;
    bool again_ = false;   // hurried while it ran
    int disagreeing_ = 0;  // results in a row that say the opposite of the verdict
};

}  // namespace carpd
