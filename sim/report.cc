#include "sim/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "sim/capture.h"
#include "sim/shrink.h"
#include "sim/timeline.h"

namespace carpd::sim {

namespace {

constexpr std::size_t kStoryLines = 100;

void print_world(const Plan& plan, const std::vector<int>& faults) {
    fmt::print("world of seed {}: packets take {} to {} us, faults end by {} s, the world by {} s\n",
               plan.seed, plan.min_delay / kMicrosecond, plan.max_delay / kMicrosecond, plan.healed / kSecond,
               plan.end / kSecond);
    for (const HostPlan& host : plan.hosts) fmt::print("  {}\n", describe(plan, host));
    for (const GroupPlan& group : plan.groups) fmt::print("  {}\n", describe(plan, group));
    fmt::print("faults:\n");
    for (const Fault& fault : plan.faults)
        if (std::find(faults.begin(), faults.end(), fault.id) != faults.end())
            fmt::print("  {}\n", describe(plan, fault));
}

std::string command(const Plan& plan, const std::vector<int>& faults) {
    std::string text = fmt::format("./dev sim --seed {}", plan.seed);
    if (faults.size() == plan.faults.size()) return text;
    return text + " --faults " + (faults.empty() ? "none" : fmt::format("{}", fmt::join(faults, ",")));
}

Outcome run_with_timeline(const Plan& plan, const std::vector<int>& faults, Timeline& timeline) {
    Witness witness;
    witness.tell = [&timeline](const World& world, int host, int group, const std::string& text) {
        timeline.tell(world, host, group, text);
    };
    return World(plan, &faults, witness).run();
}

void print_failure(const Plan& plan, const std::vector<int>& faults, const Violation& violation) {
    print_world(plan, faults);
    Timeline timeline(plan, violation.group, kStoryLines);
    run_with_timeline(plan, faults, timeline);
    fmt::print("{}", timeline.text());
    const std::string group =
        violation.group < 0 ? "" : plan.groups[static_cast<std::size_t>(violation.group)].name + ": ";
    fmt::print("broken: {}: {}{}, at {}.{:06} s\n", violation.checker, group, violation.statement,
               violation.at / kSecond, violation.at % kSecond / kMicrosecond);
    fmt::print("replay: {}\n", command(plan, faults));
}

}  // namespace

Worlds worlds() {
    return {"./dev sim --seed",
            [](std::uint64_t seed) {
                const Plan plan = draw_plan(seed);
                const Witness nobody;
                return World(plan, nullptr, nobody).run();
            },
            [](std::uint64_t seed) {
                SeedOptions options;
                options.seed = seed;
                run_seed(options);
            },
            {}};
}

bool run_seed(const SeedOptions& options) {
    const Plan plan = draw_plan(options.seed);
    std::vector<int> faults;
    for (const Fault& fault : plan.faults)
        if (!options.faults ||
            std::find(options.faults->begin(), options.faults->end(), fault.id) != options.faults->end())
            faults.push_back(fault.id);

    std::unique_ptr<CaptureWriter> pcap;
    Witness witness;
    if (!options.pcap.empty()) {
        pcap = std::make_unique<CaptureWriter>(options.pcap);
        witness.frame = [&pcap](Moment at, int, const Packet& packet) { pcap->write(at, packet); };
    }
    const Outcome outcome = World(plan, &faults, witness).run();
    if (pcap && !pcap->ok()) fmt::print(stderr, "carpsim: cannot write {}\n", options.pcap);
    if (options.digest) fmt::print("{} {:016x}\n", plan.seed, outcome.digest);
    if (options.verbose) {
        print_world(plan, faults);
        Timeline timeline(plan, plan.groups.size() == 1 ? 0 : -1, SIZE_MAX);
        run_with_timeline(plan, faults, timeline);
        fmt::print("{}", timeline.text());
    }
    if (!outcome.violation) {
        if (!options.digest)
            fmt::print("seed {}: all statements held; {} events in {} virtual seconds\n", plan.seed,
                       outcome.events, outcome.virtual_time / kSecond);
        return !pcap || pcap->ok();
    }
    const Witness nobody;
    if (options.shrink)
        faults = shrink(faults, [&](const std::vector<int>& fewer) {
            const auto violation = World(plan, &fewer, nobody).run().violation;
            return violation && violation->checker == outcome.violation->checker;
        });
    print_failure(plan, faults, *World(plan, &faults, nobody).run().violation);
    return false;
}

}  // namespace carpd::sim
