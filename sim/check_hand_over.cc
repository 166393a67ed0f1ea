// Checker of what a hand-over is for: a backup that hears the master leave takes its place at once, and a new
// master tells its neighbours.
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
    void on_announced(int host, int group) override { now_[{host, group}].announced = true; }
    void on_change(const Change& c) override {
        Seen& seen = now_[{c.host, c.group}];
        seen.changed = true;
        seen.became_master = c.to == State::master;
    }
    void after_wake(int host, std::span<const int>, bool) override {
        for (const auto& [where, seen] : now_)
            if (where.first == host) check(host, where.second, seen);
        std::erase_if(now_, [host](const auto& entry) { return entry.first.first == host; });
    }

 private:
    // What happened to a group of a host in one wake-up.
    struct Seen {
        bool bow_out = false, announced = false, changed = false, became_master = false;
    };

    void check(int host, int group, const Seen& seen) {
        const std::string& who = world_.plan().hosts[static_cast<std::size_t>(host)].name;
        const bool master = world_.station(host).state(group) == State::master;
        if (seen.bow_out && !seen.changed && !master)
            broken(group, fmt::format("{} heard the master leave and did not take over", who));
        if (seen.became_master && master && !seen.announced)
            broken(group, fmt::format("{} became MASTER and announced its addresses to nobody", who));
    }

    std::map<std::pair<int, int>, Seen> now_;  // by host and group
};

}  // namespace

std::unique_ptr<Checker> hand_over(World& world) {
    return std::make_unique<HandOver>(world);
}

}  // namespace carpd::sim
