// Peers that aren't configured but found (docs/protocol/sync.md §2.6).
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "carpd/sync_process.h"

namespace carpd {

namespace {

// What somebody must know who wonders why two hosts don't find each other.
bool is_telling(SyncDrop reason) {
    return reason == SyncDrop::bad_seal || reason == SyncDrop::bad_version || reason == SyncDrop::same_name;
}

}  // namespace

void SyncProcess::find_peers() {
    while (const auto peer = finder_->forget(now_, host_)) {
        log(LogLevel::info,
            fmt::format("state synchronisation: {} is forgotten", peers_[*peer].address().to_string()));
        peers_.erase(peers_.begin() + static_cast<std::ptrdiff_t>(*peer));
    }
    say_hello();
}

void SyncProcess::say_hello() {
    std::array<std::uint8_t, kLongestHelloDatagram> room;
    const std::size_t size = finder_->transmit(now_, host_, facts_, room);
    if (size == 0 || !socket_) return;
    const Bytes hello(room.data(), size);
    const bool sent = socket_->send(finding_.group, std::span(&hello, 1)) > 0;
    const std::string error = sent ? "" : strerrordesc_np(errno);
    if (std::exchange(finding_.send_error, error) == error || sent) return;
    log(LogLevel::warning,
        fmt::format(
            "state synchronisation can't look for peers on {}: {}; it needs a link-local IPv6 address "
            "there (is net.ipv6.conf.{}.disable_ipv6 1?); without IPv6, list the peers in [sync]",
            config_.interface, error, config_.interface));
}

// Peers are met by their link-local addresses, which no router lets through.
void SyncProcess::hear_stranger(const SyncSocket::Received& datagram) {
    if (!datagram.source.is_link_local()) {
        ++strangers_;
        return;
    }
    const PeerFinder::Heard heard = finder_->hear(now_, datagram.bytes, host_);
    switch (heard.verdict) {
        case PeerFinder::Verdict::waits: break;
        case PeerFinder::Verdict::found:
            peers_.resize(host_.peers());
            peers_[heard.peer].figures = {.address = datagram.source};
            break;
        case PeerFinder::Verdict::known:
            note_refused(datagram.source,
                         fmt::format("the peer at {} has its name, '{}'; if they are two hosts, give each a "
                                     "name of its own in [sync] (known)",
                                     peers_[heard.peer].address().to_string(), heard.name.view()));
            break;
        case PeerFinder::Verdict::no_place:
            note_refused(datagram.source,
                         fmt::format("there are {} peers, the most there may be (no_place)", peers_.size()));
            break;
        case PeerFinder::Verdict::refused:
            if (is_telling(heard.refusal))
                note_refused(datagram.source,
                             fmt::format("{} ({})", why_refused(heard.refusal, finder_->channel(), config_),
                                         to_string(heard.refusal)));
            break;
    }
    say_hello();
}

void SyncProcess::note_refused(const IpAddress& stranger, const std::string& why) {
    const auto before = std::exchange(finding_.refused, {{stranger, why, now_}});
    if ((before && before->address == stranger && before->why == why) || !finding_log_.admit(now_)) return;
    log(LogLevel::warning,
        fmt::format("state synchronisation: {} can't become a peer: {}", stranger.to_string(), why));
}

}  // namespace carpd
