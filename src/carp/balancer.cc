#include "carp/balancer.h"

#include <algorithm>

#include "carp/authenticator.h"

namespace carpd {

namespace {

bool has(const Few<InterfaceAddress>& addresses, Family family) {
    return std::any_of(addresses.begin(), addresses.end(),
                       [family](const InterfaceAddress& a) { return a.address.family() == family; });
}

}  // namespace

Balancer::Balancer(const GroupConfig& config, GroupId leader)
    : config_(config.balance),
      addresses_(config.addresses),
      key_(config.key),
      leader_(leader),
      family_(has(addresses_, Family::ipv4) ? Family::ipv4 : Family::ipv6),
      shares_(*config.balance, config.key),
      peers_(leader, fingerprint_of(*config.balance), config.balance->by_ip()) {}

bool Balancer::is_for(const GroupConfig& config, GroupId leader) const {
    return config_ == config.balance && addresses_ == config.addresses && key_ == config.key &&
           leader_ == leader;
}

void Balancer::succeed(Instant now, const Balancer& before) {
    for (CarpnodeIndex k = 0; k < config_->carpnodes.size(); ++k)
        if (const auto was = before.index_of(Vhid{config_->carpnodes[k].vhid}))
            seats_[k] = before.seats_[*was];
    peers_.succeed(before.peers_);
    settling_until_ = before.settling_until_;
    if (fingerprint_of(*config_) != fingerprint_of(*before.config_)) settle(now);
}

PoolMemory Balancer::memory() const {
    PoolMemory memory;
    memory.leader = Vhid{config_->leader()};
    memory.fingerprint = fingerprint_of(*config_);
    for (CarpnodeIndex k = 0; k < config_->carpnodes.size(); ++k)
        memory.carpnodes.push_back({Vhid{config_->carpnodes[k].vhid}, seats_[k]});
    memory.hosts = peers_.memory();
    memory.settling_until = settling_until_;
    memory.probe_at = probe_at_;
    return memory;
}

// The shares are as they were: nothing moves by it.
void Balancer::resume(Instant now, const PoolMemory& memory) {
    for (const auto& [vhid, seat] : memory.carpnodes)
        if (const auto known = index_of(vhid)) seats_[*known] = seat;
    peers_.resume(memory.hosts);
    settling_until_ = memory.settling_until;
    probe_at_ = memory.probe_at;
    if (fingerprint_of(*config_) != memory.fingerprint) settle(now);
    if (config_->hash == BalanceHash::weighted) shares_.set_at_home(at_home());
    has_changed_ = has_moved_ = false;
}

std::optional<CarpnodeIndex> Balancer::index_of(Vhid vhid) const {
    const auto& all = config_->carpnodes;
    const auto found =
        std::find_if(all.begin(), all.end(), [vhid](const Carpnode& c) { return c.vhid == vhid.value; });
    if (found == all.end()) return std::nullopt;
    return static_cast<CarpnodeIndex>(found - all.begin());
}

// ---- inputs

void Balancer::follow(Instant now, CarpnodeIndex carpnode, const Own& own) {
    Seat& present = seats_[carpnode];
    const bool was_master = present.is_taken && present.is_self;
    if (own.is_master) {
        seat(now, carpnode, {true, true, own.source, {own.advbase, own.advskew}, {}, kNever, {}});
    } else if (was_master) {
        present.is_taken = false;
        present.lives_until = now + lease_length(own.advbase, own.advskew);
        has_changed_ = has_moved_ = true;
        if (config_->by_ip()) lets_go_until_ = now + kHandOver;
    }
}

void Balancer::hear(Instant now, CarpnodeIndex carpnode, const IpPacket& packet,
                    const Advertisement& advertisement, Actions& out) {
    const IpAddress& source = packet.source;
    const Standing theirs = Standing::of(advertisement);
    Seat& present = seats_[carpnode];
    if (source.family() != family_) {
        present.another_lives_until =
            advertisement.is_bow_out() ? Instant::min() : now + lease_length(theirs.advbase, theirs.advskew);
        return;
    }
    if (!advertisement.is_bow_out()) peers_.hear(now, source, theirs, packet.mark, out);
    if (present.is_taken && present.is_self) return;
    const bool is_same = !present.is_self && present.source == source;
    if (advertisement.is_bow_out()) {
        if (!is_same) return;
        present.is_taken = false;
        if (advertisement.is_sign_off()) present.lives_until = Instant::min();
        has_changed_ = has_moved_ = true;
        return;
    }
    // Of two that advertise at a time one will yield; what it still says must not make clients move twice.
    if (present.is_taken && !is_same && now < present.lives_until) {
        const Tie tie = *present.source < source ? Tie::ours : Tie::theirs;
        if (judge(State::master, present.standing, theirs, false, tie).verdict != Verdict::yield) return;
    }
    seat(now, carpnode,
         {true, false, source, theirs, {}, now + lease_length(theirs.advbase, theirs.advskew), {}});
}

void Balancer::seat(Instant now, CarpnodeIndex carpnode, Seat next) {
    Seat& present = seats_[carpnode];
    const bool is_another = present.source && !(present.is_self == next.is_self &&
                                                (next.is_self || present.source == next.source));
    // Several may take over at once, and all but one yield: what matters is whom they took over from.
    const bool is_brief =
        now < present.since + advertisement_interval(present.standing.advbase, present.standing.advskew);
    const bool was_unknown = !present.source && next.is_self && now < present.another_lives_until;
    if ((is_another && now < present.lives_until && !is_brief) || was_unknown) settle(now);
    const bool moves = !present.is_taken || is_another;
    has_moved_ = has_moved_ || moves;
    has_changed_ = has_changed_ || moves || present.source != next.source ||
                   present.standing.advskew != next.standing.advskew;
    // After this host left it without hearing who came, somebody may have had it for long.
    const bool came_unheard = present.is_self && !present.is_taken && present.lives_until <= now;
    if (!came_unheard) next.since = is_another ? now : present.since;
    present = next;
}

void Balancer::hear_unknown(Instant now, const IpAddress& source, const Advertisement& advertisement,
                            Actions& out) {
    const Authenticator authenticator(key_, Vhid{advertisement.vhid}, addresses_);
    if (authenticator.verify(advertisement.counter, advertisement.digest))
        peers_.hear_stray(now, advertisement.vhid, source, out);
}

// Behind ARP balancing nobody but the carpnode's MASTER gets its frames.
void Balancer::settle(Instant now) {
    if (config_->by_ip()) settling_until_ = now + kSettling;
}

// ---- what follows

void Balancer::decide(Instant now, Actions& out) {
    if (has_changed_ && config_->hash == BalanceHash::weighted) {
        const CarpnodeSet before = shares_.at_home(), next = at_home();
        // By other advskews alone: nobody was lost.
        if (told_ && next != before && !has_moved_) settle(now);
        if (next != before) shares_.set_at_home(next);
        if (told_ && next != before && config_->by_ip()) hand_over_until_ = now + kHandOver;
    }
    has_changed_ = has_moved_ = false;
    if (settling_until_ <= now) settling_until_ = Instant::min();
    if (!config_->by_ip() || !own_carpnode())
        probe_at_ = kNever;
    else if (probe_at_ == kNever)
        probe_at_ = now + PoolPeers::kProbeInterval;
    const SetPool wanted{leader_, shares_.at_home(), settling_until_, hand_over_until_};
    if (told_ == wanted) return;
    told_ = wanted;
    out.emplace_back(wanted);
}

Instant Balancer::next_deadline() const {
    return std::min(probe_at_, settling_until_ == Instant::min() ? kNever : settling_until_);
}

std::optional<CarpnodeIndex> Balancer::take_probe(Instant now) {
    if (now < probe_at_) return std::nullopt;
    probe_at_ = now + PoolPeers::kProbeInterval;
    return own_carpnode();
}

const IpAddress& Balancer::probe_destination() const {
    return std::find_if(addresses_.begin(), addresses_.end(),
                        [this](const InterfaceAddress& a) { return a.address.family() == family_; })
        ->address;
}

std::optional<CarpnodeIndex> Balancer::own_carpnode() const {
    for (CarpnodeIndex k = 0; k < config_->carpnodes.size(); ++k)
        if (seats_[k].is_taken && seats_[k].is_self) return k;
    return std::nullopt;
}

// Hosts without an address of their own all send from the pool's (rule W7 of carp.md), and can't be told
// apart.
bool Balancer::is_known_by_address(const Seat& seat) const {
    return !has_address(*seat.source);
}

bool Balancer::same_host(const Seat& a, const Seat& b) const {
    return a.is_taken && b.is_taken && a.is_self == b.is_self && (a.is_self || a.source == b.source);
}

CarpnodeSet Balancer::at_home() const {
    CarpnodeSet away = 0;
    const std::size_t count = config_->carpnodes.size();
    for (std::size_t k = 0; k < count; ++k) {
        const Seat& seat = seats_[k];
        if (!seat.is_taken || !is_known_by_address(seat)) continue;
        for (std::size_t other = 0; other < count; ++other)
            if (same_host(seat, seats_[other]) && seats_[other].standing.advskew < seat.standing.advskew)
                away |= CarpnodeSet{1} << k;
    }
    return all_carpnodes(count) & ~away;
}

// ---- views

bool Balancer::has_address(const IpAddress& address) const {
    return std::any_of(addresses_.begin(), addresses_.end(),
                       [&](const InterfaceAddress& a) { return a.address == address; });
}

Balancer::Holder Balancer::holder_of(CarpnodeIndex carpnode) const {
    const Seat& seat = seats_[carpnode];
    if (!seat.is_taken) return {};
    return {seat.is_self, seat.is_self ? std::nullopt : seat.source, seat.standing.advskew.value};
}

}  // namespace carpd
