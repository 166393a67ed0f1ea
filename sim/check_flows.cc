// Checker of hosts that synchronise flows: a group answers when its flows are committed, or the bound is over
// (rules Y1 and Y2), and who lacks flows is demoted (rules Y3, Y4 and Y6).
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sim/checkers.h"
#include "sim/host.h"
#include "sim/world.h"

namespace carpd::sim {

namespace {

class Flows : public Checker {
 public:
    explicit Flows(World& world)
        : Checker(world),
          slept_at_(static_cast<std::size_t>(world.hosts())),
          master_since_(static_cast<std::size_t>(world.hosts()), kNoMoment),
          lacked_at_(static_cast<std::size_t>(world.hosts())) {}
    std::string_view name() const override { return "flows"; }

    void before_disturbance() override {
        for (int h = 0; h < world_.hosts(); ++h)
            if (sleeps(h)) slept_at_[static_cast<std::size_t>(h)] = world_.now();
    }
    void on_start(int host) override {
        std::erase_if(waits_, [host](const auto& entry) { return entry.first.first == host; });
        master_since_[static_cast<std::size_t>(host)] = kNoMoment;
    }
    void on_commit_wanted(int host, int group) override {
        waits_[{host, group}] = {world_.now(), local(host) + Duration(plan(host).commit_wait), false, false};
    }
    void on_committed(int host, int group) override {
        if (const auto found = waits_.find({host, group}); found != waits_.end())
            found->second.committed = true;
    }
    void on_install(int host, int group) override {
        if (!carpd(host).synchronises()) return;
        const auto found = waits_.find({host, group});
        if (found == waits_.end())
            return broken(group, fmt::format("{} answers, and never asked for its flows", plan(host).name));
        Wait& wait = found->second;
        if (!wait.installed && !wait.committed && local(host) < wait.until)
            broken(group, fmt::format("{} answers before its flows are committed", plan(host).name));
        if (!wait.installed && is_late(host, wait))
            broken(group,
                   fmt::format("{} answers too long after its flows were to be committed", plan(host).name));
        wait.installed = true;
    }

    // Who lacks flows takes nothing from a master that lives, unless that one is demoted more.
    void on_change(const Change& c) override {
        const bool from_another = c.cause == Cause::preempting || c.cause == Cause::master_more_demoted ||
                                  c.cause == Cause::master_too_slow;
        if (from_another && carpd(c.host).lacks_flows() && !was_master(c.host) && c.ours.demote < 240)
            broken(c.group, fmt::format("{} takes over although it lacks flows", plan(c.host).name));
    }

    void after_wake(int host, std::span<const int>, bool) override {
        if (!carpd(host).synchronises() || !carpd(host).node()) return;
        for (int g = 0; g < world_.groups(); ++g) check_wait(host, g);
        check_demotion(host);
    }

 private:
    struct Wait {
        Moment since;   // when it was asked for
        Instant until;  // by the host's clock
        bool committed, installed;
    };

    const Host& carpd(int host) const { return static_cast<const Host&>(world_.station(host)); }
    const HostPlan& plan(int host) const { return world_.plan().hosts[static_cast<std::size_t>(host)]; }
    Instant local(int host) const { return carpd(host).clock().at(world_.now()); }
    bool sleeps(int host) const {
        return !world_.station(host).awake() || world_.active(FaultKind::late_wake_ups, host) != nullptr;
    }
    bool is_late(int host, const Wait& wait) const {
        const bool slept = sleeps(host) || slept_at_[static_cast<std::size_t>(host)] >= wait.since;
        return !slept && local(host) > wait.until + std::chrono::milliseconds(10);
    }
    // Of a group, and not only since this wake-up.
    bool was_master(int host) const {
        const Moment since = master_since_[static_cast<std::size_t>(host)];
        return since != kNoMoment && since < world_.now();
    }

    void check_wait(int host, int group) {
        const bool master = world_.station(host).state(group) == State::master;
        const auto found = waits_.find({host, group});
        if (!master) {
            if (found != waits_.end()) waits_.erase(found);
            return;
        }
        if (found == waits_.end())
            return broken(group, fmt::format("{} is MASTER and never asked for its flows", plan(host).name));
        const Wait& wait = found->second;
        if (!wait.installed && (wait.committed || local(host) >= wait.until))
            broken(group,
                   fmt::format("{} is MASTER, and does not answer although nothing is to be waited for",
                               plan(host).name));
    }

    void check_demotion(int host) {
        Moment& since = master_since_[static_cast<std::size_t>(host)];
        if (carpd(host).node()->masters() == 0)
            since = kNoMoment;
        else if (since == kNoMoment)
            since = world_.now();
        const bool lacks = carpd(host).lacks_flows(), master = since != kNoMoment;
        const bool relieved = master && world_.now() - since > 5 * kSecond && !sleeps(host);
        Moment& lacked = lacked_at_[static_cast<std::size_t>(host)];
        if (lacks || sleeps(host)) lacked = world_.now();
        // Rule Y6, and it is looked at every second.
        const bool settled =
            world_.now() - std::max(lacked, slept_at_[static_cast<std::size_t>(host)]) > 2 * kSecond;
        for (int g = 0; g < world_.groups(); ++g) {
            const VirtualHost* group = carpd(host).virtual_host(g);
            if (!group) continue;
            const int demotion = group->demotion().amount(kSyncDemotion);
            if (demotion != 0 && (settled || relieved))
                broken(g, fmt::format("{} is demoted for flows that it does not lack", plan(host).name));
            if (demotion != 240 && lacks && !master && group->state() != State::init)
                broken(g, fmt::format("{} lacks flows and is not demoted for it", plan(host).name));
        }
    }

    std::map<std::pair<int, int>, Wait> waits_;  // by host and group
    std::vector<Moment> slept_at_;
    std::vector<Moment> master_since_;  // of some group; kNoMoment: of none
    std::vector<Moment> lacked_at_;     // when a host lacked flows last
};

}  // namespace

std::unique_ptr<Checker> flows(World& world) {
    return std::make_unique<Flows>(world);
}

}  // namespace carpd::sim
