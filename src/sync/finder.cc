#include "sync/finder.h"

#include <algorithm>
#include <utility>

namespace carpd {

namespace {

// As often as a channel does that isn't up, and less often where somebody is found.
constexpr Duration kAlone = std::chrono::milliseconds(200), kInCompany = std::chrono::seconds(1);

std::size_t peers_up(const SyncHost& host) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < host.peers(); ++i) count += host.session(i).is_up() ? 1 : 0;
    return count;
}

}  // namespace

PeerFinder::PeerFinder(Instant now, const ChannelConfig& config, const SyncKeys& keys,
                       Channel::FillRandom fill_random, std::size_t places)
    : channel_(now, config, keys, std::move(fill_random)), places_(places), hello_at_(now) {}

// What the channel takes for a peer's hello with the right answer is a stranger's that lives. It is forgotten
// at once: an answer gives one place (P3), and the session has a channel of its own, which begins with the
// same hello.
PeerFinder::Heard PeerFinder::hear(Instant now, std::span<std::uint8_t> datagram, SyncHost& host) {
    sealed_.assign(datagram.begin(), datagram.end());
    const auto heard = channel_.receive(now, datagram);
    if (!heard && heard.error() != SyncDrop::unanswered) return {Verdict::refused, heard.error()};
    const HostName name = heard ? channel_.peer()->name : HostName();
    channel_.forget_peer(now);
    if (peers_up(host) >= places_) return no_place(name);
    hello_at_ = now;
    if (!heard) return {Verdict::waits};
    const std::size_t peer = place_of(name, host);
    if (peer == names_.size()) {
        if (peer >= places_) return no_place(name);
        names_.push_back(name);
        host.add_peer(now);
    } else if (host.session(peer).channel().peer()) {
        ++counters_.known;
        return {Verdict::known, {}, peer, name};
    }
    ++counters_.found;
    host.receive(now, peer, sealed_);
    return {Verdict::found, {}, peer, name};
}

// A peer may have come back to its address with another name.
std::size_t PeerFinder::place_of(const HostName& name, const SyncHost& host) {
    for (std::size_t i = 0; i < names_.size(); ++i)
        if (const SyncHello* const peer = host.session(i).channel().peer()) names_[i] = peer->name;
    return static_cast<std::size_t>(std::ranges::find(names_, name) - names_.begin());
}

PeerFinder::Heard PeerFinder::no_place(const HostName& name) {
    ++counters_.no_place;
    return {Verdict::no_place, {}, 0, name};
}

// Where there is no place nobody is looked for, or others would keep one in vain.
std::size_t PeerFinder::transmit(Instant now, const SyncHost& host, const HostFacts& facts,
                                 std::span<std::uint8_t> out) {
    channel_.on_timer(now);
    if (now < hello_at_ || !channel_.hello_due(now)) return 0;
    const std::size_t up = peers_up(host);
    hello_at_ = now + (up == 0 ? kAlone : kInCompany);
    return up < places_ ? channel_.write_hello(now, facts, out) : 0;
}

std::optional<std::size_t> PeerFinder::forget(Instant now, SyncHost& host) {
    for (std::size_t i = 0; i < names_.size(); ++i) {
        const Channel& channel = host.session(i).channel();
        const Duration time = channel.counters().downs == 0 ? kTrial : kMemory;
        if (now - channel.since() < time || !host.can_remove_peer(i)) continue;
        host.remove_peer(i);
        names_.erase(names_.begin() + static_cast<std::ptrdiff_t>(i));
        ++counters_.forgotten;
        return i;
    }
    return std::nullopt;
}

Instant PeerFinder::next_deadline() const {
    return std::max(hello_at_, channel_.next_deadline());
}

}  // namespace carpd
