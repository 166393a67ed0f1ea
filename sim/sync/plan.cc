#include "sim/sync/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sim/dice.h"

namespace carpd::sim::sync {

namespace {

constexpr std::array<std::string_view, kFaultKinds> kNames = {
    "loss",      "duplication", "reordering", "delay",       "one_way_cut", "cut",
    "partition", "split",       "crash",      "kill",        "sync_kill",   "stop",
    "drain",     "freeze",      "suspend",    "lost_events", "full_table",  "slow_kernel",
    "flush",     "wrong_key",   "late_news",  "attack"};

Fault draw_fault(Dice& dice, int id, int hosts) {
    Fault fault;
    fault.id = id;
    fault.kind = static_cast<FaultKind>(dice.below(kFaultKinds));
    fault.begin = dice.between(3 * kSecond, 70 * kSecond);
    fault.end = fault.begin + dice.scaled(20 * kMillisecond, 30 * kSecond);
    fault.host = static_cast<int>(dice.below(static_cast<std::uint64_t>(hosts)));
    fault.peer =
        (fault.host + 1 + static_cast<int>(dice.below(static_cast<std::uint64_t>(hosts - 1)))) % hosts;
    fault.side = static_cast<HostSet>(dice.between(1, (1 << hosts) - 2));
    fault.chance = static_cast<std::uint32_t>(dice.between(20, 400));
    fault.span = dice.scaled(kMillisecond, 500 * kMillisecond);
    switch (fault.kind) {
        case FaultKind::lost_events:
            fault.amount = static_cast<std::uint32_t>(dice.below(20));
            fault.span = dice.scaled(kMillisecond, kSecond);
            break;
        case FaultKind::slow_kernel: fault.span = dice.scaled(kMillisecond, 50 * kMillisecond); break;
        case FaultKind::flush: fault.end = fault.begin; break;
        case FaultKind::late_news: fault.span = dice.scaled(50 * kMillisecond, 3 * kSecond); break;
        case FaultKind::attack: fault.span = dice.scaled(500 * kMicrosecond, 20 * kMillisecond); break;
        default: break;
    }
    return fault;
}

void draw_traffic(Dice& dice, Plan& plan) {
    plan.flow_gap = dice.scaled(30 * kMillisecond, kSecond);
    plan.longest_life = dice.scaled(2 * kSecond, 60 * kSecond);
    plan.nat_ports = static_cast<std::uint32_t>(dice.one_in(3) ? dice.between(20, 60) : 5'000);
    plan.reuse = dice.one_in(2) ? 0 : static_cast<std::uint32_t>(dice.between(10, 300));
    plan.ignores_some = dice.one_in(4);
    plan.max_flows = static_cast<std::uint32_t>(dice.one_in(6) ? dice.between(5, 60) : 10'000);
}

}  // namespace

std::string_view to_string(FaultKind kind) {
    return kNames[static_cast<std::size_t>(kind)];
}

Plan draw_plan(std::uint64_t seed) {
    Dice dice(stream(seed, 1));
    Plan plan;
    plan.seed = seed;
    const int hosts = dice.one_in(2) ? 2 : static_cast<int>(dice.between(2, kMostHosts));
    for (int h = 0; h < hosts; ++h) {
        HostPlan& host = plan.hosts.emplace_back();
        host.name = fmt::format("fw{}", h + 1);
        host.clock = {dice.between(0, 1'000'000) * kSecond, dice.between(-200, 200)};
        host.wall_offset_ms = dice.between(-10'000'000, 10'000'000);
    }
    const int groups = dice.one_in(3) ? 2 : 1;
    for (int g = 0; g < groups; ++g) {
        auto& order = plan.preference.emplace_back();
        for (int h = 0; h < hosts; ++h)
            order.insert(order.begin() + dice.between(0, static_cast<std::int64_t>(order.size())), h);
    }
    plan.preempt = dice.one_in(2);
    plan.dead_after = dice.one_in(3) ? dice.scaled(200 * kMillisecond, 4 * kSecond) : kSecond;
    plan.min_delay = dice.scaled(20 * kMicrosecond, 2 * kMillisecond);
    plan.max_delay = plan.min_delay * dice.between(1, 5);
    draw_traffic(dice, plan);

    Dice faults(stream(seed, 2));
    const auto count = static_cast<int>(faults.one_in(8) ? 0 : faults.between(1, 9));
    for (int id = 1; id <= count; ++id) plan.faults.push_back(draw_fault(faults, id, hosts));
    for (const Fault& fault : plan.faults) plan.healed = std::max(plan.healed, fault.end);
    plan.end = plan.healed + dice.between(30, 50) * kSecond;
    if (dice.one_in(3)) plan.end += 200 * kSecond;
    return plan;
}

std::string describe(const Plan& plan) {
    std::string text = fmt::format(
        "world of seed {}: {} hosts, {}datagrams take {} to {} us, dead-after {} ms, max-flows {}, a new "
        "connection every {} ms, of up to {} s, {} ports, {} per mille again{}\n",
        plan.seed, plan.hosts.size(), plan.preempt ? "preempt, " : "", plan.min_delay / kMicrosecond,
        plan.max_delay / kMicrosecond, plan.dead_after / kMillisecond, plan.max_flows,
        plan.flow_gap / kMillisecond, plan.longest_life / kSecond, plan.nat_ports, plan.reuse,
        plan.ignores_some ? ", some ignored" : "");
    for (const auto& order : plan.preference) {
        text += "  a group of";
        for (const int host : order) text += " " + plan.hosts[static_cast<std::size_t>(host)].name;
        text += "\n";
    }
    return text;
}

std::string describe(const Plan& plan, const Fault& fault) {
    return fmt::format(
        "{:>3} {:>12} {:>3}.{:06} to {:>3}.{:06} {} (peer {}, side {:#x}, {} per mille, {} us, {})", fault.id,
        to_string(fault.kind), fault.begin / kSecond, fault.begin % kSecond / 1000, fault.end / kSecond,
        fault.end % kSecond / 1000, plan.hosts[static_cast<std::size_t>(fault.host)].name,
        plan.hosts[static_cast<std::size_t>(fault.peer)].name, fault.side, fault.chance,
        fault.span / kMicrosecond, fault.amount);
}

}  // namespace carpd::sim::sync
