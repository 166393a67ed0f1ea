#include "sync/host.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "sync/encoded.h"
#include "sync/merge.h"

namespace carpd {

namespace {

using std::chrono::seconds;

// A host that has heard nobody for so many `dead-after` is alone.
constexpr int kAloneAfter = 3;
// Flows that end during a dump and are remembered.
constexpr std::size_t kMostEnded = 1u << 16;
constexpr std::uint32_t kRefreshedBy = 5;  // seconds (W10), more than a kernel takes to make our changes

// An event that tells the whole identity, and all of the state.
bool tells_all(const FlowEvent& event) {
    return event.kind == FlowEvent::Kind::created || event.kind == FlowEvent::Kind::listed;
}

}  // namespace

std::string_view to_string(SyncIncomplete reason) {
    constexpr std::array<std::string_view, 5> kNames = {"no", "starting", "overrun", "receiving", "differs"};
    return kNames[static_cast<std::size_t>(reason)];
}

std::string_view to_string(FlowChangeFailure reason) {
    constexpr std::array<std::string_view, kFlowChangeFailures> kNames = {"full", "unsupported", "invalid",
                                                                          "clash", "other"};
    return kNames[static_cast<std::size_t>(reason)];
}

SyncHost::SyncHost(Instant now, SyncHostConfig config, const SyncKeys& keys, std::size_t peers,
                   const Channel::FillRandom& fill_random)
    : config_(std::move(config)),
      keys_(keys),
      fill_random_(fill_random),
      started_(now),
      own_(config_.max_flows, config_.table_key),
      second_at_(now + seconds(1)) {
    while (peers_.size() < peers) add_peer(now);
}

std::size_t SyncHost::add_peer(Instant now) {
    peers_.push_back(std::make_unique<Peer>(
        Peer{SyncSession(now, config_.channel, keys_, fill_random_, own_, config_.table_key)}));
    peers_.back()->session.outbox().set_hurry(hurry_);
    return peers_.size() - 1;
}

// Its outbox doesn't run, so that it holds no slot.
bool SyncHost::can_remove_peer(std::size_t peer) const {
    const Peer& p = *peers_[peer];
    return !p.session.outbox().is_running() && p.chore == Chore::none && p.sweep == Sweep::none;
}

void SyncHost::remove_peer(std::size_t peer) {
    CARPD_ASSERT(can_remove_peer(peer));
    peers_.erase(peers_.begin() + static_cast<std::ptrdiff_t>(peer));
}

void SyncHost::set_keys(Instant now, const SyncKeys& keys) {
    keys_ = keys;
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        peers_[i]->session.channel().set_keys(now, keys);
        if (peers_[i]->session.watch(now)) on_session_end(now, i);
    }
}

// ---- what we own

void SyncHost::tell(Instant now, Slot slot) {
    for (const auto& peer : peers_) peer->session.outbox().changed(now, slot);
}

bool SyncHost::own_flow(Instant now, Bytes identity, Bytes state) {
    const auto slot = own_.insert(identity, state);
    if (!slot) return false;
    shown_by_[*slot] = dump_;
    tell(now, *slot);
    return true;
}

void SyncHost::disown(Instant now, Slot slot) {
    own_.erase(slot, static_cast<std::uint32_t>(peers_.size()));
    for (const auto& peer : peers_) peer->session.outbox().ended(now, slot);
}

void SyncHost::set_own_state(Instant now, Slot slot, const FlowState& state) {
    const Encoded bytes(state);
    if (std::ranges::equal(own_.state(slot), bytes.view())) return;
    own_.set_state(slot, bytes.view());
    tell(now, slot);
}

// ---- the kernel

void SyncHost::on_event(Instant now, const FlowEvent& event) {
    const Encoded identity(event.flow.identity);
    const auto slot = own_.find_name(identity.view());
    if (event.kind == FlowEvent::Kind::ended) return on_end(now, identity.view(), slot);
    if (event.kind == FlowEvent::Kind::listed && is_outdated(identity.view(), slot)) return;
    if (!slot) return claim(now, event, identity.view(), false);
    const FlowIdentity held = identity_of(own_.identity(*slot));
    if (tells_all(event) ? held == event.flow.identity : held.reply == event.flow.identity.reply)
        return renew(now, *slot, event);
    // Its end was missed; or it has another master or helper in our kernel than with the one who told it.
    disown(now, *slot);
    claim(now, event, identity.view(), held.reply == event.flow.identity.reply);
}

void SyncHost::on_end(Instant now, Bytes identity, std::optional<Slot> slot) {
    if (dumping_) {
        if (ended_meanwhile_.size() < kMostEnded)
            ended_meanwhile_.insert(own_.name_hash(identity));
        else
            dump_wanted_ = true;  // what this one shows in error, the next one doesn't
    }
    if (slot)
        disown(now, *slot);
    else if (const auto held = holder(identity))
        on_foreign_end(now, *held);
}

// The kernel makes a piece of a dump when the piece before is read: what an event said since is newer.
bool SyncHost::is_outdated(Bytes identity, std::optional<Slot> slot) const {
    return slot ? shown_by_.get(*slot) == dump_ : ended_meanwhile_.contains(own_.name_hash(identity));
}

// Somebody removed it here. The next round of rule T1 writes it again, but not an expectation: its time is
// over, or its flow began (T4).
void SyncHost::on_foreign_end(Instant now, const Held& held) {
    ++counters_.foreign_ended;
    const std::uint32_t note = is_expectation(held.table->identity(held.slot)) ? kOver : second(now);
    if (written_until(held) > 0) peers_[held.peer]->session.inbox().set_note(*held.table, held.slot, note);
}

// A dump tells of every flow another time that it has left; that alone is no news, but of an expectation,
// whose time nothing refreshes (T4).
void SyncHost::renew(Instant now, Slot slot, const FlowEvent& event) {
    shown_by_[slot] = dump_;
    FlowState state = state_of(own_.state(slot));
    const std::uint32_t timeout = state.timeout;
    if (tells_all(event))
        state = event.flow.state;
    else
        update(state, event);
    if (event.kind == FlowEvent::Kind::listed && !event.flow.identity.is_expectation()) {
        FlowState as_before = state;
        as_before.timeout = timeout;
        if (as_before == state_of(own_.state(slot))) return;
    }
    set_own_state(now, slot, state);
}

// W1. What is merely listed may be a copy that a peer, or we in an earlier life, made: it is ours if the
// traffic is (W6, W10).
void SyncHost::claim(Instant now, const FlowEvent& event, Bytes identity, bool was_ours) {
    const auto held = holder(identity);
    const bool listed = event.kind == FlowEvent::Kind::listed;
    if (listed && !was_ours && !(master_ && (!held || passes_here(now, *held, event)))) return;
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
    if (!held && !was_ours && !tells(flow)) {
        ++counters_.not_told;
        return;
    }
    if (own_flow(now, Encoded(flow.identity).view(), Encoded(flow.state).view()) && held) ++counters_.claimed;
}

// W9
bool SyncHost::tells(const Flow& flow) const {
    if (!flow.identity.is_expectation()) return config_.tells(flow);
    FlowIdentity master;
    master.original = *flow.identity.master;
    master.reply = master.original.inverse();
    master.zone = flow.identity.zone;
    return own_.find_name(Encoded(master).view()).has_value();
}

// W10: what we wrote would end earlier.
bool SyncHost::passes_here(Instant now, const Held& held, const FlowEvent& event) const {
    const std::uint32_t until = written_until(held);
    return until > 0 &&
           second(now) + std::min(event.flow.state.timeout, kLongestTimeout) > until + kRefreshedBy;
}

void SyncHost::on_lost_events(Instant now, std::uint64_t count) {
    counters_.lost_events += count;
    if (!std::exchange(overrun_, true)) hurry_statuses(now);
    dump_wanted_ = true;
    lost_meanwhile_ = dumping_;
}

// Whatever was taken over is to be found in it.
bool SyncHost::wants_dump() const {
    return dump_wanted_ && !listed_ && changes().empty() &&
           std::ranges::none_of(peers_, [](const auto& peer) { return peer->sweep == Sweep::take_over; });
}

// What the one before didn't list, if that isn't worked out yet, this one won't either.
void SyncHost::begin_dump(Instant) {
    ++dump_;
    dumping_ = true;
    dump_wanted_ = lost_meanwhile_ = listed_ = false;
    ended_meanwhile_.clear();
}

void SyncHost::end_dump(Instant now) {
    CARPD_ASSERT(dumping_ && !listed_);
    listed_ = true;
    unlisted_next_ = 0;
    drop_unlisted(now);
}

void SyncHost::change_failed(Instant now, const FlowChange& change, FlowChangeFailure reason) {
    ++counters_.failed[static_cast<std::size_t>(reason)];
    if (change.kind == FlowChange::Kind::remove) return;
    const auto held = holder(Encoded(change.flow.identity).view());
    const std::uint32_t note = change.flow.identity.is_expectation() ? 0 : second(now);
    if (held) peers_[held->peer]->session.inbox().set_note(*held->table, held->slot, note);
}

void SyncHost::changes_done(std::size_t count) {
    CARPD_ASSERT(count <= changes().size());
    done_ += count;
    if (done_ < changes_.size() && done_ < kMostChanges) return;
    changes_.erase(changes_.begin(), changes_.begin() + static_cast<std::ptrdiff_t>(done_));
    done_ = 0;
}

// ---- CARP

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
    if (!master) {
        for (const auto& peer : peers_)
            if (peer->chore == Chore::commit) peer->chore = Chore::none;
        return;
    }
    take_over(now);
    dump_wanted_ = true;
    for (std::size_t peer = 0; peer < peers_.size(); ++peer) {
        if (peers_[peer]->chore == Chore::flush) end_flush(now, *peers_[peer]);
        if (config_.commit_at_takeover) start_chore(peer, Chore::commit);
        const auto& said = peers_[peer]->session.said();
        if (!said || !said->master) start_sweep(peer, Sweep::take_over);
    }
}

void SyncHost::take_over(Instant now) {
    raise_term(now);
    took_over_at_ = now;
    looks_ = 0;
}

bool SyncHost::is_committed() const {
    return changes().empty() &&
           std::ranges::none_of(peers_, [](const auto& peer) { return peer->chore == Chore::commit; });
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
        const bool has_leftovers = peer->session.inbox().previous() && may_drop_leftovers(*peer);
        if (!peer->session.says_complete() || has_leftovers) return SyncIncomplete::receiving;
        alone = false;
        differs |= peer->session.differing_buckets() > 0 || peer->chore == Chore::flush;
    }
    if (differs) return SyncIncomplete::differs;
    const bool early = now - started_ < kAloneAfter * config_.channel.dead_after;
    return alone && early && (config_.finds_peers || !peers_.empty()) ? SyncIncomplete::starting
                                                                      : SyncIncomplete::no;
}

// ---- what an operator wishes

void SyncHost::resync(Instant now) {
    dump_wanted_ = true;
    for (std::size_t peer = 0; peer < peers_.size(); ++peer) {
        if (!peers_[peer]->session.is_up()) continue;
        peers_[peer]->session.ask_all(now, false);
        start_chore(peer, Chore::rewrite);
    }
}

bool SyncHost::flush(Instant) {
    if (master_) return false;
    for (std::size_t peer = 0; peer < peers_.size(); ++peer) start_chore(peer, Chore::flush);
    return true;
}

// ---- what leaves

SyncStatus SyncHost::status() const {
    return {.master = master_,
            .complete = known_,
            .overrun = overrun_,
            .leaving = leaving_,
            .defers = config_.defers,
            .term = term_,
            .owned = own_.size(),
            .lost_events = counters_.lost_events};
}

void SyncHost::set_hurry(bool hurry) {
    hurry_ = hurry;
    for (const auto& peer : peers_) peer->session.outbox().set_hurry(hurry);
}

SyncTold SyncHost::told(const FlowIdentity& flow) const {
    const auto slot = own_.find_name(Encoded(flow).view());
    SyncTold result = SyncTold::no;
    for (std::size_t i = 0; slot && i < peers_.size(); ++i) {
        const SyncSession& session = peers_[i]->session;
        if (!session.is_up()) continue;
        if (session.outbox().is_known(*slot)) return SyncTold::acknowledged;
        result = SyncTold::waits;
    }
    return result;
}

void SyncHost::hurry_statuses(Instant now) {
    for (const auto& peer : peers_)
        if (peer->session.is_up()) peer->session.hurry_status(now);
}

std::size_t SyncHost::poll_transmit(Instant now, std::size_t peer, const HostFacts& facts,
                                    std::span<std::uint8_t> out) {
    return peers_[peer]->session.transmit(now, status(), facts, out);
}

// ---- time

void SyncHost::on_timer(Instant now) {
    if (second_at_ <= now) each_second(now);
    if (listed_) drop_unlisted(now);
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        peers_[i]->session.on_timer(now);
        if (peers_[i]->session.watch(now)) on_session_end(now, i);
        if (has_room() && has_work(*peers_[i])) work(now, i);
    }
}

Instant SyncHost::next_deadline() const {
    Instant next = listed_ ? Instant::min() : second_at_;
    for (const auto& peer : peers_) {
        if (has_room() && has_work(*peer)) return Instant::min();
        next = std::min(next, peer->session.next_deadline());
    }
    return next;
}

}  // namespace carpd
