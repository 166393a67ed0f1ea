#include "linux/health_checks.h"

#include <sys/timerfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <type_traits>

namespace carpd {

namespace {

constexpr std::uint64_t kTimer = 0;  // no track's id

std::unique_ptr<Check> check_for(const TrackConfig& config, const SharedAddresses& shared) {
    return std::visit(
        [&](const auto& subject) {
            using Kind = std::decay_t<decltype(subject)>;
            if constexpr (std::is_same_v<Kind, GatewayCheck>)
                return make_check(subject, shared);
            else if constexpr (std::is_same_v<Kind, ScriptCheck>)
                return make_check(subject, config.name, config.timeout);
            else
                return make_check(subject);
        },
        config.subject);
}

}  // namespace

Expected<HealthChecks, SysError> HealthChecks::open() {
    UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
    UniqueFd timer(timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC));
    epoll_event event{.events = EPOLLIN, .data = {.u64 = kTimer}};
    if (!epoll || !timer || epoll_ctl(epoll.get(), EPOLL_CTL_ADD, timer.get(), &event) != 0)
        return Unexpected{SysError{"wait for health checks", "", errno}};
    return HealthChecks(std::move(epoll), std::move(timer));
}

void HealthChecks::configure(Instant now, const std::vector<TrackConfig>& tracks, SharedAddresses shared) {
    *shared_ = std::move(shared);
    const auto wanted = [&tracks](const TrackConfig& present) {
        return std::find_if(tracks.begin(), tracks.end(), [&](const TrackConfig& t) {
            return t.name == present.name && t.subject == present.subject;
        });
    };
    std::set<std::string> kept;
    for (auto at = tracks_.begin(); at != tracks_.end();) {
        Tracker& tracker = at->second.tracker;
        const auto found = wanted(tracker.config());
        if (found == tracks.end()) {
            at = tracks_.erase(at);
            continue;
        }
        kept.insert(found->name);
        tracker.reconfigure(*found);
        ++at;
    }
    for (const TrackConfig& track : tracks)
        if (!kept.contains(track.name))
            tracks_.emplace(next_id_++, Track{Tracker(track, now), check_for(track, *shared_)});
    arm_timer();
}

void HealthChecks::wake(Instant now) {
    std::array<epoll_event, 32> events;
    const int count = epoll_wait(epoll_.get(), events.data(), events.size(), 0);
    for (int i = 0; i < count; ++i)
        if (events[static_cast<std::size_t>(i)].data.u64 != kTimer)
            handle_event(now, events[static_cast<std::size_t>(i)].data.u64);
    run_due(now);
    arm_timer();
}

void HealthChecks::handle_event(Instant now, Id id) {
    const auto found = tracks_.find(id);
    if (found == tracks_.end()) return;
    Track& track = found->second;
    with_check(id, track, [&](Check& check) {
        Check::News news = check.wake(now);
        if (news.result) track.tracker.on_result(now, std::move(*news.result));
        if (news.changed) track.tracker.hurry(now);
    });
}

void HealthChecks::run_due(Instant now) {
    for (auto& [id, track] : tracks_) {
        if (track.check->next_deadline() <= now) handle_event(now, id);
        switch (track.tracker.on_timer(now)) {
            case Tracker::Step::nothing: break;
            case Tracker::Step::cancel: with_check(id, track, [](Check& check) { check.cancel(); }); break;
            case Tracker::Step::start:
                with_check(id, track, [&, &tracker = track.tracker](Check& check) {
                    if (auto result = check.start(now)) tracker.on_result(now, std::move(*result));
                });
                break;
        }
    }
}

// What is watched is registered anew each time: a descriptor's number may be another's by now.
void HealthChecks::with_check(Id id, Track& track, const std::function<void(Check&)>& call) {
    if (track.watched >= 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, track.watched, nullptr);
    call(*track.check);
    const Check::Watch watch = track.check->watch();
    epoll_event event{.events = watch.events, .data = {.u64 = id}};
    const bool watched = watch.fd >= 0 && epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, watch.fd, &event) == 0;
    track.watched = watched ? watch.fd : -1;  // if not, the check's timeout ends it
}

void HealthChecks::arm_timer() {
    Instant next = kNever;
    for (const auto& [id, track] : tracks_)
        next = std::min({next, track.tracker.next_deadline(), track.check->next_deadline()});
    itimerspec spec{};
    if (next != kNever) {
        const Duration at = std::max(next.time_since_epoch(), Duration(1));
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(at);
        spec.it_value = {seconds.count(), (at - seconds).count()};
    }
    timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

void HealthChecks::for_each(
    const std::function<void(const std::string& name, const TrackVerdict& verdict)>& take) const {
    for (const auto& [id, track] : tracks_) take(track.tracker.config().name, track.tracker.verdict());
}

}  // namespace carpd
