// carpsim: worlds of carpd hosts in virtual time. docs/simulation.md.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <thread>

#include "sim/batch.h"
#include "sim/plan.h"
#include "sim/report.h"
#include "sim/sync/report.h"
#include "sim/what_if.h"

namespace {

// "3,7,12" or "none".
std::vector<int> fault_ids(const std::string& text) {
    std::vector<int> ids;
    if (text == "none") return ids;
    for (const std::string& id : CLI::detail::split(text, ',')) {
        int value = 0;
        if (!CLI::detail::lexical_cast(id, value) || value < 1)
            throw CLI::ValidationError("--faults", "give the numbers of faults, such as 3,7,12, or none");
        ids.push_back(value);
    }
    return ids;
}

// Which worlds are run, and what is wanted of them: the same for every kind.
struct Options {
    carpd::sim::SeedOptions one;
    carpd::sim::BatchOptions many;
    std::string faults;
    CLI::Option *seed = nullptr, *seeds = nullptr;

    explicit Options(CLI::App& app) {
        many.jobs = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
        seed =
            app.add_option("--seed", one.seed, "run one world, and tell its story if a statement is broken");
        app.add_flag("--verbose", one.verbose, "tell its story in any case")->needs(seed);
        app.add_flag("--shrink", one.shrink, "leave out all faults that the broken statement does not need")
            ->needs(seed);
        app.add_option("--faults", faults, "only these faults happen: 3,7,12, or none")->needs(seed);
        app.add_flag("--digest", one.digest, "print a digest of all that happened")->needs(seed);
        seeds = app.add_option("--seeds", many.count, "run so many worlds")
                    ->excludes(seed)
                    ->check(CLI::PositiveNumber);
        app.add_option("--first", many.first, "the first one's seed (1)")->needs(seeds);
        app.add_option("--jobs", many.jobs, "how many at a time (one per core)")
            ->needs(seeds)
            ->check(CLI::Range(1, 256));
    }
    void read_faults() {
        if (!faults.empty()) one.faults = fault_ids(faults);
    }
    bool run(const carpd::sim::Worlds& worlds, bool (*run_seed)(const carpd::sim::SeedOptions&)) const {
        return seed->count() > 0 ? run_seed(one) : run_batch(many, worlds);
    }
};

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Runs worlds of carpd hosts in virtual time, with faults, and checks what must hold.",
                 "carpsim");
    Options carp(app);
    app.add_option("--pcap", carp.one.pcap, "write what was on the wire to this file")->needs(carp.seed);
    auto* sync_command = app.add_subcommand("sync", "worlds of hosts that synchronise flows");
    Options sync(*sync_command);
    carpd::sim::WhatIfOptions what_if;
    auto* files =
        app.add_option("--config", what_if.files, "what would these hosts do: two or more carpd.toml")
            ->excludes(carp.seed)
            ->excludes(carp.seeds)
            ->expected(2, carpd::sim::kMaxHosts);
    app.add_option("--scenario", what_if.scenarios, "only these of the scenarios")
        ->needs(files)
        ->check(CLI::IsMember(carpd::sim::scenario_names()));
    app.add_option("--runs", what_if.runs, "how often each scenario is played (200)")
        ->needs(files)
        ->check(CLI::Range(1, 1'000'000));
    try {
        app.parse(argc, argv);
        carp.read_faults();
        sync.read_faults();
    } catch (const CLI::ParseError& error) {
        return app.exit(error);
    }
    if (files->count() > 0) return carpd::sim::what_if(what_if);
    const bool held = sync_command->parsed()
                          ? sync.run(carpd::sim::sync::worlds(), carpd::sim::sync::run_seed)
                          : carp.run(carpd::sim::worlds(), carpd::sim::run_seed);
    return held ? 0 : 1;
}
