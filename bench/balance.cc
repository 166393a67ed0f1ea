#include "bench/balance.h"

#include <algorithm>
#include <map>

#include "bench/acceptance.h"
#include "bench/evenness.h"
#include "bench/ownership.h"
#include "bench/pool_failures.h"
#include "bench/table.h"
#include "lab/error.h"
#include "lab/lab.h"

namespace carpd::bench {

namespace {

constexpr int kRounds = 31, kPackets = 20'000;
constexpr int kRuns = 5;  // of each failure
constexpr int kAttempts = 6;
constexpr int kChanges = 500;
constexpr const char* kHashes[] = {"bsd", "weighted"};

// ---- the filter

using Acceptance = std::map<std::pair<std::string, Ownership>, double>;  // median ns

Acceptance print_acceptance(Table& table) {
    Acceptance medians;
    for (const AcceptanceCost& cost : measure_acceptance(kRounds, kPackets)) {
        const double ns = medians[{cost.filter, cost.owned}] = median(cost.ns_per_packet);
        const double base = medians.at({kNoFilter, cost.owned});
        const auto [min, max] = std::minmax_element(cost.ns_per_packet.begin(), cost.ns_per_packet.end());
        table.add(
            {cost.filter, to_string(cost.owned), ns, *min, *max, ns - base, ns / base, 100 * cost.passed});
    }
    return medians;
}

Table acceptance_table() {
    return Table({{"filter", "filter", -24},
                  {"owned", "owned", -6},
                  {"median_ns", "ns/packet", 9},
                  {"min_ns", "min", 6},
                  {"max_ns", "max", 6},
                  {"added_ns", "added", 6},
                  {"ratio", "of none", 7, 2},
                  {"passed_percent", "passed %", 8, 1}});
}

void add_acceptance_goals(const Acceptance& found, Goals& goals) {
    const double ours = found.at({kGate, Ownership::all});
    goals.at_most("a packet that passes the gate: ns more than without",
                  ours - found.at({kNoFilter, Ownership::all}), 150);
    for (const char* other : {kNftables, kXtCluster})
        if (const auto theirs = found.find({other, Ownership::all}); theirs != found.end())
            goals.at_most(fmt::format("the same / {}", other), ours / theirs->second, 1);
}

// ---- ownership

using Changes = std::vector<OwnershipChange>;

nlohmann::json measure_changes(Changes& changes) {
    Table table({{"hash", "hash", -8},
                 {"carpnodes", "carpnodes", 9},
                 {"take_us", "taken after us", 14, 1},
                 {"take_max_us", "max", 8, 1},
                 {"leave_us", "left after us", 14, 1},
                 {"leave_max_us", "max", 8, 1}});
    for (const BalanceHash hash : {BalanceHash::bsd, BalanceHash::weighted})
        for (const int carpnodes : {1, 31}) {
            const OwnershipChange& c = changes.emplace_back(measure_ownership(hash, carpnodes, kChanges));
            table.add({to_string(hash), carpnodes, median(c.take_us), std::ranges::max(c.take_us),
                       median(c.leave_us), std::ranges::max(c.leave_us)});
        }
    return table.rows();
}

void add_change_goals(const Changes& changes, Goals& goals) {
    for (const OwnershipChange& c : changes) {
        goals.at_most(
            fmt::format("{}, {} carpnodes: from decision to taken, us", to_string(c.hash), c.carpnodes),
            median(c.take_us), c.carpnodes == 1 ? 10 : 100);
    }
}

// ---- the spread

nlohmann::json print_evenness(double& worst) {
    Table table({{"hash", "hash", -8},
                 {"clients", "10,000 clients", -26},
                 {"carpnodes", "carpnodes", 9},
                 {"fewest_of_fair", "fewest", 7, 3},
                 {"most_of_fair", "most", 7, 3},
                 {"chi_square", "chi-square", 10, 2},
                 {"critical", "critical", 8, 2}});
    for (const Evenness& e : measure_evenness()) {
        table.add({e.hash, e.clients, e.carpnodes, e.fewest, e.most, e.chi_square, e.critical});
        worst = std::max(worst, e.chi_square / e.critical);
    }
    return table.rows();
}

// ---- failures

// A run that counts, of a few.
template <class Run>
auto quiet_run(Run run, const char* hash) {
    for (int attempt = 0; attempt < kAttempts; ++attempt)
        if (auto result = run(hash)) return *result;
    lab::fail("the machine is too busy for an advertisement every 1/256 s");
}

double moved_part(const PoolKill& kill) {
    return static_cast<double>(kill.moved) / kill.clients;
}

nlohmann::json measure_kills(std::vector<PoolKill>& kills) {
    Table table({{"hash", "hash", -8},
                 {"takeover_ms", "takeover ms", 11, 2},
                 {"outage_ms", "its clients' outage ms", 22, 2},
                 {"others_asked", "others asked", 12},
                 {"others_lost", "lost", 5},
                 {"others_moved", "moved of them", 13, 4}});
    for (int run = 0; run < kRuns; ++run)
        for (const char* hash : kHashes) {
            const PoolKill& kill = kills.emplace_back(quiet_run(kill_one, hash));
            table.add({hash, kill.takeover_ms, kill.outage_ms, kill.asked, kill.lost, moved_part(kill)});
        }
    return table.rows();
}

nlohmann::json measure_drains(std::vector<PoolDrain>& drains) {
    Table table({{"hash", "hash", -8},
                 {"drained_ms", "drained after ms", 16, 1},
                 {"asked", "asked", 7},
                 {"lost", "lost", 5},
                 {"connections", "connections", 11},
                 {"ended", "ended", 5}});
    for (int run = 0; run < kRuns; ++run)
        for (const char* hash : kHashes) {
            const PoolDrain& drain = drains.emplace_back(quiet_run(drain_one, hash));
            table.add({hash, drain.drained_ms, drain.asked, drain.lost, drain.sessions, drain.ended});
        }
    return table.rows();
}

void add_failure_goals(const std::vector<PoolKill>& kills, const std::vector<PoolDrain>& drains,
                       Goals& goals) {
    std::vector<double> late;
    int lost = 0, drained = 0, ended = 0;
    double moved = 0;
    for (const PoolKill& kill : kills) {
        late.push_back(kill.outage_ms - kill.takeover_ms);
        lost += kill.lost;
        moved = std::max(moved, moved_part(kill));
    }
    for (const PoolDrain& drain : drains) {
        drained += drain.lost;
        ended += drain.ended;
    }
    goals.at_most("a server dies: its clients' outage - the takeover, ms", median(late), 5);
    goals.at_most("a server dies: questions lost by the others' clients", lost, 0);
    goals.at_most("a server dies: the others' clients that moved, of all", moved, 0.01);
    goals.at_most("a server is drained: questions lost", drained, 0);
    goals.at_most("a server is drained: connections that ended", ended, 0);
}

}  // namespace

nlohmann::json balance() {
    if (const std::string why_not = lab::why_no_lab(); !why_not.empty()) lab::fail("{}", why_not);
    Table acceptance = acceptance_table();
    const Acceptance costs = print_acceptance(acceptance);
    Changes changes;
    const nlohmann::json change_rows = measure_changes(changes);
    double worst_evenness = 0;
    const nlohmann::json evenness = print_evenness(worst_evenness);
    std::vector<PoolKill> kills;
    const nlohmann::json kill_rows = measure_kills(kills);
    std::vector<PoolDrain> drains;
    const nlohmann::json drain_rows = measure_drains(drains);
    Goals goals;
    add_acceptance_goals(costs, goals);
    add_change_goals(changes, goals);
    goals.at_most("evenness: the worst chi-square / its critical value", worst_evenness, 1);
    add_failure_goals(kills, drains, goals);
    return {{"acceptance", acceptance.rows()},
            {"changes", change_rows},
            {"evenness", evenness},
            {"kills", kill_rows},
            {"drains", drain_rows},
            {"goals", goals.rows()}};
}

}  // namespace carpd::bench
