#include "health/tracker.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace carpd {

Tracker::Tracker(TrackConfig config, Instant now)
    : config_(std::move(config)), start_at_(now), started_at_(now - kShortestGap) {}

void Tracker::reconfigure(TrackConfig config) {
    CARPD_ASSERT(config.subject == config_.subject);
    // A new interval counts from the last check, so that reloading often doesn't check often.
    if (!running_) start_at_ += config.interval - config_.interval;
    config_ = std::move(config);
}

Tracker::Step Tracker::on_timer(Instant now) {
    if (next_deadline() > now) return Step::nothing;
    if (running_) {
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(config_.timeout).count();
        on_result(now, {false, "no answer within " + std::to_string(seconds) + " s"});
        return Step::cancel;
    }
    running_ = true;
    started_at_ = now;
    return Step::start;
}

void Tracker::on_result(Instant now, CheckResult result) {
    if (!running_) return;
    running_ = false;
    start_at_ = started_at_ + (std::exchange(again_, false) ? kShortestGap : config_.interval);
    judge(now, std::move(result));
}

void Tracker::hurry(Instant now) {
    if (running_)
        again_ = true;
    else
        start_at_ = std::min(start_at_, std::max(now, started_at_ + kShortestGap));
}

void Tracker::judge(Instant now, CheckResult result) {
    ++(result.passed ? verdict_.passes : verdict_.failures);
    const bool agrees = verdict_.known && result.passed == verdict_.passed;
    disagreeing_ = agrees ? 0 : disagreeing_ + 1;
    if (agrees) return;
    if (verdict_.known && disagreeing_ < (result.passed ? config_.rise : config_.fall)) return;
    if (verdict_.known) ++verdict_.changes;
    verdict_.known = true;
    verdict_.passed = result.passed;
    verdict_.why = std::move(result.why);
    verdict_.since = now;
    disagreeing_ = 0;
}

}  // namespace carpd
