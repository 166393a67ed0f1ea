#include "sim/sync/world.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/sync/checks.h"
#include "sim/sync/host.h"

namespace carpd::sim::sync {

namespace {

constexpr Moment kTick = 100 * kMillisecond;

}  // namespace

World::World(const Plan& plan, const std::vector<int>* chosen, Teller teller)
    : plan_(plan),
      teller_(std::move(teller)),
      dice_(stream(plan.seed, 10)),
      standings_(plan.hosts.size(), std::vector<Standing>(plan.preference.size())),
      traffic_(*this) {
    for (const Fault& fault : plan.faults) {
        fault_dice_.emplace_back(stream(plan.seed, 100u + static_cast<unsigned>(fault.id)));
        chosen_.push_back(!chosen || std::find(chosen->begin(), chosen->end(), fault.id) != chosen->end());
    }
    checks_ = std::make_unique<Checks>(*this);
    for (int h = 0; h < hosts(); ++h) hosts_.push_back(std::make_unique<Host>(*this, h));
}

World::~World() = default;

Outcome World::run() {
    for (std::size_t i = 0; i < plan_.faults.size(); ++i) {
        if (!chosen_[i]) continue;
        schedule(plan_.faults[i].begin, EventKind::fault_begins, 0, static_cast<std::uint32_t>(i));
        schedule(plan_.faults[i].end, EventKind::fault_ends, 0, static_cast<std::uint32_t>(i));
    }
    for (const auto& host : hosts_) host->condition_changed();
    schedule(0, EventKind::tick, 0);
    schedule(0, EventKind::second, 0);
    schedule(2 * kSecond, EventKind::connection, 0);
    while (!outcome_.violation && !queue_.empty() && queue_.next() <= plan_.end) {
        const auto event = queue_.pop();
        now_ = event.at;
        ++outcome_.events;
        digest_.record(static_cast<std::uint64_t>(event.kind), event.host,
                       static_cast<std::uint64_t>(event.at));
        dispatch(event);
    }
    outcome_.digest = digest_.value();
    outcome_.virtual_time = now_;
    return outcome_;
}

void World::dispatch(const Schedule<EventKind>::Event& event) {
    Host& host = *hosts_[event.host];
    switch (event.kind) {
        case EventKind::fault_begins: return set_fault(event.what, true);
        case EventKind::fault_ends: return set_fault(event.what, false);
        case EventKind::strike: return strike(event.what);
        case EventKind::delivery: return deliver(event.what);
        case EventKind::wake: return host.wake();
        case EventKind::news: return host.hear(static_cast<News>(event.what));
        case EventKind::connection: return traffic_.begin_one();
        case EventKind::packet: return traffic_.pass(event.what);
        case EventKind::tick:
            schedule(now_ + kTick, EventKind::tick, 0);
            elect();
            return checks_->on_tick();
        case EventKind::second:
            schedule(now_ + kSecond, EventKind::second, 0);
            for (const auto& h : hosts_) h->end_of_second();
            return;
    }
}

void World::broken(std::string_view checker, std::string statement, std::uint32_t connection) {
    if (!outcome_.violation)
        outcome_.violation =
            Violation{std::string(checker), static_cast<int>(connection), std::move(statement), now_};
}

// ---- faults

const Fault* World::active(FaultKind kind, int host) const {
    for (const std::uint32_t place : active_)
        if (plan_.faults[place].kind == kind && plan_.faults[place].host == host) return &plan_.faults[place];
    return nullptr;
}

bool World::any_active(FaultKind kind) const {
    return std::any_of(active_.begin(), active_.end(),
                       [&](std::uint32_t place) { return plan_.faults[place].kind == kind; });
}

void World::set_fault(std::uint32_t place, bool begins) {
    const Fault& fault = plan_.faults[place];
    tell(-1, fmt::format("fault {} {} {}", fault.id, to_string(fault.kind), begins ? "begins" : "ends"));
    checks_->before_fault(fault);
    Host& host = *hosts_[static_cast<std::size_t>(fault.host)];
    if (begins && fault.kind == FaultKind::stop) host.stop();
    if (begins)
        active_.push_back(place);
    else
        active_.erase(std::find(active_.begin(), active_.end(), place));
    if (begins && fault.kind == FaultKind::attack) schedule(now_, EventKind::strike, 0, place);
    if (begins && fault.kind == FaultKind::flush) {
        host.kernel().flush();
        host.news_soon();
    }
    host.condition_changed();
    checks_->before_fault(fault);
    elect();
}

// What a stranger sends: something recorded, to whom it was for or to somebody else, as it was or damaged.
void World::strike(std::uint32_t place) {
    const Fault& fault = plan_.faults[place];
    if (std::find(active_.begin(), active_.end(), place) == active_.end()) return;
    Dice& dice = fault_dice_[place];
    schedule(now_ + dice.between(1, 2 * fault.span), EventKind::strike, 0, place);
    if (recorded_.empty()) return;
    Datagram datagram = recorded_[dice.below(recorded_.size())];
    if (dice.one_in(4)) datagram.to = static_cast<int>(dice.below(hosts_.size()));
    if (dice.one_in(4)) datagram.from = static_cast<int>(dice.below(hosts_.size()));
    if (datagram.from == datagram.to) datagram.from = (datagram.to + 1) % hosts();
    if (dice.one_in(4))
        datagram.bytes[dice.below(datagram.bytes.size())] ^= static_cast<std::uint8_t>(dice.between(1, 255));
    if (dice.one_in(10)) datagram.bytes.resize(dice.below(datagram.bytes.size()));
    put_on_wire(now_ + plan_.min_delay, datagram.from, datagram.to, std::move(datagram.bytes));
}

// ---- the link

void World::send(int from, int to, std::span<const std::uint8_t> bytes) {
    constexpr std::size_t kRecorded = 500;
    count(Tally::datagrams);
    std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
    if (recorded_.size() < kRecorded)
        recorded_.push_back({from, to, copy});
    else if (dice_.one_in(20))
        recorded_[dice_.below(kRecorded)] = {from, to, copy};
    std::int64_t delay = dice_.between(plan_.min_delay, plan_.max_delay);
    for (const std::uint32_t place : active_) {
        const Fault& fault = plan_.faults[place];
        Dice& dice = fault_dice_[place];
        const bool there = fault.host == from && fault.peer == to,
                   back = fault.host == to && fault.peer == from;
        switch (fault.kind) {
            case FaultKind::loss:
                if (dice.permille(fault.chance)) return;
                break;
            case FaultKind::one_way_cut:
                if (there) return;
                break;
            case FaultKind::cut:
                if (there || back) return;
                break;
            case FaultKind::partition:
                if (contains(fault.side, from) != contains(fault.side, to)) return;
                break;
            case FaultKind::duplication:
                if (dice.permille(fault.chance))
                    put_on_wire(now_ + delay + dice.between(0, fault.span), from, to, copy);
                break;
            case FaultKind::reordering:
                if (dice.permille(fault.chance)) delay += fault.span;
                break;
            case FaultKind::delay: delay += dice.between(0, fault.span); break;
            default: break;
        }
    }
    put_on_wire(now_ + delay, from, to, std::move(copy));
}

void World::put_on_wire(Moment at, int from, int to, std::vector<std::uint8_t> bytes) {
    std::uint32_t id = static_cast<std::uint32_t>(wire_.size());
    if (free_.empty()) {
        wire_.emplace_back();
    } else {
        id = free_.back();
        free_.pop_back();
    }
    digest_.record(40, static_cast<std::uint64_t>(from),
                   bytes.empty() ? 0 : bytes.size() << 8 | bytes.back());
    wire_[id] = {from, to, std::move(bytes)};
    schedule(at, EventKind::delivery, to, id);
}

void World::deliver(std::uint32_t id) {
    Datagram& datagram = wire_[id];
    host(datagram.to).receive(datagram.from, std::move(datagram.bytes));
    free_.push_back(id);
}

bool World::are_linked(int a, int b) const {
    const Host &one = host(a), &other = host(b);
    if (!one.is_awake() || !other.is_awake() || !one.has_right_key() || !other.has_right_key()) return false;
    return std::none_of(active_.begin(), active_.end(), [&](std::uint32_t place) {
        const Fault& f = plan_.faults[place];
        const bool both = (f.host == a && f.peer == b) || (f.host == b && f.peer == a);
        return ((f.kind == FaultKind::cut || f.kind == FaultKind::one_way_cut) && both) ||
               (f.kind == FaultKind::partition && contains(f.side, a) != contains(f.side, b));
    });
}

// ---- CARP: who is MASTER, as a good implementation would have it

bool World::same_side(int a, int b) const {
    return std::none_of(active_.begin(), active_.end(), [&](std::uint32_t place) {
        const Fault& f = plan_.faults[place];
        return (f.kind == FaultKind::partition || f.kind == FaultKind::split) &&
               contains(f.side, a) != contains(f.side, b);
    });
}

// While the groups' network is apart, every second connection is on either side.
bool World::same_side(const Connection& connection, int host) const {
    return std::none_of(active_.begin(), active_.end(), [&](std::uint32_t place) {
        const Fault& f = plan_.faults[place];
        return (f.kind == FaultKind::partition || f.kind == FaultKind::split) &&
               contains(f.side, host) != (connection.id % 2 == 0);
    });
}

bool World::takes_part(int h) const {
    return host(h).is_on() && host(h).carp_runs() && !active(FaultKind::drain, h);
}

std::size_t World::rank(int host, std::size_t group) const {
    const auto& order = plan_.preference[group];
    return static_cast<std::size_t>(std::find(order.begin(), order.end(), host) - order.begin());
}

bool World::is_master(int host) const {
    const auto& groups = standings_[static_cast<std::size_t>(host)];
    return std::any_of(groups.begin(), groups.end(), [](const Standing& s) { return s.master; });
}

int World::router(const Connection& connection) const {
    int best = -1;
    for (int h = 0; h < hosts(); ++h) {
        const Standing& s = standing(h, connection.group);
        if (!s.master || !host(h).is_on() || !same_side(connection, h)) continue;
        if (best < 0 || s.became > standing(best, connection.group).became) best = h;
    }
    return best;
}

void World::set_standing(int host, std::size_t group, bool master) {
    const bool was = is_master(host);
    standing(host, group).master = master;
    standing(host, group).became = standing(host, group).heard = now_;
    tell(host, fmt::format("is {} of group {}", master ? "MASTER" : "BACKUP", group + 1));
    checks_->on_standing(host, master);
    if (is_master(host) == was && !master) return;
    const Fault* const late = active(FaultKind::late_news, host);
    const News news = was && master ? News::another : master ? News::master : News::backup;
    schedule(now_ + dice_.between(1, 5) * kMillisecond + (late ? late->span : 0), EventKind::news, host,
             static_cast<std::uint32_t>(news));
}

void World::elect() {
    for (std::size_t group = 0; group < plan_.preference.size(); ++group) elect(group);
}

void World::elect(std::size_t group) {
    bool left = false;
    for (int h = 0; h < hosts(); ++h) {
        const bool asleep = !host(h).is_on() && host(h).carp_runs();
        if (!standing(h, group).master || takes_part(h) || asleep) continue;
        left = host(h).is_on() && (active(FaultKind::stop, h) || active(FaultKind::drain, h));  // it bows out
        set_standing(h, group, false);
    }
    for (const int h : plan_.preference[group]) {
        Standing& s = standing(h, group);
        if (!takes_part(h)) {
            s.heard = now_;
            continue;
        }
        int master = -1;  // the best other one
        for (int other = hosts() - 1; other >= 0; --other)
            if (other != h && takes_part(other) && standing(other, group).master && same_side(h, other) &&
                (master < 0 || rank(other, group) < rank(master, group)))
                master = other;
        const bool better = master < 0 || rank(h, group) < rank(master, group);
        if (s.master) {
            if (!better && now_ - standing(master, group).became >= kTick) set_standing(h, group, false);
            continue;
        }
        const auto patience =
            (left ? 0 : 3 * kSecond) + static_cast<Moment>(rank(h, group)) * 200 * kMillisecond;
        const bool preempts = plan_.preempt && master >= 0 && better && host(h).is_awake() &&
                              host(h).incomplete() == SyncIncomplete::no && dice_.one_in(10);
        if (master >= 0) s.heard = now_;
        if (preempts || (master < 0 && now_ - s.heard >= patience)) set_standing(h, group, true);
    }
}

}  // namespace carpd::sim::sync
