#include "sim/sync/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sim/sync/host.h"
#include "sim/sync/world.h"

namespace carpd::sim::sync {

namespace {

// docs/simulation.md says what these are.
constexpr Moment kLag = kSecond, kRoughLag = 8 * kSecond;  // from event to the peer's kernel
constexpr Moment kMeet = 3 * kSecond;           // for two hosts to find each other, with dead-after
constexpr Moment kSettle = 25 * kSecond;        // a round of rule T1 and W2, and a second one's begin
constexpr Moment kRefreshRound = 18 * kSecond;  // of rule T1
constexpr Moment kOverrun = 3 * kSecond;        // from a loss to the end of the dump
constexpr Moment kDumpsWait = 10 * kSecond;     // after a takeover
constexpr std::uint32_t kTight = 1000;          // max-flows below it may be too few
constexpr std::uint32_t kLongTimeout = 1000;

std::string text_of(const FlowTuple& tuple) {
    return fmt::format("{} {}:{} > {}:{}", tuple.protocol, tuple.source.to_string(), tuple.first,
                       tuple.destination.to_string(), tuple.second);
}

}  // namespace

Checks::Checks(World& world) : world_(world) {}

void Checks::broken(std::string_view checker, int owner, int host, const Entry& entry,
                    std::string_view what) {
    world_.broken(
        checker,
        fmt::format("connection {} ({}), known {} s, {} -> {}: {}", entry.connection,
                    text_of(entry.flow.identity.original),
                    entry.known == kNoMoment ? -1 : entry.known / kSecond,
                    owner < 0 ? "nobody" : world_.host(owner).name(), world_.host(host).name(), what),
        world_.traffic()[entry.connection].root);
}

void Checks::tell(int host, std::uint32_t connection, std::string_view what) {
    if (connection == 0 || !world_.is_told()) return;
    world_.tell(host, fmt::format("connection {} {}", connection, what), world_.traffic()[connection].root);
}

Checks::Record& Checks::record(std::uint32_t connection) {
    if (connection >= records_.size()) records_.resize(connection + 1);
    return records_[connection];
}

// ---- what disturbed whom

void Checks::hold_up(int host, Moment until) {
    standing(host).held_up = std::max(standing(host).held_up, until);
}

void Checks::impair(const Fault& fault) {
    const Moment now = world_.now();
    if (fault.kind == FaultKind::freeze || fault.kind == FaultKind::suspend ||
        fault.kind == FaultKind::slow_kernel)
        hold_up(fault.host, now);
    switch (fault.kind) {
        case FaultKind::duplication:
        case FaultKind::attack: return;
        case FaultKind::loss:
        case FaultKind::reordering:
        case FaultKind::delay: rough_ = now; break;
        case FaultKind::freeze:
        case FaultKind::suspend:
        case FaultKind::lost_events:
        case FaultKind::late_news: standing(fault.host).impaired = now; break;
        case FaultKind::slow_kernel: standing(fault.host).impaired = now; [[fallthrough]];
        case FaultKind::full_table:
        case FaultKind::flush: standing(fault.host).full = now; break;
        default: break;
    }
    disturbed_ = now;
}

void Checks::before_fault(const Fault& fault) {
    impair(fault);
    note_links();
}

void Checks::note_disturbances() {
    for (const Fault& fault : world_.plan().faults)
        if (const Fault* const active = world_.active(fault.kind, fault.host)) impair(*active);
    note_links();
}

void Checks::note_links() {
    for (int a = 0; a < world_.hosts(); ++a)
        for (int b = 0; b < world_.hosts(); ++b) {
            if (a == b) continue;
            Link& l = link(a, b);
            const bool is_up = world_.are_linked(a, b);
            if (world_.is_master(a) && world_.is_master(b)) contested_ = world_.now();
            if (is_up && !l.is_up) l.since = world_.now();
            if (is_up || l.is_up) l.until = world_.now();
            l.is_up = is_up;
        }
}

void Checks::on_start(int host) {
    standing(host).started = standing(host).held_up = world_.now();
    standing(host).told = kNoMoment;
    for (int other = 0; other < world_.hosts(); ++other)
        link(host, other).is_up = link(other, host).is_up = false;
    const auto others = static_cast<HostSet>(~(1u << host));
    for (Record& r : records_) r.ended &= others, r.written &= others;
}

void Checks::on_standing(int host, bool master) {
    moved_ = world_.now();
    for (int other = 0; other < world_.hosts(); ++other)
        if (other != host && world_.is_master(other)) contested_ = world_.now();
    standing(host).was_complete =
        master && world_.host(host).is_awake() && world_.host(host).incomplete() == SyncIncomplete::no;
}

void Checks::on_news(int host, bool master) {
    standing(host).told = master ? world_.now() : kNoMoment;
    if (master) hold_up(host, world_.now() + kDumpsWait);
}

bool Checks::settled_link(int a, int b) {
    const Link& l = link(a, b);
    const Moment now = world_.now();
    const Moment meet = kMeet + 3 * world_.plan().dead_after + (lag() > kLag ? kRoughLag : 0);
    return l.is_up && l.since + meet <= now && standing(a).impaired + meet <= now &&
           standing(b).impaired + meet <= now;
}

// The host has been linked with the peer for longer than the lag, which knows that it is MASTER, undisturbed,
// and says itself that it hears it.
bool Checks::hears(int host, int peer) {
    const Moment now = world_.now();
    if (settled_link(peer, host)) return true;
    const bool undisturbed = standing(host).impaired + kMeet <= now && standing(peer).impaired + kMeet <= now;
    const Moment told = standing(peer).told;
    const Link& l = link(peer, host);
    return l.is_up && l.since + lag() <= now && undisturbed && told != kNoMoment && told + lag() <= now &&
           world_.host(host).sync().session(static_cast<std::size_t>(peer < host ? peer : peer - 1)).is_up();
}

Moment Checks::lag() const {
    return world_.now() - rough_ < kRoughLag ? kRoughLag : kLag;
}

bool Checks::is_calm() const {
    return std::max(disturbed_, moved_) + kSettle + 3 * world_.plan().dead_after <= world_.now();
}

bool Checks::must_be_told(const Connection& c) const {
    return c.worth_telling && !c.ignored && !c.marred && world_.plan().max_flows >= kTight;
}

bool Checks::is_excused(const Connection& c, int host) {
    return !must_be_told(c) || standing(host).full + kRefreshRound > world_.now();
}

// ---- invented: nothing comes into a kernel that was never anywhere

std::uint32_t Checks::on_change(int host, const FlowChange& change) {
    const FlowIdentity& identity = change.flow.identity;
    if (change.kind == FlowChange::Kind::remove) {
        const Entry* const entry = world_.host(host).kernel().find(name_of(identity));
        const std::uint32_t id = entry ? entry->connection : 0;
        tell(host, id, "is to be removed");
        return id;
    }
    const std::uint32_t id = change.flow.state.mark >> Connection::kChanges;
    if (id == 0 || id >= world_.traffic().all().size()) {
        world_.broken("invented", fmt::format("{}: {} has mark {}", world_.host(host).name(),
                                              text_of(identity.original), change.flow.state.mark));
        return 0;
    }
    const Connection& c = world_.traffic().all()[id];
    const FlowIdentity& true_one = c.flow.identity;
    const bool same = identity.original == true_one.original && identity.reply == true_one.reply &&
                      identity.zone == true_one.zone &&
                      (identity.helper == true_one.helper || identity.helper_name().empty()) &&
                      (!identity.master || identity.master == true_one.master);
    if (change.kind != FlowChange::Kind::remove) record(id).written |= static_cast<HostSet>(1u << host);
    const bool right_state =
        change.flow.state.mark <= c.mark() &&
        std::holds_alternative<TcpState>(change.flow.state.protocol) == (c.kind == Connection::Kind::tcp);
    if (world_.is_told())
        tell(host, id,
             fmt::format("is to be written, mark {:#x}, for {} s", change.flow.state.mark,
                         change.flow.state.timeout));
    if (!same || !right_state)
        world_.broken(
            "invented",
            fmt::format("{}: {} of connection {} is {}", world_.host(host).name(), text_of(identity.original),
                        id, same ? "in a state that it never had" : "another one"),
            c.root);
    return id;
}

// ---- lost, long-lived: what is alive elsewhere doesn't go

void Checks::on_gone(int host, const Entry& entry, Gone gone) {
    if (entry.connection == 0) return;
    Connection& c = world_.traffic()[entry.connection];
    const int router = world_.router(c);
    constexpr std::string_view kWhy[] = {"ends",        "expires",    "is removed",
                                         "is replaced", "is evicted", "is flushed"};
    tell(host, c.id, kWhy[static_cast<std::size_t>(gone)]);
    if (gone == Gone::evicted || (gone == Gone::flushed && (router == host || router < 0))) c.marred = true;
    if (router == host) record(c.id).gone = world_.now();
    if (gone == Gone::expired) record(c.id).expired |= static_cast<HostSet>(1u << host);
    if (gone != Gone::removed && gone != Gone::expired) return;
    if (router < 0 || is_excused(c, host)) return;
    if (router == host) {
        const bool knows = standing(host).told != kNoMoment && standing(host).told + kLag <= world_.now() &&
                           standing(host).impaired + kMeet <= world_.now() && world_.host(host).hears_all() &&
                           moved_ + kMeet <= world_.now();
        if (gone == Gone::removed && knows && entry.touched > 0 && !c.over && entry.changed > contested_)
            broken("lost", router, host, entry, "its packets pass here, and it was removed");
        return;
    }
    // Of a flow that was injected without its master, or whose first event was missed, the next dump finds
    // that it is another one, and it is told again.
    if (gone == Gone::removed && (c.flow.identity.master || !c.flow.identity.helper_name().empty())) return;
    const Entry* const there = world_.host(router).kernel().find(name_of(c.flow.identity));
    if (!there || there->connection != c.id || there->known == kNoMoment || there->touched == 0) return;
    if (there->changed <= contested_) return;
    if (there->known + lag() > world_.now() || !settled_link(router, host)) return;
    broken(gone == Gone::removed ? "lost" : "long-lived", router, host, *there,
           gone == Gone::removed ? "removed though it is alive" : "expired though it is alive");
}

void Checks::on_known(int host, std::uint32_t connection, FlowEvent::Kind kind) {
    constexpr std::string_view kWhat[] = {"created is known", "changed is known", "ended is known",
                                          "listed is known"};
    tell(host, connection, kWhat[static_cast<std::size_t>(kind)]);
    Record& r = record(connection);
    if (!world_.traffic()[connection].worth_telling || r.host == host || standing(host).told == kNoMoment)
        return;
    r.host = host;
    r.known = world_.now();
}

void Checks::on_end_known(int host, std::uint32_t connection) {
    Record& r = record(connection);
    tell(host, connection, "ended is known");
    r.ended |= static_cast<HostSet>(1u << host);
    r.ended_at = world_.now();
}

// ---- survives: what the new MASTER must have, it has

void Checks::on_broken(const Connection& c, int host) {
    const Record& r = record(c.id);
    const Standing& s = standing(host);
    if (c.last_host < 0 || c.last_host == host || is_excused(c, host) || contains(r.expired, host))
        return world_.count(Tally::broken_otherwise);
    const Link& l = link(c.last_host, host);
    if (r.host != c.last_host) return world_.count(Tally::broken_young);
    const Moment since = std::max(r.known, l.since + kMeet + 3 * world_.plan().dead_after);
    if (since + lag() > l.until)
        return world_.count(r.known + lag() > l.until && l.since < r.known ? Tally::broken_young
                                                                           : Tally::broken_unlinked);
    if (!s.was_complete) return world_.count(Tally::broken_incomplete);
    const Moment impaired = std::max(standing(c.last_host).impaired, s.impaired);
    if (impaired + kMeet > since || moved_ > r.known) return world_.count(Tally::broken_otherwise);
    world_.broken("survives",
                  fmt::format("connection {} ({}), known to {} for {} ms before it left, isn't on {}", c.id,
                              text_of(c.flow.identity.original), world_.host(c.last_host).name(),
                              (l.until - since) / kMillisecond, world_.host(host).name()),
                  c.root);
}

// ---- bounded

void Checks::check_bounds(int h) {
    constexpr std::size_t kOfOneCall = 2048;
    const SyncHost& sync = world_.host(h).sync();
    const std::uint32_t most = world_.plan().max_flows;
    bool holds = sync.own().size() <= most && sync.own().end() <= most;
    std::size_t peers = 0;
    for (; peers + 1 < static_cast<std::size_t>(world_.hosts()); ++peers) {
        const Inbox& inbox = sync.session(peers).inbox();
        holds = holds && inbox.table().end() <= most &&
                (!inbox.previous() || inbox.previous()->end() <= most) &&
                sync.session(peers).outbox().waiting() <= most;
    }
    holds = holds && sync.changes().size() <= SyncHost::kMostChanges + 2 * kOfOneCall * peers;
    if (!holds)
        world_.broken("bounded", world_.host(h).name() + " holds more than max-flows or changes allow");
}

void Checks::after_wake(int host) {
    check_bounds(host);
}

// ---- honest, same, stale, owners

bool Checks::lacks(std::string_view checker, const Entry& entry, int owner, int host) {
    if (entry.known == kNoMoment || entry.known + lag() > world_.now()) return false;
    const Connection& c = world_.traffic()[entry.connection];
    if (is_excused(c, host) || world_.router(c) != owner || entry.changed <= contested_) return false;
    const Entry* const copy = world_.host(host).kernel().find(name_of(entry.flow.identity));
    if (copy && copy->flow.identity.reply == entry.flow.identity.reply) return false;
    broken(checker, owner, host, entry, copy ? "its copy is translated otherwise" : "isn't there");
    return true;
}

void Checks::check_honest(int owner, int host) {
    if (world_.host(host).incomplete() != SyncIncomplete::no) return;
    for (const auto& [name, entry] : world_.host(owner).kernel().entries())
        if (entry.touched > 0 && lacks("honest", entry, owner, host)) return;
}

void Checks::check_same(int owner, int host) {
    for (const auto& [name, entry] : world_.host(owner).kernel().entries()) {
        const Connection& c = world_.traffic()[entry.connection];
        if (world_.router(c) != owner || is_excused(c, host) || entry.changed <= contested_) continue;
        if (entry.known == kNoMoment && entry.changed + kSettle > world_.now()) continue;
        if (entry.known == kNoMoment) return broken("same", owner, host, entry, "the owner doesn't know it");
        if (lacks("same", entry, owner, host)) return;
        const Entry* const copy = world_.host(host).kernel().find(name);
        if (!copy || entry.known + lag() > world_.now()) continue;
        const FlowState &ours = entry.flow.state, &theirs = copy->flow.state;
        if (ours.protocol != theirs.protocol || ours.mark != theirs.mark || ours.labels != theirs.labels ||
            ours.status != theirs.status)
            return broken("same", owner, host, entry, "its copy is in another state");
    }
}

// What isn't with the one that routes it.
void Checks::check_stale(int, int host) {
    const Moment now = world_.now();
    for (const auto& [name, entry] : world_.host(host).kernel().entries()) {
        const Connection& c = world_.traffic()[entry.connection];
        const int router = world_.router(c);
        if (router < 0 || router == host) continue;
        const Entry* const there = world_.host(router).kernel().find(name);
        if (there && there->connection == c.id) continue;
        const Record& r = record(c.id);
        const bool told = world_.plan().max_flows >= kTight && contains(r.ended, router) &&
                          contains(r.written, host) && r.host == router &&
                          r.known > std::max(moved_, contested_);
        if (told && standing(host).started <= r.ended_at && r.ended_at + lag() <= now)
            return broken("stale", router, host, entry, "it ended, and is here");
        const bool by_time = entry.flow.state.timeout < kLongTimeout;
        const Moment longest = (90 + 60) * kSecond + kSettle;
        if (by_time && disturbed_ + longest <= now && moved_ + longest <= now &&
            std::max(r.gone, r.ended_at) + longest <= now)
            return broken("stale", router, host, entry, "its time is over, and it is here");
    }
}

void Checks::check_owners() {
    std::map<Name, int> owners;
    for (int h = 0; h < world_.hosts(); ++h) {
        if (!world_.host(h).is_awake()) continue;
        const FlowTable& own = world_.host(h).sync().own();
        for (Slot slot = 0; slot < own.end(); ++slot) {
            if (!own.holds(slot)) continue;
            Bytes bytes = own.identity(slot);
            const FlowIdentity identity = decode_identity(bytes).value();
            const auto [it, is_first] = owners.emplace(name_of(identity), h);
            if (!is_first)
                return world_.broken("one-owner",
                                     fmt::format("{} is owned by {} and {}", text_of(identity.original),
                                                 world_.host(it->second).name(), world_.host(h).name()));
        }
    }
}

// ---- overrun

void Checks::on_missed(int host) {
    hold_up(host, world_.now());
}

void Checks::check_overrun(int host) {
    if (world_.host(host).incomplete() != SyncIncomplete::overrun) return;
    if (standing(host).held_up + kOverrun > world_.now()) return;
    world_.broken("overrun", world_.host(host).name() + " lost events and reads its kernel's table no more");
}

// ---- from time to time

void Checks::on_tick() {
    note_disturbances();
    const bool calm = is_calm();
    const bool thorough = ++ticks_ % 10 == 0;
    for (int h = 0; h < world_.hosts(); ++h)
        if (world_.host(h).is_awake()) check_overrun(h);
    for (int a = 0; a < world_.hosts(); ++a)
        for (int b = 0; b < world_.hosts(); ++b) {
            if (a == b) continue;
            if (hears(b, a)) check_honest(a, b);
            if (!calm || !thorough || !settled_link(a, b)) continue;
            check_same(a, b);
            check_stale(a, b);
        }
    if (!calm || !thorough) return;
    check_owners();
    for (int h = 0; h < world_.hosts(); ++h) {
        if (!world_.host(h).is_awake()) continue;
        const SyncIncomplete reason = world_.host(h).incomplete();
        if (reason != SyncIncomplete::no && world_.plan().max_flows >= kTight)
            world_.broken("complete",
                          fmt::format("{} still says {}", world_.host(h).name(), to_string(reason)));
    }
}

}  // namespace carpd::sim::sync
