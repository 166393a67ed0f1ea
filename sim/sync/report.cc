#include "sim/sync/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "sim/shrink.h"
#include "sim/sync/world.h"

namespace carpd::sim::sync {

namespace {

constexpr std::size_t kStoryLines = 100;

std::vector<std::string> tally_names() {
    return {"connections began",
            "times one went on on another host",
            "broke: young when their host left",
            "broke: their host wasn't linked to the next one",
            "broke: the next one knew that its copy wasn't complete",
            "broke otherwise: refused, evicted, flushed, never told",
            "datagrams",
            "changes of kernels"};
}

// The last lines, with what concerns the connection.
void tell_story(const Plan& plan, const std::vector<int>& faults, std::size_t most, std::uint32_t about) {
    std::deque<std::string> lines;
    const auto teller = [&](Moment at, int host, std::uint32_t connection, const std::string& text) {
        if (connection != 0 && connection != about) return;
        if (lines.size() == most) lines.pop_front();
        lines.push_back(fmt::format("{:>4}.{:06}  {:<5} {}", at / kSecond, at % kSecond / kMicrosecond,
                                    host < 0 ? "" : plan.hosts[static_cast<std::size_t>(host)].name, text));
    };
    World(plan, &faults, teller).run();
    for (const std::string& line : lines) fmt::print("{}\n", line);
}

void print_world(const Plan& plan, const std::vector<int>& faults, std::size_t lines, std::uint32_t about) {
    fmt::print("{}faults:\n", describe(plan));
    for (const Fault& fault : plan.faults)
        if (std::find(faults.begin(), faults.end(), fault.id) != faults.end())
            fmt::print("  {}\n", describe(plan, fault));
    tell_story(plan, faults, lines, about);
}

void print_replay(const Plan& plan, const std::vector<int>& faults) {
    fmt::print("replay: ./dev sim sync --seed {}", plan.seed);
    if (faults.size() != plan.faults.size())
        fmt::print(" --faults {}", faults.empty() ? "none" : fmt::format("{}", fmt::join(faults, ",")));
    fmt::print("\n");
}

}  // namespace

bool run_seed(const SeedOptions& options) {
    const Plan plan = draw_plan(options.seed);
    std::vector<int> faults;
    for (const Fault& fault : plan.faults)
        if (!options.faults ||
            std::find(options.faults->begin(), options.faults->end(), fault.id) != options.faults->end())
            faults.push_back(fault.id);
    const Outcome outcome = World(plan, &faults, nullptr).run();
    if (options.digest) fmt::print("{} {:016x}\n", plan.seed, outcome.digest);
    if (options.verbose) print_world(plan, faults, SIZE_MAX, 0);
    if (!outcome.violation) {
        if (options.digest) return true;
        fmt::print("seed {}: all statements held; {} events in {} virtual seconds\n", plan.seed,
                   outcome.events, outcome.virtual_time / kSecond);
        const auto names = tally_names();
        for (std::size_t i = 0; i < names.size(); ++i)
            fmt::print("{:>12} {}\n", outcome.tallies[i], names[i]);
        return true;
    }
    if (options.shrink)
        faults = shrink(faults, [&](const std::vector<int>& fewer) {
            const auto violation = World(plan, &fewer, nullptr).run().violation;
            return violation && violation->checker == outcome.violation->checker;
        });
    const Violation violation = *World(plan, &faults, nullptr).run().violation;
    print_world(plan, faults, kStoryLines, static_cast<std::uint32_t>(violation.group));
    fmt::print("broken: {}: {}, at {}.{:06} s\n", violation.checker, violation.statement,
               violation.at / kSecond, violation.at % kSecond / kMicrosecond);
    print_replay(plan, faults);
    return false;
}

Worlds worlds() {
    return {"./dev sim sync --seed",
            [](std::uint64_t seed) {
                const Plan plan = draw_plan(seed);
                return World(plan, nullptr, nullptr).run();
            },
            [](std::uint64_t seed) {
                SeedOptions options;
                options.seed = seed;
                sync::run_seed(options);
            },
            tally_names()};
}

}  // namespace carpd::sim::sync
