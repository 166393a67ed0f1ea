#include "carp/group_peers.h"

#include <algorithm>

#include "balance/shares.h"

namespace carpd {

namespace {

constexpr Duration kMinute = std::chrono::minutes(1);
constexpr Duration kForgotten = kMinute;  // so long after it fell silent its place may be given to another

std::uint32_t fingerprint(const Few<InterfaceAddress>& addresses) {
    std::vector<IpAddress> sorted;
    for (const InterfaceAddress& a : addresses)
        if (!a.address.is_link_local()) sorted.push_back(a.address);  // as in the digest (rule D3)
    std::sort(sorted.begin(), sorted.end());
    std::vector<std::uint8_t> message;
    for (const IpAddress& a : sorted) message.insert(message.end(), a.bytes().begin(), a.bytes().end());
    const Sha1Digest digest = sha1(message);
    return static_cast<std::uint32_t>(read_u16(digest, 0)) << 16 | read_u16(digest, 2);
}

std::uint16_t to_wire(Duration age) {
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(age).count();
    return static_cast<std::uint16_t>(std::clamp<std::int64_t>(milliseconds, 0, Beacon::Hearing::kNothing));
}

std::uint16_t age(Instant now, Instant at) {
    return at == Instant::min() ? Beacon::Hearing::kNothing : to_wire(now - at);
}

bool says_nothing(std::uint16_t age) {
    return std::chrono::milliseconds(age) >= GroupPeers::kSilence;
}

std::size_t index(Family family) {
    return static_cast<std::size_t>(family);
}

// An advertisement of a MASTER of this standing is missing then.
Duration patience(const Standing& standing) {
    return std::max(GroupPeers::kSilence,
                    master_down_interval(standing.advbase, standing.advskew) + std::chrono::seconds(1));
}

Standing standing_of(const Beacon& beacon) {
    return {AdvBase{beacon.advbase}, AdvSkew{beacon.advskew}, beacon.demote};
}

}  // namespace

const IpAddress& GroupPeers::Peer::address() const {
    return source[0].is_unspecified() ? source[1] : source[0];
}

// The first beacons of many groups and hosts are spread over a second.
GroupPeers::GroupPeers(const VirtualHost& group, std::uint64_t host, Instant now)
    : id_(group.id()),
      config_(&group.config()),
      host_(host),
      keyed_(config_->key),
      began_(now),
      told_{group.state(), group.standing()},
      next_at_(now + Duration(kGap) * ((host ^ config_->vhid.value) % 64) / 64) {
    reconfigure(*config_);
}

void GroupPeers::reconfigure(const GroupConfig& config) {
    config_ = &config;
    keyed_ = HmacSha1(config.key);
    alternate_ = config.accept_key ? std::optional(HmacSha1(*config.accept_key)) : std::nullopt;
    addresses_ = fingerprint(config.addresses);
    alternate_addresses_ =
        config.accept_addresses.empty() ? addresses_ : fingerprint(config.accept_addresses);
}

// ---- what comes

std::optional<DropReason> GroupPeers::refuse(const IpPacket& packet, const Beacon& beacon) const {
    const bool routed = config_->peer_routed && !packet.destination.is_multicast();
    if (packet.hop_limit != kHopLimit && !routed) return DropReason::bad_ttl;  // R4
    if (!config_->has(packet.source.family())) return DropReason::bad_family;  // R9
    const auto& peers = config_->peers;
    if (!peers.empty() && std::find(peers.begin(), peers.end(), packet.source) == peers.end())
        return DropReason::unknown_peer;  // R10
    const Sha1Digest digest = digest_in_beacon(packet.payload);
    const auto is_right = [&](const HmacSha1& keyed) {
        return equal_in_constant_time(digest_of_beacon(keyed, packet.payload), digest);
    };
    if (!is_right(keyed_) && !(alternate_ && is_right(*alternate_))) return DropReason::bad_digest;  // V2
    if (beacon.host == host_) return DropReason::own_advert;
    return std::nullopt;
}

std::optional<DropReason> GroupPeers::hear(Instant now, const IpPacket& packet, const Beacon& beacon,
                                           Actions& out) {
    if (const auto reason = refuse(packet, beacon)) return reason;
    Peer* peer = peer_of(now, packet.source, beacon, out);
    const std::size_t family = index(packet.source.family());
    // One that was heard before is an old one, which somebody sends again (V3).
    if (peer == nullptr || beacon.sequence <= peer->sequence[family]) return std::nullopt;
    const Instant before = peer->last_heard_at();
    peer->heard_at[family] = now;
    peer->sequence[family] = beacon.sequence;
    peer->source[family] = packet.source;
    if (beacon.sequence <= peer->said.sequence) return std::nullopt;  // the copy in the other family
    if (before + kSilence <= now)
        peer->speaks_since = now;
    else
        note_late(now, *peer, peer->said_at + kInterval);
    peer->said = beacon;
    peer->said_at = now;
    tell(now, *peer, out);
    if (beacon.leaves) report(*peer, PeerNews::left, out);
    return std::nullopt;
}

// Null if there are too many.
GroupPeers::Peer* GroupPeers::peer_of(Instant now, const IpAddress& source, const Beacon& beacon,
                                      Actions& out) {
    const auto known =
        std::find_if(peers_.begin(), peers_.end(), [&](const Peer& p) { return p.said.host == beacon.host; });
    if (known != peers_.end()) return &*known;
    const bool is_past = std::any_of(peers_.begin(), peers_.end(),
                                     [&](const Peer& p) { return p.predecessor == beacon.host; });
    if (is_past) return nullptr;  // V3
    Peer* peer = place_for(now, source, beacon);
    if (peer == nullptr) return nullptr;
    const Peer before = std::exchange(*peer, Peer{});
    peer->said.host = beacon.host;
    peer->said.set_name(beacon.name());
    peer->source = before.source;
    peer->source[index(source.family())] = source;
    peer->minute = peer->speaks_since = now;
    peer->predecessor = before.said.host;
    // Nothing is said of those that are there when we begin, and of one that started again so fast that
    // nobody missed it.
    const bool is_new = before.said.host == 0 && now - kSilence >= began_;
    if (is_new || before.said.leaves || before.told.is_silent) report(*peer, PeerNews::heard, out);
    hasten(now, kGap / 2);
    return peer;
}

// That of the same host before it started again, a new one, or that of one that is long gone.
GroupPeers::Peer* GroupPeers::place_for(Instant now, const IpAddress& source, const Beacon& beacon) {
    const auto same = std::find_if(peers_.begin(), peers_.end(), [&](const Peer& p) {
        return p.said.name() == beacon.name() && p.source[index(source.family())] == source;
    });
    if (same != peers_.end()) return &*same;
    if (peers_.size() < kMostPeers) return &peers_.emplace_back();
    const auto oldest = std::min_element(peers_.begin(), peers_.end(), [](const Peer& a, const Peer& b) {
        return a.last_heard_at() < b.last_heard_at();
    });
    if (oldest->last_heard_at() + kForgotten > now) return nullptr;
    *oldest = Peer{};
    return &*oldest;
}

void GroupPeers::hear_advertisement(Instant now, const IpAddress& source, const Standing& standing) {
    for (Peer& peer : peers_) {
        if (peer.source[index(source.family())] != source) continue;
        const bool is_copy = peer.advertised_at == now;
        if (peer.advertised_at != Instant::min() && !is_copy && peer.said.state == Beacon::kStates - 1)
            note_late(now, peer,
                      peer.advertised_at + advertisement_interval(standing.advbase, standing.advskew));
        peer.advertised_at = now;
        return;
    }
}

void GroupPeers::note_late(Instant now, Peer& peer, Instant expected) const {
    if (now >= peer.minute + kMinute) {
        peer.late[1] = now >= peer.minute + 2 * kMinute ? Duration(0) : peer.late[0];
        peer.late[0] = Duration(0);
        peer.minute = now;
    }
    // Longer is a pause: it was down, or no MASTER meanwhile.
    if (now - expected < kSilence) peer.late[0] = std::max(peer.late[0], now - expected);
}

// ---- what it means

std::optional<bool> GroupPeers::hears_us(Instant now, const Peer& peer) const {
    const Beacon& said = peer.said;
    const auto hearings = said.hearings();
    const auto ours = std::find_if(hearings.begin(), hearings.end(),
                                   [this](const Beacon::Hearing& h) { return h.host == host_; });
    const bool is_heard = ours != hearings.end() &&
                          std::none_of(std::begin(kFamilies), std::end(kFamilies), [&](Family family) {
                              return config_->has(family) && says_nothing(ours->age[index(family)]);
                          });
    if (is_heard) return true;
    // Both must have spoken for a while.
    if (peer.said_at - kSilence < speaks_since_ || now - kSilence < peer.speaks_since) return std::nullopt;
    return false;
}

GroupPeers::Trouble GroupPeers::trouble(Instant now, const Peer& peer) const {
    if (now - kSilence < speaks_since_) return peer.told;
    Trouble trouble;
    if (peer.said.leaves) return trouble;
    trouble.is_silent = peer.last_heard_at() + kSilence <= now;
    if (trouble.is_silent) return trouble;
    trouble.is_deaf = hears_us(now, peer) == std::optional(false);
    trouble.addresses_differ =
        peer.said.addresses != addresses_ && peer.said.addresses != alternate_addresses_;
    const Duration wait = patience(standing_of(peer.said));
    const bool is_long_master =
        peer.said.state == Beacon::kStates - 1 && std::chrono::milliseconds(peer.said.since_ms) >= wait;
    trouble.advertisements_missing =
        is_long_master && !trouble.addresses_differ && told_.state != State::init &&
        !peer.address().is_unspecified() && peer.speaks_since + wait <= now &&
        (peer.advertised_at == Instant::min() || peer.advertised_at + wait <= now);
    return trouble;
}

void GroupPeers::tell(Instant now, Peer& peer, Actions& out) const {
    const Trouble before = peer.told, after = trouble(now, peer);
    peer.told = after;
    const auto tell_of = [&](bool was, bool is, PeerNews bad, PeerNews good) {
        if (was != is) report(peer, is ? bad : good, out);
    };
    tell_of(before.is_silent, after.is_silent, PeerNews::silent, PeerNews::heard);
    if (after.is_silent || peer.said.leaves) return;  // of the rest nothing is known
    tell_of(before.is_deaf, after.is_deaf, PeerNews::deaf, PeerNews::hears_us);
    tell_of(before.advertisements_missing, after.advertisements_missing, PeerNews::advertisements_missing,
            PeerNews::advertisements_heard);
    tell_of(before.addresses_differ, after.addresses_differ, PeerNews::addresses_differ,
            PeerNews::addresses_agree);
}

void GroupPeers::report(const Peer& peer, PeerNews news, Actions& out) const {
    out.emplace_back(ReportPeer{id_, news, std::string(peer.said.name()), peer.address()});
}

// ---- what we say

void GroupPeers::hasten(Instant now, Duration gap) {
    next_at_ = std::min(next_at_, std::max(now, spoke_at_ == Instant::min() ? now : spoke_at_ + gap));
}

void GroupPeers::follow(Instant now, const VirtualHost& group) {
    const Told is{group.state(), group.standing()};
    if (is == told_) return;
    told_ = is;
    hasten(now, kGap);
}

void GroupPeers::be_silent(Instant now) {
    speaks_since_ = kNever;
    next_at_ = now + kInterval;
}

Beacon GroupPeers::speak(Instant now, const VirtualHost& group, bool leaves, Actions& out) {
    for (Peer& peer : peers_) tell(now, peer, out);
    speaks_since_ = std::min(speaks_since_, now);
    spoke_at_ = now;
    next_at_ = now + kInterval;
    const Standing standing = group.standing();
    Beacon beacon;
    beacon.host = host_;
    beacon.vhid = config_->vhid.value;
    beacon.state = static_cast<std::uint8_t>(group.state());
    beacon.leaves = leaves;
    beacon.sequence = ++sequence_;
    beacon.advbase = standing.advbase.seconds;
    beacon.advskew = standing.advskew.value;
    beacon.demote = standing.demote;
    beacon.addresses = addresses_;
    const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(now - group.since()).count();
    beacon.since_ms = static_cast<std::uint32_t>(std::min<std::int64_t>(since, UINT32_MAX));
    beacon.pool = config_->balance ? fingerprint_of(*config_->balance) : std::uint16_t{0};
    for (const Peer& peer : peers_)
        beacon.add({peer.said.host,
                    {age(now, peer.heard_at[0]), age(now, peer.heard_at[1])},
                    age(now, peer.advertised_at),
                    to_wire(peer.latest())});
    return beacon;
}

}  // namespace carpd
