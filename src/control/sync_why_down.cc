#include <fmt/format.h>

#include "control/human.h"
#include "control/refusal.h"
#include "control/sync_status.h"

namespace carpd {

namespace {

// A peer that runs sends a hello five times a second until it is up.
constexpr Duration kLately = std::chrono::seconds(3);

std::string misfit_versions(const Channel& channel) {
    const SyncHello* const hello = channel.misfit();
    if (!hello || (hello->version_min <= kSyncVersion && hello->version_max >= kSyncVersion))
        return "another version";
    return fmt::format("versions {} to {}", hello->version_min, hello->version_max);
}

std::string why_silent(const Channel& channel, const SyncConfig& config, Instant now) {
    if (channel.counters().streams_accepted > 0)
        return fmt::format("silent for {}", human_duration(now - channel.heard_at()));
    if (const auto& refusal = channel.last_refusal())
        return fmt::format("silent for {}; before that it was refused: {}", human_duration(now - refusal->at),
                           explain_refusal(refusal->reason));
    if (config.peers.empty()) return "found, but nothing was heard of it since";
    return fmt::format(
        "never heard: does carpd run there, with this host among the peers of its [sync], and "
        "does {} let UDP port {} through?",
        config.interface, config.port);
}

std::string why(const Channel& channel, const SyncConfig& config, Instant now) {
    if (channel.peer())
        return "it is heard, but our datagrams don't reach it any more; is the link cut in one direction?";
    const auto& refusal = channel.last_refusal();
    if (refusal && refusal->at >= channel.since() && now - refusal->at <= kLately)
        return fmt::format("{} ({})", why_refused(refusal->reason, channel, config),
                           to_string(refusal->reason));
    return why_silent(channel, config, now);
}

}  // namespace

std::string why_refused(SyncDrop reason, const Channel& channel, const SyncConfig& config) {
    switch (reason) {
        case SyncDrop::bad_seal:
            return "its datagrams are sealed with another key than ours; compare the keys of [sync] on both "
                   "hosts";
        case SyncDrop::bad_version:
            return fmt::format(
                "it speaks {} of the protocol, this host {}; bring carpd on both to one release",
                misfit_versions(channel), kSyncVersion);
        case SyncDrop::same_name:
            return fmt::format("it is called '{}', as this host is; give each a name of its own in [sync]",
                               config.name.view());
        case SyncDrop::own_datagram:
            return "what comes from there are our own datagrams; is the address this host's, or is there a "
                   "loop in the network?";
        case SyncDrop::unanswered:
        case SyncDrop::unknown_stream:
            return fmt::format(
                "it is heard, but doesn't answer: our datagrams don't reach it (UDP port {}), "
                "or it refuses them; see `carpctl sync status` there",
                config.port);
        default: return fmt::format("what comes from there is refused: {}", explain_refusal(reason));
    }
}

std::optional<std::string> why_down(const Channel& channel, const SyncPeerFigures& peer,
                                    const SyncConfig& config, Instant now) {
    if (channel.is_up()) return std::nullopt;
    std::string text = why(channel, config, now);
    if (!peer.send_error.empty()) text += "; sending to it fails: " + peer.send_error;
    return text;
}

}  // namespace carpd
