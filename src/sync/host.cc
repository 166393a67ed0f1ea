#include "sync/host.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/assert.h"
#include "sync/merge.h"

namespace carpd {

namespace {

using std::chrono::seconds;

// Slots that one call looks at, of each peer, so that no call takes long.
constexpr Slot kAtOnce = 2048;
// T1
constexpr Slot kRefreshParts = 16;
constexpr std::uint32_t kLeastTimeout = 60, kRefreshBelow = 40, kLongestTimeout = 1u << 30;
// A host that has heard nobody for so many `dead-after` is alone.
constexpr int kAloneAfter = 3;

FlowIdentity identity_of(Bytes bytes) {
    return decode_identity(bytes).value();
}
FlowState state_of(Bytes bytes) {
    return decode_state(bytes).value();
}

// An event that tells the whole identity, and all of the state.
bool tells_all(const FlowEvent& event) {
    return event.kind == FlowEvent::Kind::created || event.kind == FlowEvent::Kind::listed;
}

}  // namespace

struct SyncHost::Encoded {
    explicit Encoded(const FlowIdentity& identity) : size(encode(identity, bytes)) {}
    explicit Encoded(const FlowState& state) : size(encode(state, bytes)) {}
    Bytes view() const { return {bytes.data(), size}; }

    std::array<std::uint8_t, kLongestIdentity> bytes;
    std::size_t size;
};

bool is_worth_telling(const Flow& flow) {
    constexpr std::uint8_t kTcpProtocol = 6, kSynReceived = 2;
    if (flow.identity.original.protocol != kTcpProtocol) return true;
    if (flow.identity.master || !flow.identity.helper_name().empty() ||
        flow.state.labels != FlowState{}.labels)
        return true;
    const auto* const tcp = std::get_if<TcpState>(&flow.state.protocol);
    return tcp && tcp_progress(*tcp) >= kSynReceived;
}

std::string_view to_string(SyncIncomplete reason) {
    constexpr std::array<std::string_view, 5> kNames = {"no", "starting", "overrun", "receiving", "differs"};
    return kNames[static_cast<std::size_t>(reason)];
}

SyncHost::SyncHost(Instant now, SyncHostConfig config, const SyncKeys& keys, std::size_t peers,
                   const Channel::FillRandom& fill_random)
    : config_(std::move(config)),
      started_(now),
      own_(config_.max_flows, config_.table_key),
      refresh_at_(now + seconds(1)) {
    peers_.reserve(peers);
    for (std::size_t i = 0; i < peers; ++i)
        peers_.push_back(std::make_unique<Peer>(
            Peer{SyncSession(now, config_.channel, keys, fill_random, own_, config_.table_key)}));
}

// ---- what we own

void SyncHost::tell(Slot slot) {
    for (const auto& peer : peers_) peer->session.outbox().changed(slot);
}

bool SyncHost::own_flow(Bytes identity, Bytes state) {
    const auto slot = own_.insert(identity, state);
    if (!slot) return false;
    shown_by_[*slot] = dump_;
    tell(*slot);
    return true;
}

void SyncHost::disown(Slot slot) {
    own_.erase(slot, static_cast<std::uint32_t>(peers_.size()));
    for (const auto& peer : peers_) peer->session.outbox().ended(slot);
}

void SyncHost::set_own_state(Slot slot, const FlowState& state) {
    const Encoded bytes(state);
    if (std::ranges::equal(own_.state(slot), bytes.view())) return;
    own_.set_state(slot, bytes.view());
    tell(slot);
}

// ---- the kernel

void SyncHost::on_event(Instant, const FlowEvent& event) {
    const Encoded identity(event.flow.identity);
    const auto slot = own_.find_name(identity.view());
    if (event.kind == FlowEvent::Kind::ended) {
        if (slot)
            disown(*slot);
        else if (holder(identity.view()))
            ++counters_.foreign_ended;
        return;
    }
    if (!slot) return claim(event, identity.view());
    const FlowIdentity held = identity_of(own_.identity(*slot));
    if (tells_all(event) ? held == event.flow.identity : held.reply == event.flow.identity.reply)
        return renew(*slot, event);
    disown(*slot);  // and its end was missed
    claim(event, identity.view());
}

// A dump tells of every flow another time that it has left; that alone is no news.
void SyncHost::renew(Slot slot, const FlowEvent& event) {
    shown_by_[slot] = dump_;
    FlowState state = state_of(own_.state(slot));
    const std::uint32_t timeout = state.timeout;
    if (tells_all(event))
        state = event.flow.state;
    else
        update(state, event);
    if (event.kind == FlowEvent::Kind::listed) {
        FlowState as_before = state;
        as_before.timeout = timeout;
        if (as_before == state_of(own_.state(slot))) return;
    }
    set_own_state(slot, state);
}

// W1. What is merely listed may be a copy that a peer, or we in an earlier life, made: it is ours if no peer
// has it and the traffic is ours.
void SyncHost::claim(const FlowEvent& event, Bytes identity) {
    const auto held = holder(identity);
    const bool listed = event.kind == FlowEvent::Kind::listed;
    if (listed && (held || !master_)) return;
    Flow flow = event.flow;
    if (held && !tells_all(event)) {
        const FlowState known = state_of(held->table->state(held->slot));
        const FlowIdentity theirs = identity_of(held->table->identity(held->slot));
        if (theirs.reply == flow.identity.reply) {
            flow = {theirs, known};
            update(flow.state, event);
            flow.state = merge(flow.state, known);
        }
    }
    if (!held && !config_.tells(flow)) {
        ++counters_.not_told;
        return;
    }
    if (own_flow(Encoded(flow.identity).view(), Encoded(flow.state).view()) && held) ++counters_.claimed;
}

void SyncHost::on_lost_events(Instant now, std::uint64_t count) {
    counters_.lost_events += count;
    if (!std::exchange(overrun_, true)) hurry_statuses(now);
    dump_wanted_ = true;
    lost_meanwhile_ = dumping_;
}

// Whatever was taken over is to be found in it.
bool SyncHost::wants_dump() const {
    return dump_wanted_ && changes().empty() &&
           std::ranges::none_of(peers_, [](const auto& peer) { return peer->sweep == Sweep::take_over; });
}

void SyncHost::begin_dump(Instant) {
    ++dump_;
    dumping_ = true;
    dump_wanted_ = lost_meanwhile_ = false;
}

void SyncHost::end_dump(Instant now) {
    CARPD_ASSERT(dumping_);
    dumping_ = false;
    for (Slot slot = 0; slot < own_.end(); ++slot) {
        if (!own_.holds(slot) || shown_by_.get(slot) == dump_) continue;
        disown(slot);
        ++counters_.swept;
    }
    known_ = true;
    overrun_ = lost_meanwhile_;
    hurry_statuses(now);
    for (const auto& peer : peers_)
        if (peer->session.is_up()) peer->session.hurry_digests(now);
}

void SyncHost::change_failed(Instant now, const FlowChange& change, FlowChangeFailure reason) {
    ++counters_.failed[static_cast<std::size_t>(reason)];
    if (change.kind == FlowChange::Kind::remove) return;
    const auto held = holder(Encoded(change.flow.identity).view());
    if (held && held->table == &peers_[held->peer]->session.inbox().table())
        peers_[held->peer]->ends_at[held->slot] = second(now);
}

void SyncHost::changes_done(std::size_t count) {
    CARPD_ASSERT(count <= changes().size());
    done_ += count;
    if (done_ < changes_.size() && done_ < kMostChanges) return;
    changes_.erase(changes_.begin(), changes_.begin() + static_cast<std::ptrdiff_t>(done_));
    done_ = 0;
}

// ---- peers

std::optional<SyncDrop> SyncHost::receive(Instant now, std::size_t peer, std::span<std::uint8_t> datagram) {
    if (!has_room()) {
        ++counters_.no_room;
        return std::nullopt;
    }
    SyncSession& session = peers_[peer]->session;
    const auto received = session.channel().receive(now, datagram);
    if (session.watch(now)) on_session_end(peer);
    if (!received) return received.error();
    if (received->kind == SyncKind::hello) check_names(now, peer);
    Bytes body = received->body;
    while (const auto region = next_region(body)) on_region(now, peer, received->number, *region);
    return std::nullopt;
}

void SyncHost::on_session_end(std::size_t peer) {
    peers_[peer]->sweep = Sweep::none;
    peers_[peer]->ends_at = {};
    peers_[peer]->refresh_next = kMaxSlots;
    if (master_) start_sweep(peer, Sweep::take_over);
}

// K9
void SyncHost::check_names(Instant now, std::size_t peer) {
    const SyncHello* const ours = peers_[peer]->session.channel().peer();
    for (std::size_t other = 0; ours && other < peers_.size(); ++other) {
        const Channel& channel = peers_[other]->session.channel();
        if (other == peer || !channel.peer() || channel.peer()->name != ours->name) continue;
        const std::size_t later = channel.since() > peers_[peer]->session.channel().since() ? other : peer;
        ++counters_.same_peer;
        peers_[later]->session.channel().forget_peer(now);
        if (peers_[later]->session.watch(now)) on_session_end(later);
        return;
    }
}

void SyncHost::on_region(Instant now, std::size_t peer, PacketNumber number, const Region& region) {
    SyncSession& session = peers_[peer]->session;
    const auto read = [&](const auto& value, auto use) {
        if (value)
            use(*value);
        else
            ++counters_.bad_regions;
    };
    switch (region.kind) {
        case RegionKind::flows: return on_flows(now, peer, number, region.contents);
        case RegionKind::ack:
            return read(decode_ack(region.contents), [&](const SyncAck& ack) { session.on_ack(now, ack); });
        case RegionKind::status:
            return read(decode_status(region.contents),
                        [&](const SyncStatus& status) { on_status(now, peer, number, status); });
        case RegionKind::digests:
            return read(decode_digests(region.contents),
                        [&](const SyncDigests& digests) { session.on_digests(number, digests); });
        case RegionKind::ask:
            return read(decode_ask(region.contents), [&](const SyncAsk& ask) { session.on_ask(now, ask); });
    }
}

void SyncHost::on_flows(Instant now, std::size_t peer, PacketNumber number, Bytes records) {
    while (!records.empty()) {
        const auto record = take_record(records);
        if (!record) {
            ++counters_.bad_regions;
            return;
        }
        on_change(now, peer, number, peers_[peer]->session.on_record(number, *record));
    }
}

void SyncHost::on_change(Instant now, std::size_t peer, PacketNumber number, const Change& change) {
    if (!change.gone.empty()) on_dropped(now, change.gone);
    if (change.identity.empty()) return;
    const Held theirs{peer, &peers_[peer]->session.inbox().table(), change.slot};
    const bool is_news = change.kind != Change::Kind::nothing;
    if (const auto ours = own_.find_name(change.identity)) return meet(now, number, theirs, *ours, is_news);
    if (!is_news || holder(change.identity)->peer != peer) return;
    write(now, theirs,
          change.kind == Change::Kind::upsert ? FlowChange::Kind::create : FlowChange::Kind::update);
}

// W2, W5: a record of a flow that we own, too. Whoever gives it up takes the owner's word for its state.
void SyncHost::meet(Instant now, PacketNumber number, const Held& theirs, Slot ours, bool is_news) {
    SyncSession& session = peers_[theirs.peer]->session;
    if (outranks_us(theirs.peer)) {
        if (number < session.term_since()) return;
        ++counters_.given_up;
        disown(ours);
        return write(now, theirs, FlowChange::Kind::update);
    }
    if (!is_news) return;
    ++counters_.kept;
    session.outbox().changed(ours);
    if (!std::ranges::equal(own_.identity(ours), theirs.table->identity(theirs.slot))) return;
    const FlowState held = state_of(own_.state(ours));
    const FlowState merged = merge(held, state_of(theirs.table->state(theirs.slot)));
    if (merged == held) return;
    set_own_state(ours, merged);
    changes_.push_back({FlowChange::Kind::update, {identity_of(own_.identity(ours)), merged}});
}

// A peer doesn't own it any more. It goes unless somebody else does who is there.
void SyncHost::on_dropped(Instant now, Bytes identity) {
    if (own_.find_name(identity)) return;
    const auto held = holder(identity);
    if (held && peers_[held->peer]->session.is_up()) return write(now, *held, FlowChange::Kind::create);
    changes_.push_back({FlowChange::Kind::remove, {identity_of(identity), {}}});
}

// ---- who owns what

bool SyncHost::outranks(std::size_t a, std::size_t b) const {
    const auto rank = [&](std::size_t peer) {
        const SyncSession& session = peers_[peer]->session;
        const SyncHello* const hello = session.channel().peer();
        return std::tuple(session.said().has_value(), session.said() ? session.said()->term : 0,
                          hello ? hello->name : HostName());
    };
    const auto [a_said, a_term, a_name] = rank(a);
    const auto [b_said, b_term, b_name] = rank(b);
    if (a_said != b_said) return a_said;
    return a_term != b_term ? a_term > b_term : a_name.view() < b_name.view();
}

bool SyncHost::outranks_us(std::size_t peer) const {
    const SyncSession& session = peers_[peer]->session;
    if (!session.said() || !session.channel().peer()) return false;
    const std::uint64_t term = session.said()->term;
    return term != term_ ? term > term_ : session.channel().peer()->name.view() < config_.channel.name.view();
}

// The highest of those who have it; of one who has it twice, what it said in this session.
std::optional<SyncHost::Held> SyncHost::holder(Bytes identity) const {
    std::optional<Held> best;
    for (std::size_t peer = 0; peer < peers_.size(); ++peer) {
        const Inbox& inbox = peers_[peer]->session.inbox();
        for (const FlowTable* table : {&inbox.table(), inbox.previous()}) {
            const auto slot = table ? table->find_name(identity) : std::nullopt;
            if (!slot) continue;
            if (!best || outranks(peer, best->peer)) best = {peer, table, *slot};
            break;
        }
    }
    return best;
}

// T1
void SyncHost::write(Instant now, const Held& held, FlowChange::Kind kind) {
    FlowChange change{kind,
                      {identity_of(held.table->identity(held.slot)), state_of(held.table->state(held.slot))}};
    std::uint32_t& timeout = change.flow.state.timeout;
    timeout = std::max(timeout, kLeastTimeout);
    Peer& peer = *peers_[held.peer];
    if (held.table == &peer.session.inbox().table())
        peer.ends_at[held.slot] = second(now) + std::min(timeout, kLongestTimeout);
    changes_.push_back(std::move(change));
}

std::uint32_t SyncHost::second(Instant now) const {
    return static_cast<std::uint32_t>((now - started_) / seconds(1));
}

void SyncHost::on_status(Instant now, std::size_t peer, PacketNumber number, const SyncStatus& status) {
    SyncSession& session = peers_[peer]->session;
    const auto before = session.said();
    if (!session.on_status(number, status)) return;
    highest_term_ = std::max(highest_term_, status.term);
    if (master_ && !status.master && status.term >= term_) raise_term(now);
    if (master_ && before && before->master && !status.master)
        start_sweep(peer, Sweep::take_over);
    else if ((!before || before->term != status.term) && !outranks_us(peer))
        start_sweep(peer, Sweep::insist);
}

// W4
void SyncHost::raise_term(Instant now) {
    term_ = ++highest_term_;
    hurry_statuses(now);
    for (std::size_t peer = 0; peer < peers_.size(); ++peer)
        if (peers_[peer]->session.is_up()) start_sweep(peer, Sweep::insist);
}

void SyncHost::set_master(Instant now, bool master) {
    if (master == master_) return;
    master_ = master;
    hurry_statuses(now);
    if (!master) return;
    raise_term(now);
    dump_wanted_ = true;
    for (std::size_t peer = 0; peer < peers_.size(); ++peer) {
        const auto& said = peers_[peer]->session.said();
        if (!said || !said->master) start_sweep(peer, Sweep::take_over);
    }
}

void SyncHost::stop(Instant now) {
    leaving_ = true;
    master_ = false;
    hurry_statuses(now);
}

bool SyncHost::is_drained() const {
    return std::ranges::all_of(peers_, [](const auto& peer) {
        const Outbox& outbox = peer->session.outbox();
        return !peer->session.is_up() || (outbox.waiting() == 0 && outbox.datagrams_on_their_way() == 0);
    });
}

SyncIncomplete SyncHost::incomplete(Instant now) const {
    if (!known_) return SyncIncomplete::starting;
    if (overrun_) return SyncIncomplete::overrun;
    bool alone = true, differs = false;
    for (const auto& peer : peers_) {
        if (!peer->session.is_up()) continue;
        if (!peer->session.heard_all()) return SyncIncomplete::receiving;
        alone = false;
        differs |= peer->session.differing_buckets() > 0;
    }
    if (differs) return SyncIncomplete::differs;
    const bool early = now - started_ < kAloneAfter * config_.channel.dead_after;
    return alone && early && !peers_.empty() ? SyncIncomplete::starting : SyncIncomplete::no;
}

// ---- what leaves

SyncStatus SyncHost::status() const {
    return {.master = master_,
            .complete = known_,
            .overrun = overrun_,
            .leaving = leaving_,
            .term = term_,
            .owned = own_.size(),
            .lost_events = counters_.lost_events};
}

void SyncHost::hurry_statuses(Instant now) {
    for (const auto& peer : peers_)
        if (peer->session.is_up()) peer->session.hurry_status(now);
}

std::size_t SyncHost::poll_transmit(Instant now, std::size_t peer, const HostFacts& facts,
                                    std::span<std::uint8_t> out) {
    return peers_[peer]->session.transmit(now, status(), facts, out);
}

// ---- time, and what takes more than one call

// To take over is to insist, too.
void SyncHost::start_sweep(std::size_t peer, Sweep sweep) {
    peers_[peer]->sweep = std::max(peers_[peer]->sweep, sweep);
    peers_[peer]->sweep_previous = peers_[peer]->sweep_table = 0;
}

void SyncHost::on_timer(Instant now) {
    if (refresh_at_ <= now) {
        for (const auto& peer : peers_)
            if (peer->session.is_up() && peer->refresh_next >= peer->session.inbox().table().end())
                peer->refresh_next = refresh_part_;
        refresh_part_ = (refresh_part_ + 1) % kRefreshParts;
        refresh_at_ = now + seconds(1);
    }
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        peers_[i]->session.on_timer(now);
        if (peers_[i]->session.watch(now)) on_session_end(i);
        if (has_room() && has_work(*peers_[i])) work(now, i);
    }
}

Instant SyncHost::next_deadline() const {
    Instant next = refresh_at_;
    for (const auto& peer : peers_) {
        if (has_room() && has_work(*peer)) return Instant::min();
        next = std::min(next, peer->session.next_deadline());
    }
    return next;
}

bool SyncHost::has_work(const Peer& peer) const {
    const Inbox& inbox = peer.session.inbox();
    return peer.sweep != Sweep::none || peer.refresh_next < inbox.table().end() ||
           (inbox.previous() && peer.session.said() && peer.session.said()->complete);
}

void SyncHost::work(Instant now, std::size_t peer) {
    Peer& p = *peers_[peer];
    refresh(now, peer);
    if (p.sweep != Sweep::none)
        run_sweep(peer);
    else if (p.session.said() && p.session.said()->complete)
        drop_leftovers(now, p);
}

void SyncHost::run_sweep(std::size_t peer) {
    Peer& p = *peers_[peer];
    const Inbox& inbox = p.session.inbox();
    Slot budget = kAtOnce;
    const auto walk = [&](const FlowTable* table, Slot& next) {
        for (; table && next < table->end() && budget > 0; ++next, --budget)
            if (table->holds(next)) sweep_flow({peer, table, next});
        return budget > 0;
    };
    if (!walk(inbox.previous(), p.sweep_previous) || !walk(&inbox.table(), p.sweep_table)) return;
    if (p.sweep == Sweep::take_over) dump_wanted_ = true;
    p.sweep = Sweep::none;
}

// W3, W2: what both have is told again, so that the peer gives it up.
void SyncHost::sweep_flow(const Held& held) {
    Peer& peer = *peers_[held.peer];
    const Bytes identity = held.table->identity(held.slot);
    if (const auto ours = own_.find_name(identity))
        peer.session.outbox().changed(*ours);
    else if (peer.sweep == Sweep::take_over && own_flow(identity, held.table->state(held.slot)))
        ++counters_.taken_over;
}

// B1
void SyncHost::drop_leftovers(Instant now, Peer& peer) {
    for (Slot i = 0; i < kAtOnce; ++i) {
        const auto leftover = peer.session.inbox().next_leftover();
        if (!leftover) return;
        on_dropped(now, leftover->gone);
    }
}

// T1; and W2, should what was told have come before the term that it hangs on.
void SyncHost::refresh(Instant now, std::size_t peer) {
    Peer& p = *peers_[peer];
    const FlowTable& table = p.session.inbox().table();
    for (Slot i = 0; i < kAtOnce && p.refresh_next < table.end(); ++i, p.refresh_next += kRefreshParts) {
        const Held held{peer, &table, p.refresh_next};
        if (!table.holds(held.slot)) continue;
        const Bytes identity = table.identity(held.slot);
        if (const auto ours = own_.find_name(identity)) {
            if (!outranks_us(peer)) p.session.outbox().changed(*ours);
            continue;
        }
        if (p.ends_at.get(held.slot) >= second(now) + kRefreshBelow) continue;
        if (holder(identity)->peer != peer) continue;
        write(now, held, FlowChange::Kind::update);
        ++counters_.refreshed;
    }
}

}  // namespace carpd
