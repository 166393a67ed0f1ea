// Checker of what makes a hand-over quick: a master that leaves in order says so, a backup that hears it
// takes its place at once, and a new master tells its neighbours.
#include <fmt/format.h>

#include <map>

#include "sim/checkers.h"
#include "sim/host.h"
#include "sim/world.h"

namespace carpd::sim {

namespace {

class HandOver : public Checker {
 public:
    using Checker::Checker;
    std::string_view name() const override { return "hand-over"; }

    void on_heard(int host, const Heard& heard) override {
        const Packet& p = world_.packets()[heard.packet];
        if (!heard.refused && p.is_bow_out()) now_[{host, p.group}].bow_out = true;
    }
    void on_said(int host, int group, bool bow_out, bool sent) override {
        Seen& seen = now_[{host, group}];
        seen.said = true;
        seen.sent = seen.sent || sent;
        seen.said_bow_out = seen.said_bow_out || bow_out;
    }
    void on_install(int host, int group) override { now_[{host, group}].installed = true; }
    void on_demoted(int host, int group) override { now_[{host, group}].demoted = true; }
    void on_announced(int host, int group) override { now_[{host, group}].announced = true; }
    void on_change(const Change& c) override {
        Seen& seen = now_[{c.host, c.group}];
        seen.changed = true;
        seen.became_master = c.to == State::master;
        if (c.cause == Cause::addresses_refused || c.cause == Cause::cannot_advertise)
            failed_at_[{c.host, c.group}] = world_.now();
        seen.left_in_order =
            seen.left_in_order ||
            (c.from == State::master &&
             (c.cause == Cause::stopped || c.cause == Cause::removed || c.cause == Cause::operator_request ||
              c.cause == Cause::check_failed || c.cause == Cause::addresses_refused));
    }
    void after_wake(int host, std::span<const int>, bool) override {
        for (const auto& [where, seen] : now_)
            if (where.first == host) check(host, where.second, seen);
        std::erase_if(now_, [host](const auto& entry) { return entry.first.first == host; });
    }

 private:
    // What happened to a group of a host in one wake-up.
    struct Seen {
        bool bow_out = false;  // heard
        bool said = false, sent = false, said_bow_out = false, announced = false;
        bool demoted = false, changed = false, became_master = false, left_in_order = false;
        bool installed = false;
    };

    void check(int host, int group, const Seen& seen) {
        const std::string& who = world_.plan().hosts[static_cast<std::size_t>(host)].name;
        const bool master = world_.station(host).state(group) == State::master;
        if (seen.bow_out && !seen.changed && !master && !has_just_failed(host, group))
            broken(group, fmt::format("{} heard the master leave and did not take over", who));
        if (seen.left_in_order && !seen.said_bow_out)
            broken(group, fmt::format("{} left in order and did not say so", who));
        if (seen.demoted && master && !seen.said)
            broken(group, fmt::format("{} is MASTER and did not say that its demotion changed", who));
        if (seen.became_master && master && !seen.sent)
            broken(group, fmt::format("{} became MASTER without having sent an advertisement", who));
        const bool waits = world_.plan().hosts[static_cast<std::size_t>(host)].commit_wait > 0;
        const bool answers = master && (seen.installed || (seen.became_master && !waits));
        const bool in_pool = world_.plan().groups[static_cast<std::size_t>(group)].pool != 0;
        if (answers && !in_pool && !seen.announced)
            broken(group, fmt::format("{} became MASTER and announced its addresses to nobody", who));
        if (in_pool && seen.announced)
            broken(group, fmt::format("{} announced a pool's addresses, which draws all clients to it", who));
    }

    // Rule O2: then it lets everything pass for an interval.
    bool has_just_failed(int host, int group) const {
        const auto found = failed_at_.find({host, group});
        return found != failed_at_.end() &&
               world_.now() - found->second <= world_.plan().longest_interval(group) + kMillisecond;
    }

    std::map<std::pair<int, int>, Seen> now_;          // by host and group
    std::map<std::pair<int, int>, Moment> failed_at_;  // when it last failed to become MASTER
};

}  // namespace

std::unique_ptr<Checker> hand_over(World& world) {
    return std::make_unique<HandOver>(world);
}

}  // namespace carpd::sim
