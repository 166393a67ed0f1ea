// The engine's part for tracks: what the helper says of them becomes what the core is told.
#include <fmt/format.h>

#include "carpd/engine.h"
#include "linux/log.h"

namespace carpd {

void Engine::configure_tracks(const std::vector<TrackConfig>& tracks) {
    verdicts_.configure(tracks);
    tell_failing_tracks();
}

void Engine::hear_verdicts() {
    bool changed = false;
    for (TrackNews& news : kernel_.helper.take_track_news()) {
        const TrackVerdict before = verdicts_.of(news.track);
        if (verdicts_.is_unchecked(news.track)) pump_.report();  // what was so as long as it was not checked
        switch (verdicts_.set(news.track, news.verdict)) {
            case Verdicts::News::none:
            case Verdicts::News::unknown_track:
                continue;  // one of a configuration that only one of us has yet
            case Verdicts::News::first:
            case Verdicts::News::changed: break;
        }
        log(news.verdict.passed ? LogLevel::notice : LogLevel::warning,
            describe(news.track, news.verdict, before.known ? std::optional(before.since) : std::nullopt));
        changed = true;
    }
    if (changed) tell_failing_tracks();
}

void Engine::tell_failing_tracks() {
    pump_.input(now_, [this](Node& node, Actions& out) {
        node.handle_failing_tracks(now_, verdicts_.failing(), out);
    });
}

}  // namespace carpd
