#include "carpd/helper_tracks.h"

#include <utility>

namespace carpd {

Expected<HelperTracks, SysError> HelperTracks::open() {
    auto checks = HealthChecks::open();
    if (!checks) return Unexpected{checks.error()};
    return HelperTracks(std::move(*checks));
}

// An engine that has read the file again may know tracks that it didn't know when it was told of them.
void HelperTracks::configure(Instant now, const Config& config) {
    SharedAddresses shared;
    for (const GroupConfig& group : config.groups)
        for (const InterfaceAddress& address : group.addresses) shared.insert(address.address);
    checks_.configure(now, config.tracks, std::move(shared));
    told_.clear();
    report_at_ = config.tracks.empty() ? kNever : now;
}

void HelperTracks::wake(Instant now, const MessageSocket& engine) {
    checks_.wake(now);
    const bool figures = report_at_ <= now;
    if (figures) report_at_ = now + kReportInterval;
    checks_.for_each(
        [&](const std::string& name, const TrackVerdict& verdict) { tell(name, verdict, figures, engine); });
}

// What the socket can't take is told at the next opportunity: it is a state, not an event.
void HelperTracks::tell(const std::string& name, const TrackVerdict& verdict, bool figures,
                        const MessageSocket& engine) {
    if (!verdict.known) return;
    const auto told = told_.find(name);
    const bool is_news =
        told == told_.end() || told->second.passed != verdict.passed || told->second.since != verdict.since;
    if (!is_news && (!figures || told->second == verdict)) return;
    if (engine.send(to_message(HelperMessage(TrackNews{name, verdict})))) told_[name] = verdict;
}

}  // namespace carpd
