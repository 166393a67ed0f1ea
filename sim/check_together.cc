// Checker of sets: a host serves all groups of its set, or none.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sim/checkers.h"
#include "sim/host.h"
#include "sim/world.h"

namespace carpd::sim {

bool loses(const Standing& theirs, const Standing& ours) {
    const auto rank = [](const Standing& s) { return std::pair(s.advbase.seconds, s.advskew.value); };
    return theirs.demote > ours.demote || (theirs.demote == ours.demote && rank(ours) < rank(theirs));
}

namespace {

class Together : public Checker {
 public:
    using Checker::Checker;
    std::string_view name() const override { return "together"; }
    void before_disturbance() override { check_all(); }
    void at_end() override { check_all(); }

    void on_heard(int host, const Heard& heard) override {
        const Packet& p = world_.packets()[heard.packet];
        if (!heard.refused) member(host, p.group).master = {p.standing, local(host)};
    }
    void on_change(const Change& c) override {
        Member& m = member(c.host, c.group);
        m.since = local(c.host);
        if (m.master && m.master->heard_at < m.since) m.master.reset();
        m.has_failed = c.cause == Cause::addresses_refused || c.cause == Cause::cannot_advertise;
        if (c.to == State::master) moved_[c.group] = c.ours;
    }
    void after_wake(int host, std::span<const int>, bool) override {
        for (const auto& [group, ours] : moved_)
            if (world_.station(host).state(group) == State::master) check_followers(host, group, ours);
        moved_.clear();
    }

 private:
    // What a host knows of one of its groups, since that entered its state.
    struct Member {
        struct Master {
            Standing standing;
            Instant heard_at;
        };
        std::optional<Master> master;
        Instant since = Instant::min();
        bool has_failed = false;  // to become MASTER
    };
    enum class Outlook { unknown, open, blocked };

    Member& member(int host, int group) { return members_[{host, group}]; }
    Instant local(int host) const {
        return static_cast<const Host&>(world_.station(host)).clock().at(world_.now());
    }
    std::string name_of(int group) const {
        return world_.plan().groups[static_cast<std::size_t>(group)].name;
    }
    const std::string& host_name(int host) const {
        return world_.plan().hosts[static_cast<std::size_t>(host)].name;
    }

    void check_all() {
        for (int g = 0; g < world_.groups(); ++g) {
            const GroupPlan& plan = world_.plan().groups[static_cast<std::size_t>(g)];
            // A host without the set may have the better standing for one group of it only, and keep that.
            if (plan.set == 0 || plan.in_set != plan.members || world_.set_is_cut(g)) continue;
            if (world_.now() - world_.disturbed_at() > world_.plan().settling_bound(g))
                for (int h = 0; h < world_.hosts(); ++h) check(h, g);
        }
    }
    void check(int host, int group) {
        if (world_.station(host).state(group) != State::master) return;
        for (int other : world_.plan().together(host, group))
            if (world_.takes_part(host, other) && world_.station(host).state(other) != State::master)
                broken(group, fmt::format("{} is MASTER of {}, and not of {}", host_name(host),
                                          name_of(group), name_of(other)));
    }

    // In the same wake-up every BACKUP follows whose master is gone or would yield, if no other hears one
    // that would not.
    void check_followers(int host, int group, const Standing& ours) {
        int open = -1;
        for (int other : world_.plan().together(host, group)) {
            if (world_.station(host).state(other) != State::backup) continue;
            const Outlook outlook = outlook_of(host, other, ours);
            if (outlook == Outlook::blocked) return;
            if (outlook == Outlook::open) open = other;
        }
        if (open >= 0)
            broken(open, fmt::format("{} became MASTER of {} and left {} behind, where nothing held it",
                                     host_name(host), name_of(group), name_of(open)));
    }
    // All members of a set have the same demotion.
    Outlook outlook_of(int host, int group, const Standing& first) {
        const Member& m = member(host, group);
        const auto& h = static_cast<const Host&>(world_.station(host));
        if (m.has_failed || h.addresses_refused(group)) return Outlook::unknown;
        const Duration gone = std::chrono::seconds(3 * first.advbase.seconds);
        const Instant silent_since = m.master ? m.master->heard_at : m.since;
        if (first.advbase.seconds > 0 && local(host) - silent_since >= gone) return Outlook::open;
        if (!m.master) return Outlook::unknown;
        Standing ours = first;
        ours.advskew.value = h.settings(group).advskew;
        if (ours.demote > 0) ours.advskew.value = std::max<std::uint8_t>(ours.advskew.value, 240);
        return loses(m.master->standing, ours) ? Outlook::open : Outlook::blocked;
    }

    std::map<std::pair<int, int>, Member> members_;  // by host and group
    std::map<int, Standing> moved_;                  // became MASTER in this wake-up
};

}  // namespace

std::unique_ptr<Checker> together(World& world) {
    return std::make_unique<Together>(world);
}

}  // namespace carpd::sim
