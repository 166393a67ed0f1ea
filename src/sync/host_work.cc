// What SyncHost does in slices, since it concerns every flow of a peer.
#include <algorithm>

#include "sync/encoded.h"
#include "sync/host.h"

namespace carpd {

namespace {

// Slots that one call looks at, of each peer, so that no call takes long.
constexpr Slot kAtOnce = 2048;
// T1
constexpr Slot kRefreshParts = 16;
constexpr std::uint32_t kRefreshBelow = 40;    // seconds
constexpr std::uint32_t kReplacedAfter = 300;  // seconds (T3)

}  // namespace

bool SyncHost::has_work(const Peer& peer) const {
    const Inbox& inbox = peer.session.inbox();
    return peer.chore != Chore::none || peer.sweep != Sweep::none ||
           peer.refresh_next < inbox.table().end() || (inbox.previous() && may_drop_leftovers(peer));
}

void SyncHost::work(Instant now, std::size_t peer) {
    Peer& p = *peers_[peer];
    refresh(now, peer);
    if (p.chore != Chore::none)
        run_chore(now, peer);
    else if (p.sweep != Sweep::none)
        run_sweep(now, peer);
    else if (may_drop_leftovers(p))
        drop_leftovers(now, p);
}

// W7
void SyncHost::drop_unlisted(Instant now) {
    for (Slot i = 0; i < kAtOnce && unlisted_next_ < own_.end(); ++i, ++unlisted_next_) {
        if (!own_.holds(unlisted_next_) || shown_by_.get(unlisted_next_) == dump_) continue;
        disown(now, unlisted_next_);
        ++counters_.swept;
    }
    if (unlisted_next_ < own_.end()) return;
    listed_ = dumping_ = false;
    ended_meanwhile_ = {};
    known_ = true;
    overrun_ = lost_meanwhile_;
    hurry_statuses(now);
    for (const auto& peer : peers_)
        if (peer->session.is_up()) peer->session.hurry_digests(now);
}

// One slice. True: that was the last one.
template <class Use>
bool SyncHost::walk_slice(std::size_t peer, Walk& at, Use use) const {
    const Inbox& inbox = peers_[peer]->session.inbox();
    Slot budget = kAtOnce;
    const auto walk_table = [&](const FlowTable* table, Slot& next) {
        for (; table && next < table->end() && budget > 0; ++next, --budget)
            if (table->holds(next)) use(Held{peer, table, next});
        return budget > 0;
    };
    return walk_table(inbox.previous(), at.previous) && walk_table(&inbox.table(), at.table);
}

// ---- in our kernel

// To flush is to have it all anew, and to commit is done by who is MASTER.
void SyncHost::start_chore(std::size_t peer, Chore chore) {
    peers_[peer]->chore = std::max(peers_[peer]->chore, chore);
    peers_[peer]->chore_at = {};
}

void SyncHost::run_chore(Instant now, std::size_t peer) {
    Peer& p = *peers_[peer];
    if (p.chore == Chore::flush) {
        if (flush_flows(now, p)) end_flush(now, p);
        return;
    }
    const bool is_done = walk_slice(peer, p.chore_at, [&](const Held& held) {
        if (own_.find_name(held.table->identity(held.slot)) || !is_held_highest(held)) return;
        p.chore == Chore::commit ? commit_flow(now, held) : rewrite_flow(now, held);
    });
    if (is_done) p.chore = Chore::none;
}

void SyncHost::rewrite_flow(Instant now, const Held& held) {
    const bool is_told = held.table == &peers_[held.peer]->session.inbox().table();
    if (is_told && belongs_in_kernel(held) && !has_ended(now, held))
        write(now, held, FlowChange::Kind::update);
}

// C1
void SyncHost::commit_flow(Instant now, const Held& held) {
    if (written_until(held) == 0 && !has_ended(now, held))
        write(now, held, FlowChange::Kind::create, age(now, held));
}

// C2: by the time that went by since its owner was heard, if it isn't in our kernel, which would know; T4:
// our kernel did.
bool SyncHost::has_ended(Instant now, const Held& held) const {
    const std::uint32_t until = written_until(held);
    return until == kOver || (until == 0 && lifetime(held) <= age(now, held));
}

// Seconds since the session ended in which it was told.
std::uint32_t SyncHost::age(Instant now, const Held& held) const {
    const Peer& peer = *peers_[held.peer];
    return held.table == peer.session.inbox().previous() ? second(now) - peer.ended_in : 0;
}

bool SyncHost::flush_flows(Instant now, Peer& peer) {
    Inbox& inbox = peer.session.inbox();
    for (Slot i = 0; i < kAtOnce; ++i) {
        auto change = inbox.next_leftover();
        if (!change) {
            if (peer.chore_at.table >= inbox.table().end()) return true;
            change = inbox.forget(peer.chore_at.table++);
        }
        if (!change->gone.empty()) on_dropped(now, change->gone, change->gone_note);
    }
    return false;
}

void SyncHost::end_flush(Instant now, Peer& peer) {
    peer.chore = Chore::none;
    if (peer.session.is_up()) peer.session.ask_all(now, true);
}

// ---- who owns it

// To take over is to insist, too.
void SyncHost::start_sweep(std::size_t peer, Sweep sweep) {
    peers_[peer]->sweep = std::max(peers_[peer]->sweep, sweep);
    peers_[peer]->sweep_at = {};
}

void SyncHost::run_sweep(Instant now, std::size_t peer) {
    Peer& p = *peers_[peer];
    if (!walk_slice(peer, p.sweep_at, [&](const Held& held) { sweep_flow(now, held); })) return;
    if (p.sweep == Sweep::take_over) dump_wanted_ = true;
    p.sweep = Sweep::none;
}

// W3, W2: what both have is told again, so that the peer gives it up.
void SyncHost::sweep_flow(Instant now, const Held& held) {
    Peer& peer = *peers_[held.peer];
    const Bytes identity = held.table->identity(held.slot);
    if (const auto ours = own_.find_name(identity))
        peer.session.outbox().changed(now, *ours);
    else if (peer.sweep == Sweep::take_over && !has_ended(now, held) &&
             own_flow(now, identity, held.table->state(held.slot)))
        ++counters_.taken_over;
}

// B1, T3. While nobody is MASTER they stay: a host that was, and was started anew meanwhile, owns nothing of
// what its kernel still has.
bool SyncHost::may_drop_leftovers(const Peer& peer) const {
    if (!peer.session.said()) return peer.is_replaced;
    return peer.session.says_complete() && (master_ || std::ranges::any_of(peers_, [](const auto& other) {
                                                return other->session.says_complete() &&
                                                       other->session.said()->master;
                                            }));
}

// T3: who is MASTER has taken over what lives of it.
bool SyncHost::is_replaced(Instant now, const Peer& peer) const {
    const auto is_master = [](const auto& other) {
        const auto& said = other->session.said();
        return other->session.is_up() && said && said->master && other->session.heard_all();
    };
    return !master_ && !peer.session.is_up() && second(now) - peer.ended_in >= kReplacedAfter &&
           std::ranges::any_of(peers_, is_master);
}

void SyncHost::drop_leftovers(Instant now, Peer& peer) {
    for (Slot i = 0; i < kAtOnce; ++i) {
        const auto leftover = peer.session.inbox().next_leftover();
        if (!leftover) return;
        on_dropped(now, leftover->gone, leftover->gone_note);
    }
}

// ---- from time to time

void SyncHost::each_second(Instant now) {
    second_at_ = now + std::chrono::seconds(1);
    bool others_own = false;
    for (const auto& peer : peers_) {
        const FlowTable& table = peer->session.inbox().table();
        if (peer->session.is_up() && peer->refresh_next >= table.end()) peer->refresh_next = refresh_part_;
        peer->is_replaced = is_replaced(now, *peer);
        others_own |= table.size() > 0;
    }
    refresh_part_ = (refresh_part_ + 1) % kRefreshParts;
    if (looks_ == kLooks.size() || now < took_over_at_ + kLooks[looks_]) return;
    ++looks_;
    dump_wanted_ |= master_ && others_own;
}

// T1, T4; and W2, should what was told have come before the term that it hangs on.
void SyncHost::refresh(Instant now, std::size_t peer) {
    Peer& p = *peers_[peer];
    const FlowTable& table = p.session.inbox().table();
    for (Slot i = 0; i < kAtOnce && p.refresh_next < table.end(); ++i, p.refresh_next += kRefreshParts) {
        const Held held{peer, &table, p.refresh_next};
        if (!table.holds(held.slot)) continue;
        const Bytes identity = table.identity(held.slot);
        if (const auto ours = own_.find_name(identity)) {
            if (!outranks_us(peer)) p.session.outbox().changed(now, *ours);
            continue;
        }
        const std::uint32_t until = written_until(held);
        const bool is_due = is_expectation(identity) ? until == 0 : until < second(now) + kRefreshBelow;
        if (!is_due || !belongs_in_kernel(held) || !is_held_highest(held)) continue;
        write(now, held, FlowChange::Kind::update);
        ++counters_.refreshed;
    }
}

// ---- to look at

bool SyncHost::walk(FlowCursor& cursor, std::size_t most, const Visit& visit) const {
    const auto table_of = [&](std::size_t i) {
        const Inbox& inbox = peers_[(i - 1) / 2]->session.inbox();
        return i % 2 ? inbox.previous() : &inbox.table();
    };
    for (; cursor.table <= 2 * peers_.size(); cursor = {cursor.table + 1, 0}) {
        const FlowTable* const table = cursor.table == 0 ? &own_ : table_of(cursor.table);
        for (; table && cursor.next < table->end(); ++cursor.next, --most) {
            if (most == 0) return true;
            if (!table->holds(cursor.next)) continue;
            const Bytes identity = table->identity(cursor.next);
            std::optional<std::size_t> owner;
            if (table != &own_) {
                owner = (cursor.table - 1) / 2;
                if (own_.find_name(identity) || !is_held_highest({*owner, table, cursor.next})) continue;
            }
            visit({identity_of(identity), state_of(table->state(cursor.next))}, owner);
        }
    }
    return false;
}

}  // namespace carpd
