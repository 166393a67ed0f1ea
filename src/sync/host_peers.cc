// What peers say, and who owns a flow that more than one host knows.
#include <algorithm>
#include <tuple>
#include <utility>

#include "sync/encoded.h"
#include "sync/host.h"
#include "sync/merge.h"

namespace carpd {

std::optional<SyncDrop> SyncHost::receive(Instant now, std::size_t peer, std::span<std::uint8_t> datagram) {
    if (!has_room()) {
        ++counters_.no_room;
        return std::nullopt;
    }
    SyncSession& session = peers_[peer]->session;
    const auto received = session.channel().receive(now, datagram);
    if (session.watch(now)) on_session_end(now, peer);
    if (!received) return received.error();
    if (received->kind == SyncKind::hello) check_names(now, peer);
    Bytes body = received->body;
    while (const auto region = next_region(body)) on_region(now, peer, received->number, *region);
    return std::nullopt;
}

void SyncHost::on_session_end(Instant now, std::size_t peer) {
    Peer& p = *peers_[peer];
    if (p.chore == Chore::rewrite) p.chore = Chore::none;
    p.chore_at = {};
    p.sweep = Sweep::none;
    p.refresh_next = kMaxSlots;
    p.ended_in = second(now);
    p.is_replaced = false;
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
        if (peers_[later]->session.watch(now)) on_session_end(now, later);
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
    if (!change.gone.empty()) on_dropped(now, change.gone, change.gone_note);
    if (change.identity.empty()) return;
    const Held theirs{peer, &peers_[peer]->session.inbox().table(), change.slot};
    const bool is_news = change.kind != Change::Kind::nothing;
    if (const auto ours = own_.find_name(change.identity)) return meet(now, number, theirs, *ours, is_news);
    if (!is_news || !belongs_in_kernel(theirs) || holder(change.identity)->peer != peer) return;
    write(now, theirs,
          change.kind == Change::Kind::upsert ? FlowChange::Kind::create : FlowChange::Kind::update);
}

// W2, W5: a record of a flow that we own, too. Whoever gives it up takes the owner's word for its state.
void SyncHost::meet(Instant now, PacketNumber number, const Held& theirs, Slot ours, bool is_news) {
    SyncSession& session = peers_[theirs.peer]->session;
    if (outranks_us(theirs.peer)) {
        if (number < session.term_since()) return;
        ++counters_.given_up;
        disown(now, ours);
        return write(now, theirs, FlowChange::Kind::update);
    }
    if (!is_news) return;
    ++counters_.kept;
    session.outbox().changed(now, ours);
    if (!std::ranges::equal(own_.identity(ours), theirs.table->identity(theirs.slot))) return;
    const FlowState held = state_of(own_.state(ours));
    const FlowState merged = merge(held, state_of(theirs.table->state(theirs.slot)));
    if (merged == held) return;
    set_own_state(now, ours, merged);
    changes_.push_back({FlowChange::Kind::update, {identity_of(own_.identity(ours)), merged}});
}

// A peer doesn't own it any more. It goes unless somebody else owns it who is there; from our kernel, too, if
// we never wrote it, for an earlier life of this process may have (C1).
void SyncHost::on_dropped(Instant now, Bytes identity, std::uint32_t written_until) {
    if (own_.find_name(identity)) return;
    const auto held = holder(identity);
    if (!held || !peers_[held->peer]->session.is_up())
        return changes_.push_back({FlowChange::Kind::remove, {identity_of(identity), {}}});
    if (written_until > 0 || belongs_in_kernel(*held)) write(now, *held, FlowChange::Kind::create);
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

bool SyncHost::is_held_highest(const Held& held) const {
    const auto highest = holder(held.table->identity(held.slot));
    return highest->peer == held.peer && highest->table == held.table;
}

std::uint32_t SyncHost::written_until(const Held& held) const {
    return peers_[held.peer]->session.inbox().note(*held.table, held.slot);
}

// T1, T4
std::uint32_t SyncHost::lifetime(const Held& held) {
    const std::uint32_t told = state_of(held.table->state(held.slot)).timeout;
    return is_expectation(held.table->identity(held.slot)) ? told : std::max(told, kLeastTimeout);
}

// A flow of a session that has ended is as old as that.
void SyncHost::write(Instant now, const Held& held, FlowChange::Kind kind, std::uint32_t age) {
    FlowChange change{kind,
                      {identity_of(held.table->identity(held.slot)), state_of(held.table->state(held.slot))}};
    const std::uint32_t timeout = change.flow.state.timeout = lifetime(held) - age;
    peers_[held.peer]->session.inbox().set_note(*held.table, held.slot,
                                                second(now) + std::min(timeout, kLongestTimeout));
    changes_.push_back(std::move(change));
}

// From 1.
std::uint32_t SyncHost::second(Instant now) const {
    return static_cast<std::uint32_t>(1 + (now - started_) / std::chrono::seconds(1));
}

void SyncHost::on_status(Instant now, std::size_t peer, PacketNumber number, const SyncStatus& status) {
    SyncSession& session = peers_[peer]->session;
    const auto before = session.said();
    if (!session.on_status(number, status)) return;
    highest_term_ = std::max(highest_term_, status.term);
    if (master_ && !status.master && status.term >= term_) raise_term(now);
    const bool yielded = before && before->master;
    const bool told_all = status.complete && !(before && before->complete);
    if (master_ && !status.master && (yielded || told_all))
        start_sweep(peer, Sweep::take_over);
    else if ((!before || before->term != status.term) && !outranks_us(peer))
        start_sweep(peer, Sweep::insist);
}

}  // namespace carpd
