#include "sim/what_if.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include "sim/cluster.h"
#include "sim/host.h"
#include "sim/timeline.h"

namespace carpd::sim {

namespace {

constexpr int kConfigInvalid = 6;
constexpr Moment kLasts = 30 * kSecond;

struct Scenario {
    const char* name;
    FaultKind fault;
    bool ends;              // after kLasts
    const char* what;       // happens to the master
    const char* begins;     // in the timeline
    const char* ends_with;  // likewise
};

constexpr Scenario kScenarios[] = {
    {"crash", FaultKind::crash, false, "the master loses power for good", "loses power", ""},
    {"reboot", FaultKind::crash, true, "the master loses power and is back after 30 s", "loses power",
     "is back"},
    {"link-loss", FaultKind::link_loss, true, "the master's link fails for 30 s", "loses its link",
     "has its link again"},
    {"partition", FaultKind::partition, true, "the master and the others don't hear each other for 30 s",
     "is cut off from the others", "hears the others again"},
    {"drain", FaultKind::stop, true, "carpd is stopped on the master in order and started again after 30 s",
     "is to stop carpd", "is to start carpd"},
};

std::string seconds(Moment m) {
    if (m > 0 && m < kSecond)
        return fmt::format("{}.{:03} ms", m / kMillisecond, m % kMillisecond / kMicrosecond);
    return fmt::format("{}.{:03} s", m / kSecond, m % kSecond / kMillisecond);
}

// What one run of a scenario came to.
struct Result {
    Moment unowned = 0, twice_owned = 0;  // in all, from the fault on
    Moment others_unowned = 0;            // of the group of its set that suffered most
    int master = -1;                      // at the end; -1: none, or several
    bool is_whole = true;                 // the whole set ends there
    Cause cause = Cause::none;            // of its becoming MASTER
};

// Adds up for how long nobody owned the group, and several did, from `start` on.
class Stopwatch {
 public:
    explicit Stopwatch(Moment start) : start_(start) {}
    void owners(Moment at, HostSet owners) {
        add(at);
        owners_ = owners;
    }
    void stop(Moment at) { add(at); }
    Moment unowned() const { return unowned_; }
    Moment twice_owned() const { return twice_owned_; }

 private:
    void add(Moment at) {
        const Moment passed = std::max(at, start_) - std::max(last_, start_);
        if (owners_ == 0) unowned_ += passed;
        if (std::popcount(owners_) > 1) twice_owned_ += passed;
        last_ = at;
    }

    Moment start_, last_ = 0, unowned_ = 0, twice_owned_ = 0;
    HostSet owners_ = 0;
};

std::optional<int> only_master(const World& world, int group) {
    std::optional<int> master;
    for (int h = 0; h < world.hosts(); ++h) {
        if (!world.station(h).owns(group)) continue;
        if (master) return std::nullopt;
        master = h;
    }
    return master;
}

// One group and one scenario, as often as is asked for.
class Experiment {
 public:
    Experiment(const Plan& plan, int group, const Scenario& scenario)
        : plan_(plan), group_(group), scenario_(scenario) {
        settled_ = 2 * plan.settling_bound(group) + 10 * kSecond;
    }

    // `timeline`: to be filled, or null.
    Result run(std::uint64_t seed, Timeline* timeline) {
        const Plan plan = draw(seed);
        const Fault& fault = plan.faults.front();
        Result result;
        std::vector<Stopwatch> stopwatches(plan.groups.size(), Stopwatch(fault.begin));
        Witness witness;
        witness.owners = [&](Moment at, int group, HostSet owners) {
            stopwatches[static_cast<std::size_t>(group)].owners(at, owners);
        };
        if (timeline)
            witness.tell = [&](const World& world, int host, int group, const std::string& text) {
                tell(*timeline, world, fault, host, group, text);
            };
        World world(plan, nullptr, witness);
        world.run();
        const auto master = only_master(world, group_);
        for (int g = 0; g < world.groups(); ++g) {
            Stopwatch& stopwatch = stopwatches[static_cast<std::size_t>(g)];
            stopwatch.stop(plan.end);
            if (g != group_) {
                result.others_unowned = std::max(result.others_unowned, stopwatch.unowned());
                result.is_whole = result.is_whole && master && only_master(world, g) == master;
                continue;
            }
            result.unowned = stopwatch.unowned();
            result.twice_owned = stopwatch.twice_owned();
        }
        if (master) {
            result.master = *master;
            result.cause = static_cast<const Host&>(world.station(*master)).virtual_host(group_)->cause();
        }
        return result;
    }
    // Where a run's timeline begins.
    Moment begin(std::uint64_t seed) { return draw(seed).faults.front().begin; }

 private:
    // Everything that differs from run to run: clocks and when the fault strikes, in the advertisement's
    // interval.
    Plan draw(std::uint64_t seed) {
        Plan plan = plan_;
        plan.seed = seed;
        Dice dice(stream(seed, 1));
        for (HostPlan& host : plan.hosts) {
            host.clock_offset = dice.between(0, 1'000) * kSecond;
            host.clock_ppm = dice.between(-50, 50);
        }
        Fault fault;
        fault.id = 1;
        fault.kind = scenario_.fault;
        fault.begin = settled_ + dice.between(0, plan.longest_interval(group_));
        plan.end = fault.begin + kLasts + settled_;
        fault.end = scenario_.ends ? fault.begin + kLasts : plan.end + 1;
        fault.host = master_at(plan, fault.begin);
        fault.side = static_cast<HostSet>(1u << fault.host);
        fault.interface = plan.groups[static_cast<std::size_t>(group_)].interface;
        plan.faults.push_back(fault);
        return plan;
    }

    // Who is MASTER then, as long as nothing happens; the first host if there is none alone.
    int master_at(Plan plan, Moment at) const {
        plan.end = at;
        const Witness nobody;
        World world(plan, nullptr, nobody);
        world.run();
        return only_master(world, group_).value_or(0);
    }

    void tell(Timeline& timeline, const World& world, const Fault& fault, int host, int group,
              const std::string& text) {
        if (host >= 0) return timeline.tell(world, host, group, text);
        timeline.tell(world, fault.host, group_,
                      text.starts_with("begins") ? scenario_.begins : scenario_.ends_with);
    }

    const Plan& plan_;
    const int group_;
    const Scenario& scenario_;
    Moment settled_;
};

// ---- what is printed

void print_distribution(const char* label, std::vector<Moment> values) {
    std::sort(values.begin(), values.end());
    if (values.back() == 0) return fmt::print("  {:<17} never\n", label);
    const auto at = [&](std::size_t percent) { return seconds(values[(values.size() - 1) * percent / 100]); };
    fmt::print("  {:<17} min {}   median {}   95 % {}   max {}\n", label, at(0), at(50), at(95), at(100));
}

void print_scenario(const Plan& plan, int group, const Scenario& scenario, int runs) {
    Experiment experiment(plan, group, scenario);
    Timeline timeline(plan, group, 40, experiment.begin(1));
    std::vector<Moment> unowned, twice_owned, others_unowned;
    int whole = 0;
    std::map<std::string, int> ends;
    for (int i = 1; i <= runs; ++i) {
        const Result result = experiment.run(static_cast<std::uint64_t>(i), i == 1 ? &timeline : nullptr);
        unowned.push_back(result.unowned);
        twice_owned.push_back(result.twice_owned);
        others_unowned.push_back(result.others_unowned);
        whole += result.is_whole;
        ++ends[result.master < 0 ? "without a single master"
                                 : fmt::format("with {} as MASTER ({})",
                                               plan.hosts[static_cast<std::size_t>(result.master)].name,
                                               to_string(result.cause))];
    }
    fmt::print("\n{}: {}\n", scenario.name, scenario.what);
    print_distribution("without an owner", unowned);
    print_distribution("with two owners", twice_owned);
    for (const auto& [end, count] : ends) fmt::print("  ends {}: {} of {} runs\n", end, count, runs);
    if (plan.groups.size() > 1) {
        print_distribution("others of its set", others_unowned);
        fmt::print("  ends with the whole set on one host: {} of {} runs\n", whole, runs);
    }
    fmt::print("  one run:\n{}", timeline.text());
}

void print_group(const Plan& plan, const SharedGroup& group, const std::vector<HostFile>& files) {
    fmt::print("\n=== group {} (vhid {}):", group.configs[0].name, group.configs[0].vhid.value);
    for (const InterfaceAddress& a : group.configs[0].addresses) fmt::print(" {}", a.to_string());
    fmt::print("\n");
    for (std::size_t i = 0; i < group.hosts.size(); ++i) {
        const GroupConfig& c = group.configs[i];
        fmt::print("  {} on {}: advbase {} advskew {}{}, advertises every {}, takes over after {}\n",
                   files[group.hosts[i]].name, c.interface, c.advbase.seconds, c.advskew.value,
                   c.preempt ? " preempt" : "", seconds(advertisement_interval(c.advbase, c.advskew).count()),
                   seconds(master_down_interval(c.advbase, c.advskew).count()));
        if (!c.together.empty() && plan.groups.size() > 1)
            fmt::print("    and all of set {} together\n", c.together);
    }
}

// A check's verdict depends on the world outside, which isn't simulated.
void print_tracks(const HostFile& host) {
    std::vector<std::string> names;
    for (const TrackConfig& track : host.config.tracks) names.push_back(track.name);
    if (!names.empty())
        fmt::print("note: all checks of {} are assumed to pass: {}\n", host.name, fmt::join(names, ", "));
}

// Reads all files and reports what is wrong with any.
std::optional<std::vector<HostFile>> read(const std::vector<std::string>& files) {
    std::vector<HostFile> hosts;
    bool valid = true;
    for (const std::string& path : files) {
        const auto file = load_config(path);
        valid = valid && file;
        const ConfigErrors& told = file ? file->warnings : file.error();
        for (const ConfigError& error : told)
            fmt::print(stderr, "{}{}\n", file ? "warning: " : "", error.to_string(path));
        if (file) hosts.push_back({std::filesystem::path(path).stem().string(), file->config});
    }
    if (!valid) return std::nullopt;
    // Files of the same name, such as a/carpd.toml and b/carpd.toml, are told apart by their paths.
    for (std::size_t i = 0; i < hosts.size(); ++i)
        for (std::size_t j = 0; j < hosts.size(); ++j)
            if (i != j && hosts[i].name == hosts[j].name) hosts[i].name = files[i], hosts[j].name = files[j];
    return hosts;
}

}  // namespace

std::vector<std::string> scenario_names() {
    std::vector<std::string> names;
    for (const Scenario& scenario : kScenarios) names.emplace_back(scenario.name);
    return names;
}

int what_if(const WhatIfOptions& options) {
    const auto hosts = read(options.files);
    if (!hosts) return kConfigInvalid;
    const Cluster cluster = match(*hosts);
    for (const std::string& warning : cluster.warnings) fmt::print("warning: {}\n", warning);
    for (const HostFile& host : *hosts) print_tracks(host);
    if (cluster.sets.empty()) {
        fmt::print(stderr,
                   "carpsim: no two of the files share a group; a group is shared by vhid and address\n");
        return kConfigInvalid;
    }
    for (const SharedGroups& set : cluster.sets) {
        const Plan plan = plan_of(*hosts, set);
        for (std::size_t g = 0; g < set.size(); ++g) {
            print_group(plan, set[g], *hosts);
            for (const Scenario& scenario : kScenarios) {
                const auto& wanted = options.scenarios;
                if (wanted.empty() || std::find(wanted.begin(), wanted.end(), scenario.name) != wanted.end())
                    print_scenario(plan, static_cast<int>(g), scenario, options.runs);
            }
        }
    }
    return 0;
}

}  // namespace carpd::sim
