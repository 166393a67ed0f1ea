// Checkers of the election: the rightful master, and no change without a cause. They read advertisements for
// themselves and never ask the core what it made of them.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sim/checkers.h"
#include "sim/host.h"
#include "sim/world.h"

namespace carpd::sim {

namespace {

const std::string& name_of(const World& world, int host) {
    return world.plan().hosts[static_cast<std::size_t>(host)].name;
}

class RightfulMaster : public Checker {
 public:
    using Checker::Checker;
    std::string_view name() const override { return "rightful-master"; }
    void before_disturbance() override { check_all(); }
    void at_end() override { check_all(); }

 private:
    void check_all() {
        for (int g = 0; g < world_.groups(); ++g)
            if (world_.now() - world_.disturbed_at() > world_.plan().settling_bound(g) &&
                !world_.set_is_cut(g))
                check(g);
    }

    // Each side of a partition elects its own.
    void check(int group) {
        HostSet todo = 0;
        for (int h = 0; h < world_.hosts(); ++h)
            if (world_.takes_part(h, group)) todo |= static_cast<HostSet>(1u << h);
        while (todo != 0) {
            const int first = std::countr_zero(todo);
            HostSet side = 0;
            for (int h = first; h < world_.hosts(); ++h)
                if (contains(todo, h) && world_.same_side(first, h)) side |= static_cast<HostSet>(1u << h);
            todo = static_cast<HostSet>(todo & ~side);
            check_side(group, side);
        }
    }

    void check_side(int group, HostSet side) {
        HostSet masters = 0;
        for (int h = 0; h < world_.hosts(); ++h)
            if (contains(side, h) && world_.station(h).state(group) == State::master)
                masters |= static_cast<HostSet>(1u << h);
        const auto owners = static_cast<HostSet>(world_.owners(group) & side);
        if (!std::has_single_bit(masters) || owners != masters)
            return broken(group,
                          fmt::format("of {} hosts that hear each other {} are MASTER and {} answer",
                                      std::popcount(side), std::popcount(masters), std::popcount(owners)));
        for (int h = 0; h < world_.hosts(); ++h)
            if (contains(side, h) && world_.station(h).state(group) == State::init)
                broken(group,
                       fmt::format("{} stays in INIT although nothing keeps it there", name_of(world_, h)));
        const int master = std::countr_zero(masters);
        for (int h = 0; h < world_.hosts(); ++h)
            if (contains(side, h) && h != master) check_pair(group, master, h);
    }

    // A less demoted host takes over from a MASTER; an equally demoted and faster one does if it preempts.
    void check_pair(int group, int master, int backup) {
        // Together with its set a better host may have to wait.
        if (world_.plan().groups[static_cast<std::size_t>(group)].set != 0) return;
        const bool foreign = world_.plan().has_foreign(static_cast<HostSet>(1u << master | 1u << backup));
        const int theirs = world_.station(master).demotion(group),
                  ours = world_.station(backup).demotion(group);
        if (foreign && (theirs != 0 || ours != 0)) return;  // dialects of demotion don't always meet
        if (!foreign_host(backup) &&
            static_cast<const Host&>(world_.station(backup)).addresses_refused(group))
            return;
        if (ours < theirs)
            broken(group, fmt::format("{} is MASTER although {} is less demoted", name_of(world_, master),
                                      name_of(world_, backup)));
        const Settings b = world_.settings(backup, group);
        const int better = speed(b.advskew, ours),
                  worse = speed(world_.settings(master, group).advskew, theirs);
        if (ours == theirs && b.preempt && better < worse)
            broken(group, fmt::format("{} is MASTER although {} is better and preempts",
                                      name_of(world_, master), name_of(world_, backup)));
    }
    bool foreign_host(int host) const { return world_.plan().has_foreign(static_cast<HostSet>(1u << host)); }
    static int speed(std::uint8_t advskew, int demotion) {
        return demotion > 0 ? std::max<int>(advskew, 240) : advskew;
    }
};

class NoChangeWithoutACause : public Checker {
 public:
    explicit NoChangeWithoutACause(World& world)
        : Checker(world), waits_since_(static_cast<std::size_t>(world.hosts() * world.groups())) {}
    std::string_view name() const override { return "cause"; }

    void on_heard(int host, const Heard& heard) override {
        if (heard.refused) return;
        const Packet& p = world_.packets()[heard.packet];
        waits_since(host, p.group) = local(host);
        last_heard_[{host, p.group}] = p.standing;
    }
    void on_start(int host) override {
        for (int g = 0; g < world_.groups(); ++g) waits_since(host, g) = local(host);
    }
    void on_configured(int host, int group) override { waits_since(host, group) = local(host); }

    void on_change(const Change& c) override {
        if (world_.now() - world_.disturbed_at() > world_.plan().settling_bound(c.group) &&
            world_.now() > world_.plan().settling_bound(c.group))
            broken(c.group, fmt::format("{} became {} ({}) although nothing had happened for {} ms",
                                        name_of(world_, c.host), to_upper_string(c.to), to_string(c.cause),
                                        (world_.now() - world_.disturbed_at()) / kMillisecond));
        if (!explained(c))
            broken(c.group, fmt::format("{} became {} ({}), which nothing in the trace explains",
                                        name_of(world_, c.host), to_upper_string(c.to), to_string(c.cause)));
        if (c.to == State::backup) waits_since(c.host, c.group) = local(c.host);
    }

    // The other way round: no change left out for which there was a cause. (With advbase 0 a BACKUP waits
    // longer for a slower master, T5.)
    void after_wake(int host, std::span<const int>, bool) override {
        for (int g = 0; g < world_.groups(); ++g) {
            const GroupPlan& plan = world_.plan().groups[static_cast<std::size_t>(g)];
            if (plan.advbase.seconds == 0 || world_.station(host).state(g) != State::backup) continue;
            if (timed_out(host, g) && !is_held(host, g))
                broken(g, fmt::format("{} is BACKUP although it has heard nothing for too long",
                                      name_of(world_, host)));
        }
    }

 private:
    Instant& waits_since(int host, int group) {
        return waits_since_[static_cast<std::size_t>(host * world_.groups() + group)];
    }
    const Host& carpd(int host) const { return static_cast<const Host&>(world_.station(host)); }
    Instant local(int host) const { return carpd(host).clock().at(world_.now()); }

    template <class Predicate>
    bool heard(const Change& c, const Predicate& predicate) const {
        return std::any_of(c.heard.begin(), c.heard.end(), [&](const Heard& h) {
            const Packet& p = world_.packets()[h.packet];
            return !h.refused && p.group == c.group && predicate(p);
        });
    }
    bool timed_out(int host, int group) {
        const GroupPlan& plan = world_.plan().groups[static_cast<std::size_t>(group)];
        const AdvSkew skew{carpd(host).settings(group).advskew};
        return local(host) - waits_since(host, group) >= master_down_interval(plan.advbase, skew);
    }

    // Another group of its set hears a master, so that it has to wait.
    bool is_held(int host, int group) {
        for (int other : world_.plan().together(host, group)) {
            const GroupPlan& plan = world_.plan().groups[static_cast<std::size_t>(other)];
            if (other != group && world_.station(host).state(other) == State::backup &&
                local(host) - waits_since(host, other) < std::chrono::seconds(3 * plan.advbase.seconds))
                return true;
        }
        return false;
    }

    // What it heard, in this wake-up or, if it is in a set and had to wait for the others, last; or the
    // master is gone since it had to wait (rule G3), which it names after what it waited for.
    template <class Predicate>
    bool heard_or_waited(const Change& c, const Predicate& predicate) {
        const auto last = last_heard_.find({c.host, c.group});
        const bool in_set = !world_.plan().together(c.host, c.group).empty();
        if (in_set && last != last_heard_.end()) {
            const Duration silence = local(c.host) - waits_since(c.host, c.group);
            const auto [base, skew] = std::pair(last->second.advbase, last->second.advskew);
            const bool is_gone = silence >= master_down_interval(base, base.seconds > 0 ? AdvSkew{0} : skew);
            if (is_gone || predicate(last->second)) return true;
        }
        return heard(c, [&](const Packet& p) { return predicate(p.standing); });
    }

    bool explained(const Change& c) {
        if (c.together) return !world_.plan().together(c.host, c.group).empty();
        const auto rank = [](const Standing& s) { return std::pair(s.advbase.seconds, s.advskew.value); };
        const Standing& ours = c.ours;
        const Host& host = carpd(c.host);
        switch (c.cause) {
            case Cause::master_timed_out: return timed_out(c.host, c.group);
            case Cause::master_bowed_out: return heard(c, [](const Packet& p) { return p.is_bow_out(); });
            case Cause::master_more_demoted:
                return heard_or_waited(c, [&](const Standing& s) { return s.demote > ours.demote; });
            case Cause::preempting:
                return host.settings(c.group).preempt && heard_or_waited(c, [&](const Standing& s) {
                           return s.demote >= ours.demote && rank(ours) < rank(s);
                       });
            case Cause::master_too_slow:
                return heard_or_waited(c, [&](const Standing& s) {
                    return std::pair(3 * ours.advbase.seconds, ours.advskew.value) <
                           std::pair(int{s.advbase.seconds}, s.advskew.value);
                });
            case Cause::peer_less_demoted:
                return heard(c, [&](const Packet& p) { return p.standing.demote < ours.demote; });
            case Cause::better_advertisement:
                return heard(c, [&](const Packet& p) {
                    return p.standing.demote == ours.demote && rank(p.standing) < rank(ours);
                });
            case Cause::tie_lost: return heard(c, [&](const Packet& p) { return p.standing == ours; });
            case Cause::interface_missing: return happened(FaultKind::interface_loss, c);
            case Cause::interface_down:
            case Cause::link_down: return !host.connected(c.group);
            case Cause::started:
            case Cause::link_up: return host.connected(c.group);
            case Cause::check_failed: return world_.is_withdrawn(c.host, c.group);
            case Cause::check_passed:
                return happened(FaultKind::withdrawing_check, c) && !world_.is_withdrawn(c.host, c.group);
            case Cause::operator_request: return happened(FaultKind::state_request, c);
            case Cause::removed: return happened(FaultKind::removal, c);
            case Cause::stopped: return happened(FaultKind::stop, c);
            case Cause::addresses_refused:
                return happened(FaultKind::install_failures, c) || happened(FaultKind::interface_loss, c);
            case Cause::cannot_advertise:
                return happened(FaultKind::send_failures, c) || happened(FaultKind::interface_loss, c);
            case Cause::lease_lapsed: return lapse_explained(c);
            default: return false;
        }
    }
    // Such a fault has begun at this host; that it isn't over long since is the other half of the statement.
    bool happened(FaultKind kind, const Change& c) const {
        const auto& faults = world_.plan().faults;
        return std::any_of(faults.begin(), faults.end(), [&](const Fault& f) {
            const bool of_group =
                kind == FaultKind::state_request || (kind == FaultKind::withdrawing_check && !f.all_groups);
            const bool concerns = kind == FaultKind::removal ? world_.plan().share_settings(f.group, c.group)
                                                             : !of_group || f.group == c.group;
            return f.kind == kind && f.host == c.host && concerns && f.begin <= world_.now();
        });
    }
    // Only a host that slept or could not send lets its lease lapse.
    bool lapse_explained(const Change& c) const {
        for (FaultKind kind : {FaultKind::pause, FaultKind::suspend, FaultKind::late_wake_ups,
                               FaultKind::send_failures, FaultKind::interface_loss})
            if (happened(kind, c)) return true;
        return false;
    }

    std::vector<Instant> waits_since_;  // by host and group: when it last heard anybody, or began to wait
    std::map<std::pair<int, int>, Standing> last_heard_;  // by host and group
};

}  // namespace

std::unique_ptr<Checker> rightful_master(World& world) {
    return std::make_unique<RightfulMaster>(world);
}
std::unique_ptr<Checker> no_change_without_a_cause(World& world) {
    return std::make_unique<NoChangeWithoutACause>(world);
}

}  // namespace carpd::sim
