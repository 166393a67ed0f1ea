#include "sim/world.h"

#include <algorithm>

#include "sim/checkers.h"
#include "sim/foreign.h"
#include "sim/host.h"

namespace carpd::sim {

World::World(const Plan& plan, const std::vector<int>* chosen, const Witness& witness)
    : plan_(plan),
      witness_(witness),
      dice_(stream(plan.seed, 10)),
      strikes_(plan.faults.size()),
      owners_(plan.groups.size()) {
    for (const Fault& fault : plan.faults) {
        fault_dice_.emplace_back(stream(plan.seed, 100u + static_cast<unsigned>(fault.id)));
        chosen_.push_back(!chosen || std::find(chosen->begin(), chosen->end(), fault.id) != chosen->end());
    }
    if (plan.checked) checkers_ = all_checkers(*this);
    for (int h = 0; h < hosts(); ++h)
        if (plan.hosts[static_cast<std::size_t>(h)].kind == Kind::carpd)
            stations_.push_back(std::make_unique<Host>(*this, h));
        else
            stations_.push_back(std::make_unique<Foreign>(*this, h));
}

World::~World() = default;

Outcome World::run() {
    for (std::size_t i = 0; i < plan_.faults.size(); ++i) {
        if (!chosen_[i]) continue;
        schedule(plan_.faults[i].begin, EventKind::fault_begins, 0, static_cast<std::uint32_t>(i));
        schedule(plan_.faults[i].end, EventKind::fault_ends, 0, static_cast<std::uint32_t>(i));
    }
    for (auto& station : stations_) station->condition_changed();
    while (!violation_ && !queue_.empty() && queue_.next() <= plan_.end) {
        const Event event = queue_.pop();
        now_ = event.at;
        ++events_;
        record(static_cast<std::uint64_t>(event.kind), event.host, static_cast<std::uint64_t>(event.at));
        dispatch(event);
    }
    if (!violation_) {
        now_ = plan_.end;
        for (const auto& checker : checkers_) checker->at_end();
    }
    return {violation_, digest_.value(), events_, now_, {}};
}

void World::dispatch(const Event& event) {
    Station& station = *stations_[event.host];
    switch (event.kind) {
        case EventKind::fault_begins: return begin_fault(event.what);
        case EventKind::fault_ends: return end_fault(event.what);
        case EventKind::strike: return strike(event.what);
        case EventKind::delivery: return deliver(event.host, event.what);
        case EventKind::timer: return station.timer_due(event.at);
        case EventKind::commit: return static_cast<Host&>(station).committed(event.what);
        case EventKind::lease: return static_cast<Host&>(station).lease_due(static_cast<int>(event.what));
    }
}

void World::schedule(Moment at, EventKind kind, int host, std::uint32_t what) {
    queue_.push(at, kind, host, what);
}

void World::update_ownership(int host, int group) {
    HostSet& owners = owners_[static_cast<std::size_t>(group)];
    const bool owns = station(host).owns(group);
    if (owns == contains(owners, host)) return;
    owners = static_cast<HostSet>(owners ^ (1u << host));
    record(20, static_cast<std::uint64_t>(host), static_cast<std::uint64_t>(group) << 1 | (owns ? 1u : 0u));
    if (witnessed()) tell(host, group, owns ? "answers" : "no longer answers");
    if (witness_.owners) witness_.owners(now_, group, owners);
    for (const auto& checker : checkers_) checker->on_ownership(host, group, owns);
}

bool World::same_side(int a, int b) const {
    return std::all_of(active_.begin(), active_.end(), [&](std::uint32_t place) {
        const Fault& f = plan_.faults[place];
        return f.kind != FaultKind::partition || contains(f.side, a) == contains(f.side, b);
    });
}

bool World::takes_part(int host, int group) const {
    const Station& s = station(host);
    return s.awake() && s.connected(group) && settings(host, group).present && !is_withdrawn(host, group);
}

std::vector<FailingTrack> World::failing_checks(int host) const {
    std::vector<FailingTrack> failing;
    for (std::uint32_t place : active_) {
        const Fault& f = plan_.faults[place];
        const bool withdraws = f.kind == FaultKind::withdrawing_check;
        if (f.host != host || !(withdraws || f.kind == FaultKind::demoting_check)) continue;
        FailingTrack& check = failing.emplace_back();
        check.name = "check" + std::to_string(f.id);
        check.withdraw = withdraws;
        check.demote = withdraws ? 0 : f.amount;
        if (!f.all_groups) check.groups = {plan_.groups[static_cast<std::size_t>(f.group)].name};
    }
    return failing;
}

bool World::is_withdrawn(int host, int group) const {
    return std::any_of(active_.begin(), active_.end(), [&](std::uint32_t place) {
        const Fault& f = plan_.faults[place];
        return f.kind == FaultKind::withdrawing_check && f.host == host && (f.all_groups || f.group == group);
    });
}

bool World::set_is_cut(int group) const {
    const auto& groups = plan_.groups;
    const int set = groups[static_cast<std::size_t>(group)].set;
    return set != 0 && std::any_of(active_.begin(), active_.end(), [&](std::uint32_t place) {
               const Fault& f = plan_.faults[place];
               return f.kind == FaultKind::removal && groups[static_cast<std::size_t>(f.group)].set == set;
           });
}

Settings World::settings(int host, int group) const {
    const GroupPlan& g = plan_.groups[static_cast<std::size_t>(group)];
    Settings s = g.settings[static_cast<std::size_t>(host)];
    s.present = contains(g.members, host);
    for (std::uint32_t place : active_) {
        const Fault& f = plan_.faults[place];
        if (f.host != host || !plan_.share_settings(f.group, group)) continue;
        if (f.kind == FaultKind::reload && f.group == group) {
            s.advskew = f.settings.advskew;
            s.preempt = f.settings.preempt;
        }
        if (f.kind == FaultKind::key_change) s.key = static_cast<std::uint8_t>(1 + f.amount % 3);
        if (f.kind == FaultKind::address_change) s.addresses = static_cast<std::uint8_t>(1 + f.amount % 3);
        if (f.kind == FaultKind::removal) s.present = false;
    }
    return s;
}

const Fault* World::active(FaultKind kind, int host) const {
    for (std::uint32_t place : active_)
        if (plan_.faults[place].kind == kind && plan_.faults[place].host == host) return &plan_.faults[place];
    return nullptr;
}

void World::tell(int host, int group, const std::string& text) {
    if (witness_.tell) witness_.tell(*this, host, group, text);
}

void World::broken(std::string_view checker, int group, std::string statement) {
    if (!violation_) violation_ = Violation{std::string(checker), group, std::move(statement), now_};
}

void Checker::broken(int group, std::string statement) {
    world_.broken(name(), group, std::move(statement));
}

}  // namespace carpd::sim
