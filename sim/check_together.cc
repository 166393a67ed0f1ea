// Checker of sets: a host serves all groups of its set, or none.
#include <fmt/format.h>

#include <algorithm>

#include "sim/checkers.h"
#include "sim/host.h"
#include "sim/world.h"

namespace carpd::sim {

namespace {

class Together : public Checker {
 public:
    using Checker::Checker;
    std::string_view name() const override { return "together"; }
    void before_disturbance() override { check_all(); }
    void at_end() override { check_all(); }

 private:
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
                broken(group, fmt::format("{} is MASTER of {}, and not of {}",
                                          world_.plan().hosts[static_cast<std::size_t>(host)].name,
                                          world_.plan().groups[static_cast<std::size_t>(group)].name,
                                          world_.plan().groups[static_cast<std::size_t>(other)].name));
    }
};

}  // namespace

std::unique_ptr<Checker> together(World& world) {
    return std::make_unique<Together>(world);
}

}  // namespace carpd::sim
