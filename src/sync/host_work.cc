// What SyncHost does in slices, since it concerns every flow of a peer.
#include <algorithm>

#include "sync/host.h"

namespace carpd {

namespace {

// Slots that one call looks at, of each peer, so that no call takes long.
constexpr Slot kAtOnce = 2048;
// T1
constexpr Slot kRefreshParts = 16;
constexpr std::uint32_t kRefreshBelow = 40;  // seconds

}  // namespace

// To take over is to insist, too.
void SyncHost::start_sweep(std::size_t peer, Sweep sweep) {
    peers_[peer]->sweep = std::max(peers_[peer]->sweep, sweep);
    peers_[peer]->sweep_previous = peers_[peer]->sweep_table = 0;
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

void SyncHost::start_refresh(Instant now) {
    for (const auto& peer : peers_)
        if (peer->session.is_up() && peer->refresh_next >= peer->session.inbox().table().end())
            peer->refresh_next = refresh_part_;
    refresh_part_ = (refresh_part_ + 1) % kRefreshParts;
    refresh_at_ = now + std::chrono::seconds(1);
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
