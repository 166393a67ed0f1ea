// Checkers of who answers: one owner where hosts hear each other, the lease, and the data plane.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sim/checkers.h"
#include "sim/host.h"
#include "sim/world.h"

namespace carpd::sim {

namespace {

// For each group and pair of hosts that both answer, since when.
class Overlaps {
 public:
    explicit Overlaps(const World& world)
        : world_(world),
          since_(static_cast<std::size_t>(world.groups() * kMaxHosts * kMaxHosts), kNoMoment) {}

    // Calls `ended(group, a, b, since)` for each pair that ceases to overlap.
    template <class Ended>
    void on_ownership(int host, int group, bool owns, const Ended& ended) {
        for (int other = 0; other < world_.hosts(); ++other) {
            if (other == host || !contains(world_.owners(group), other)) continue;
            Moment& since = at(group, host, other);
            if (owns) {
                since = world_.now();
            } else {
                if (since != kNoMoment) ended(group, host, other, since);
                since = kNoMoment;
            }
        }
    }
    template <class Function>
    void for_each(const Function& function) {
        for (int g = 0; g < world_.groups(); ++g) {
            if (std::has_single_bit(world_.owners(g)) || world_.owners(g) == 0) continue;
            for (int a = 0; a < world_.hosts(); ++a)
                for (int b = a + 1; b < world_.hosts(); ++b)
                    if (at(g, a, b) != kNoMoment) function(g, a, b, at(g, a, b));
        }
    }

 private:
    Moment& at(int group, int a, int b) {
        return since_[static_cast<std::size_t>((group * kMaxHosts + std::min(a, b)) * kMaxHosts +
                                               std::max(a, b))];
    }

    const World& world_;
    std::vector<Moment> since_;
};

std::string names(const World& world, int a, int b) {
    return world.plan().hosts[static_cast<std::size_t>(std::min(a, b))].name + " and " +
           world.plan().hosts[static_cast<std::size_t>(std::max(a, b))].name;
}

bool is_carpd(const World& world, int host) {
    return world.plan().hosts[static_cast<std::size_t>(host)].kind == Kind::carpd;
}

constexpr Moment kSlack = 10 * kMillisecond;  // for timers that fire a little late

// With what a drifting clock adds.
Moment longest_lease(const World& world, int group) {
    const AdvBase base = world.plan().groups[static_cast<std::size_t>(group)].advbase;
    const Moment lease =
        base.seconds > 0 ? lease_length(base, AdvSkew{}).count() : 3 * world.plan().longest_interval(group);
    return lease + lease / 50;
}

class OneOwner : public Checker {
 public:
    explicit OneOwner(World& world) : Checker(world), overlaps_(world) {}
    std::string_view name() const override { return "one-owner"; }

    void on_ownership(int host, int group, bool owns) override {
        overlaps_.on_ownership(host, group, owns,
                               [this](int g, int a, int b, Moment since) { check(g, a, b, since); });
    }
    void before_disturbance() override { check_all(); }
    void at_end() override { check_all(); }

 private:
    void check_all() {
        overlaps_.for_each([this](int g, int a, int b, Moment since) { check(g, a, b, since); });
    }
    // Whoever of the two has to yield hears the other's next advertisement.
    void check(int group, int a, int b, Moment since) {
        if (!world_.same_side(a, b)) return;
        const Moment calm = std::max(since, world_.disturbed_at());
        // A host that sleeps yields to nobody, but its lease ends.
        const bool asleep = !world_.station(a).awake() || !world_.station(b).awake();
        const Moment bound = (asleep ? longest_lease(world_, group) : world_.plan().longest_interval(group)) +
                             2 * world_.plan().max_delay + kSlack;
        if (world_.now() - calm <= bound) return;
        broken(group,
               fmt::format("{} both answered for {} ms although they hear each other; at most {} ms",
                           names(world_, a, b), (world_.now() - calm) / kMillisecond, bound / kMillisecond));
    }

    Overlaps overlaps_;
};

class Lease : public Checker {
 public:
    explicit Lease(World& world)
        : Checker(world),
          overlaps_(world),
          owner_since_(static_cast<std::size_t>(world.groups())),
          asleep_at_(static_cast<std::size_t>(world.hosts())) {}
    std::string_view name() const override { return "lease"; }

    void on_ownership(int host, int group, bool owns) override {
        if (owns)
            owner_since_[static_cast<std::size_t>(group)][static_cast<std::size_t>(host)] = world_.now();
        overlaps_.on_ownership(host, group, owns,
                               [this](int g, int a, int b, Moment since) { check(g, a, b, since); });
    }
    void on_heard(int host, const Heard& heard) override {
        const Packet& p = world_.packets()[heard.packet];
        if (!heard.refused) heard_[{host, p.group}] = p.standing;
    }
    // A host that timed out joins nobody, except one that timed out while its first advertisement was on the
    // way.
    void on_change(const Change& c) override {
        if (c.cause != Cause::master_timed_out || !network_was_faultless(c.group, world_.now())) return;
        if (!contains(world_.owners(c.group), c.host)) return;
        // One that goes along with another group of its set may also have heard a master that loses to it.
        const auto heard = heard_.find({c.host, c.group});
        if (c.together && heard != heard_.end() && loses(heard->second, c.ours)) return;
        const bool demoted_fast =
            world_.plan().groups[static_cast<std::size_t>(c.group)].advbase.seconds == 0 && c.ours.demote > 0;
        for (int other = 0; other < world_.hosts(); ++other) {
            if (other == c.host || !contains(world_.owners(c.group), other) || !is_carpd(world_, other))
                continue;
            const Moment since =
                owner_since_[static_cast<std::size_t>(c.group)][static_cast<std::size_t>(other)];
            if (world_.now() - since <= world_.plan().max_delay || demoted_fast) continue;
            broken(c.group, fmt::format("{} timed out while {} still answered, on a faultless network",
                                        world_.plan().hosts[static_cast<std::size_t>(c.host)].name,
                                        world_.plan().hosts[static_cast<std::size_t>(other)].name));
        }
    }
    void before_disturbance() override {
        for (int h = 0; h < world_.hosts(); ++h)
            if (sleeps(h)) asleep_at_[static_cast<std::size_t>(h)] = world_.now();
    }
    void at_end() override {
        overlaps_.for_each([this](int g, int a, int b, Moment since) { check(g, a, b, since); });
    }

 private:
    bool sleeps(int host) const {
        return !world_.station(host).awake() || world_.active(FaultKind::late_wake_ups, host) != nullptr ||
               world_.active(FaultKind::send_failures, host) != nullptr;
    }
    bool slept_since(int host, Moment since) const {
        return sleeps(host) || asleep_at_[static_cast<std::size_t>(host)] >= since;
    }
    bool network_was_faultless(int group, Moment since) const {
        return since - world_.network_faulty_at() > world_.plan().settling_bound(group);
    }
    // Awake, the one that has to yield does so when it hears the other, who speaks at once, or if it has just
    // spoken a quarter of an interval later. Asleep, it answers until its lease lapses.
    void check(int group, int a, int b, Moment since) {
        if (!is_carpd(world_, a) || !is_carpd(world_, b) || !network_was_faultless(group, since)) return;
        const Moment interval = world_.plan().longest_interval(group);
        const Moment awake = interval / 4 + interval / 64 + 2 * world_.plan().max_delay + 200 * kMicrosecond;
        const bool slept = slept_since(a, since) || slept_since(b, since);
        const Moment bound = slept ? std::max(awake, longest_lease(world_, group)) : awake;
        if (world_.now() - since <= bound) return;
        broken(group,
               fmt::format("{} both answered for {} us on a faultless network; at most {} us{}",
                           names(world_, a, b), (world_.now() - since) / kMicrosecond, bound / kMicrosecond,
                           slept ? ", one being asleep or mute" : ", both being awake"));
    }

    Overlaps overlaps_;
    std::vector<std::array<Moment, kMaxHosts>> owner_since_;
    std::vector<Moment> asleep_at_;
    std::map<std::pair<int, int>, Standing> heard_;  // by host and group, the last
};

class DataPlane : public Checker {
 public:
    using Checker::Checker;
    std::string_view name() const override { return "data-plane"; }

    void after_wake(int host, std::span<const int> touched, bool all) override {
        const auto& h = static_cast<const Host&>(world_.station(host));
        if (all)
            for (int g = 0; g < world_.groups(); ++g) check(h, g);
        else
            for (int g : touched) check(h, g);
    }

 private:
    void check(const Host& host, int group) {
        const VirtualHost* core = host.virtual_host(group);
        // One that waits for its flows doesn't answer yet: `flows` says for how long.
        const bool master = core && core->state() == State::master && !core->waits_for_flows();
        const bool answers = host.kernel().answers(group, host.clock().at(world_.now()));
        if (master != answers)
            broken(group, fmt::format("{} is {}MASTER and its kernel {}",
                                      world_.plan().hosts[static_cast<std::size_t>(host.index)].name,
                                      master ? "" : "not ", answers ? "answers" : "does not answer"));
        else if (master && core->lease_until() != host.kernel().lease_until(group))
            broken(group, fmt::format("core and kernel of {} disagree about the lease",
                                      world_.plan().hosts[static_cast<std::size_t>(host.index)].name));
    }
};

}  // namespace

std::unique_ptr<Checker> one_owner(World& world) {
    return std::make_unique<OneOwner>(world);
}
std::unique_ptr<Checker> lease(World& world) {
    return std::make_unique<Lease>(world);
}
std::unique_ptr<Checker> data_plane(World& world) {
    return std::make_unique<DataPlane>(world);
}

std::vector<std::unique_ptr<Checker>> all_checkers(World& world) {
    std::vector<std::unique_ptr<Checker>> all;
    for (auto* make : {one_owner, data_plane, rightful_master, no_change_without_a_cause, authenticity, lease,
                       progress, hand_over, together, health, flows, clients})
        all.push_back(make(world));
    return all;
}

}  // namespace carpd::sim
