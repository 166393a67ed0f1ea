// Checkers of a host by itself: what it believes, and that it gets on.
#include <fmt/format.h>

#include "sim/checkers.h"
#include "sim/host.h"
#include "sim/world.h"

namespace carpd::sim {

namespace {

class Authenticity : public Checker {
 public:
    using Checker::Checker;
    std::string_view name() const override { return "authenticity"; }

    void on_heard(int host, const Heard& heard) override {
        const auto& h = static_cast<const Host&>(world_.station(host));
        const Packet& p = world_.packets()[heard.packet];
        const std::string& who = world_.plan().hosts[static_cast<std::size_t>(host)].name;
        const Settings& settings = h.settings(p.group);
        const bool own = p.origin == host && p.life == h.life(p.group);
        const bool authentic = p.genuine && !own && settings.present && p.secret == settings.secret();
        if (!authentic && !heard.refused)
            broken(p.group,
                   fmt::format("{} believed {}", who,
                               own ? "its own advertisement" : "a packet that nobody signed for it"));
        // A damaged IPv6 source may well be an unknown peer's, and a host is no peer of its own earlier life.
        const bool echo = p.origin == host && heard.reason == DropReason::unknown_peer;
        if (authentic && heard.refused && !p.altered && !echo && heard.reason != DropReason::not_running)
            broken(p.group,
                   fmt::format("{} refused an authentic advertisement: {}", who, to_string(heard.reason)));
    }
};

class Progress : public Checker {
 public:
    explicit Progress(World& world) : Checker(world), idle_wakes_(static_cast<std::size_t>(world.hosts())) {}
    std::string_view name() const override { return "progress"; }

    void on_heard(int host, const Heard&) override {
        idle_wakes_[static_cast<std::size_t>(host)].heard = true;
    }

    void after_wake(int host, std::span<const int>, bool all) override {
        const auto& h = static_cast<const Host&>(world_.station(host));
        const std::string& who = world_.plan().hosts[static_cast<std::size_t>(host)].name;
        if (h.node() && h.node()->next_deadline() <= h.clock().at(world_.now()))
            broken(-1, fmt::format("{} has done all that was due and still has a deadline in the past", who));
        if (h.node() && h.node()->group_slots() > 2 * static_cast<std::size_t>(world_.groups()))
            broken(-1, fmt::format("{} keeps places of removed groups", who));
        if (world_.queue_size() > kMaxQueue || world_.packets().in_use() > kMaxPackets)
            broken(-1, "packets or events pile up");
        count(host, who, all);
    }

 private:
    static constexpr std::size_t kMaxQueue = 40'000, kMaxPackets = 40'000;
    struct Idle {
        Moment millisecond = 0;
        int wakes = 0;
        bool heard = false;
    };

    // Wake-ups for a timer alone.
    void count(int host, const std::string& who, bool all) {
        Idle& idle = idle_wakes_[static_cast<std::size_t>(host)];
        const Moment millisecond = world_.now() / kMillisecond;
        if (millisecond != idle.millisecond) idle.wakes = 0;
        idle.millisecond = millisecond;
        if (!idle.heard && !all) ++idle.wakes;
        idle.heard = false;
        if (idle.wakes > 4 + 4 * world_.groups())
            broken(-1, fmt::format("{} woke {} times in a millisecond", who, idle.wakes));
    }

    std::vector<Idle> idle_wakes_;
};

class Health : public Checker {
 public:
    using Checker::Checker;
    std::string_view name() const override { return "health"; }

    void after_wake(int host, std::span<const int>, bool) override {
        for (int g = 0; g < world_.groups(); ++g)
            if (world_.is_withdrawn(host, g) && world_.station(host).state(g) != State::init)
                broken(g, fmt::format("{} is {} although a failing check withdraws the group",
                                      world_.plan().hosts[static_cast<std::size_t>(host)].name,
                                      to_upper_string(world_.station(host).state(g))));
    }
};

}  // namespace

std::unique_ptr<Checker> authenticity(World& world) {
    return std::make_unique<Authenticity>(world);
}
std::unique_ptr<Checker> progress(World& world) {
    return std::make_unique<Progress>(world);
}
std::unique_ptr<Checker> health(World& world) {
    return std::make_unique<Health>(world);
}

}  // namespace carpd::sim
