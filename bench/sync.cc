#include "bench/sync.h"

#include <algorithm>
#include <limits>
#include <map>

#include "bench/kernel_limits.h"
#include "bench/sync_runs.h"
#include "bench/table.h"
#include "lab/error.h"

namespace carpd::bench {

namespace {

struct Rate {
    int per_second, runs;
};
constexpr Rate kRates[] = {{10'000, 3}, {20'000, 3}, {30'000, 1}, {50'000, 3}, {80'000, 1}};
constexpr int kSecondsOfRun = 3;
constexpr int kBusy = 10'000;
constexpr std::uint32_t kManyConnections[] = {100'000, 1'000'000};
constexpr std::uint32_t kBurst = 500'000;
constexpr const char *kBurstTrouble = "burst", *kCutTrouble = "cut of the link";
constexpr const char* kCached = "conntrackd";
constexpr const char* kDirect = "conntrackd, no ext. cache";

using Programs = std::vector<Synchronizer>;
constexpr int kNameWidth = -26;

template <class T>
nlohmann::json or_null(const std::optional<T>& value) {
    return value ? nlohmann::json(*value) : nlohmann::json();
}

// ---- while connections come

struct Replications {
    std::vector<double> per_second, sender_s, receiver_s, missing, bytes_per_event;
    void add(const Replication& run) {
        per_second.push_back(run.per_second);
        sender_s.push_back(run.sender_s);
        receiver_s.push_back(run.receiver_s);
        missing.push_back(run.missing);
        bytes_per_event.push_back(run.bytes_per_event);
    }
};
using Replicated = std::map<std::pair<int, std::string>, Replications>;  // by rate and program

Replicated measure_replication(const Programs& programs, Table& table) {
    Replicated all;
    for (const Rate& rate : kRates) {
        for (int run = 0; run < rate.runs; ++run)
            for (const Synchronizer& program : programs)  // of one beside a run of the others
                all[{rate.per_second, program.name}].add(replicate(
                    program, rate.per_second, static_cast<std::uint32_t>(rate.per_second * kSecondsOfRun)));
        for (const Synchronizer& program : programs) {
            const Replications& r = all[{rate.per_second, program.name}];
            const auto theirs = all.find({rate.per_second, kCached});
            const auto ratio = [&](const std::vector<double> Replications::*figure) {
                return theirs == all.end()
                           ? nlohmann::json()
                           : nlohmann::json(median(r.*figure) / median(theirs->second.*figure));
            };
            table.add({rate.per_second, program.name, rate.runs, median(r.per_second), median(r.sender_s),
                       ratio(&Replications::sender_s), median(r.receiver_s), ratio(&Replications::receiver_s),
                       median(r.missing), std::ranges::max(r.missing), median(r.bytes_per_event),
                       ratio(&Replications::bytes_per_event)});
        }
    }
    return all;
}

Table replication_table() {
    return Table({{"rate_per_s", "flows/s", 7},
                  {"program", "program", kNameWidth},
                  {"runs", "runs", 4},
                  {"made_per_s", "made/s", 7},
                  {"sender_cpu_s_per_100k", "sender CPU s", 12, 3},
                  {"sender_of_conntrackd", "of cntd.", 8, 2},
                  {"receiver_cpu_s_per_100k", "receiver CPU s", 14, 3},
                  {"receiver_of_conntrackd", "of cntd.", 8, 2},
                  {"missing_median", "missing", 7},
                  {"missing_max", "max", 7},
                  {"bytes_per_event", "bytes/event", 11, 1},
                  {"bytes_of_conntrackd", "of cntd.", 8, 2}});
}

// The highest rate up to which no run of any lost a flow.
nlohmann::json find_lossless(const Programs& programs, const Replicated& found) {
    Table table({{"program", "program", kNameWidth}, {"lossless_per_s", "flows/s without loss", 20}});
    for (const Synchronizer& program : programs) {
        int best = 0;
        for (const Rate& rate : kRates) {
            if (std::ranges::max(found.at({rate.per_second, program.name}).missing) > 0) break;
            best = rate.per_second;
        }
        table.add({program.name, best});
    }
    return table.rows();
}

// ---- latency

using Latent = std::map<std::pair<int, std::string>, Latencies>;  // by the others' rate and program

double percentile(const std::vector<double>& sorted, double share) {
    return sorted.at(static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1)));
}

Table latency_table() {
    return Table({{"beside_per_s", "beside flows/s", 14},
                  {"program", "program", kNameWidth},
                  {"samples", "samples", 7},
                  {"median_ms", "median ms", 9, 3},
                  {"p90_ms", "p90 ms", 8, 3},
                  {"p99_ms", "p99 ms", 8, 3},
                  {"lost", "lost", 5}});
}

Latent measure_latency(const Programs& programs, Table& table) {
    Latent all;
    for (const int rate : {0, kBusy})
        for (const Synchronizer& program : programs) {
            if (!program.into_kernel) continue;
            const Latencies& l = all[{rate, program.name}] = measure_latencies(program, rate);
            table.add({rate, program.name, l.ms.size(), percentile(l.ms, 0.5), percentile(l.ms, 0.9),
                       percentile(l.ms, 0.99), l.lost});
        }
    return all;
}

// ---- takeover and memory

using Handovers = std::map<std::pair<std::uint32_t, std::string>, Handover>;  // by connections and program

Handovers measure_handovers(const Programs& programs, std::uint32_t most, Table& table) {
    Handovers all;
    for (const Synchronizer& program : programs) {
        const Memory empty = measure_memory(program);
        for (const std::uint32_t connections : kManyConnections) {
            if (connections > most) continue;
            const Handover& h = all[{connections, program.name}] = hand_over(program, empty, connections);
            table.add({connections, program.name, or_null(h.filled_s), h.sender_bytes, h.receiver_bytes,
                       or_null(h.usable_ms), h.missing});
        }
    }
    return all;
}

Table handover_table() {
    return Table({{"flows", "flows", 8},
                  {"program", "program", kNameWidth},
                  {"filled_s", "filled s", 8, 2},
                  {"sender_bytes_per_flow", "sender B/flow", 13},
                  {"receiver_bytes_per_flow", "receiver B/flow", 15},
                  {"usable_ms", "usable after ms", 15, 1},
                  {"missing", "missing", 8}});
}

// ---- recovery

using Recoveries = std::map<std::pair<std::string, std::string>, Recovery>;  // by trouble and program

Recoveries measure_recoveries(const Programs& programs, Table& table) {
    Recoveries all;
    const auto add = [&](const char* trouble, const Synchronizer& program, const Recovery& r) {
        all[{trouble, program.name}] = r;
        table.add({trouble, program.name, r.connections, r.lost_events, or_null(r.seconds)});
    };
    for (const Synchronizer& program : programs)
        add(kBurstTrouble, program, recover_from_burst(program, kBurst));
    for (const Synchronizer& program : programs) add(kCutTrouble, program, recover_from_cut(program));
    return all;
}

Table recovery_table() {
    return Table({{"trouble", "trouble", -24},
                  {"program", "program", kNameWidth},
                  {"flows", "flows", 8},
                  {"lost_events", "lost events", 11},
                  {"seconds", "equal after s", 13, 2}});
}

// ---- what must be reached

struct Found {
    Replicated replication;
    Latent latency;
    Handovers handover;
    Recoveries recovery;
};

double or_never(const std::optional<double>& value) {
    return value.value_or(std::numeric_limits<double>::infinity());
}

void add_replication_goals(const Replicated& found, Goals& goals) {
    for (const int rate : {10'000, 20'000}) {
        const auto ratio = [&](const std::vector<double> Replications::*figure, const char* theirs) {
            return median(found.at({rate, "carpd"}).*figure) / median(found.at({rate, theirs}).*figure);
        };
        const std::string where = fmt::format("{} flows/s: ", rate);
        goals.at_most(where + "sender's CPU / conntrackd's", ratio(&Replications::sender_s, kCached), 0.25);
        goals.at_most(where + "receiver's CPU / conntrackd's", ratio(&Replications::receiver_s, kCached), 1);
        goals.at_most(where + "receiver's CPU / without external cache",
                      ratio(&Replications::receiver_s, kDirect), 0.5);
        goals.at_most(where + "bytes on the wire / conntrackd's",
                      ratio(&Replications::bytes_per_event, kCached), 0.5);
    }
}

void add_handover_goals(const Found& found, Goals& goals, bool beside_conntrackd) {
    for (const auto& [key, ours] : found.handover) {
        const auto& [connections, name] = key;
        if (name != "carpd") continue;
        const std::string where = fmt::format("{} flows: ", connections);
        if (beside_conntrackd) {
            const Handover& theirs = found.handover.at({connections, kCached});
            goals.at_most(where + "sender's memory / conntrackd's", ours.sender_bytes / theirs.sender_bytes,
                          0.25);
            goals.at_most(where + "receiver's memory / conntrackd's",
                          ours.receiver_bytes / theirs.receiver_bytes, 0.25);
        }
        goals.at_most(where + "usable after the takeover, ms", or_never(ours.usable_ms), 5);
        goals.at_most(where + "missing after the takeover", ours.missing, 0);
        goals.at_most(where + "a new peer knows all, s per 100,000",
                      or_never(ours.filled_s) / connections * 1e5, 2);
    }
}

nlohmann::json goals_of(const Found& found, bool beside_conntrackd) {
    Goals goals;
    if (beside_conntrackd) add_replication_goals(found.replication, goals);
    goals.at_most("50000 flows/s: missing", std::ranges::max(found.replication.at({50'000, "carpd"}).missing),
                  0);
    const auto& idle = found.latency.at({0, "carpd"}).ms;
    const auto& busy = found.latency.at({kBusy, "carpd"}).ms;
    goals.at_most("in the peer's kernel, idle: median ms", percentile(idle, 0.5), 0.4);
    goals.at_most("in the peer's kernel, 10000 flows/s: median ms", percentile(busy, 0.5), 2);
    goals.at_most("in the peer's kernel, 10000 flows/s: p99 ms", percentile(busy, 0.99), 10);
    add_handover_goals(found, goals, beside_conntrackd);
    for (const char* trouble : {kBurstTrouble, kCutTrouble}) {
        const Recovery& r = found.recovery.at({trouble, "carpd"});
        goals.at_most(fmt::format("{}: equal after, s per 100,000 flows", trouble),
                      or_never(r.seconds) / r.connections * 1e5, 2);
    }
    return goals.rows();
}

}  // namespace

nlohmann::json sync() {
    if (const std::string why_not = lab::why_no_lab(); !why_not.empty()) lab::fail("{}", why_not);
    const ConntrackRoom room;
    const Programs programs = synchronizers();
    const nlohmann::json limits = kernel_limits();
    Found found;
    Table replication = replication_table();
    found.replication = measure_replication(programs, replication);
    const nlohmann::json lossless = find_lossless(programs, found.replication);
    Table latency = latency_table();
    found.latency = measure_latency(programs, latency);
    Table handover = handover_table();
    found.handover = measure_handovers(programs, room.flows(), handover);
    Table recovery = recovery_table();
    found.recovery = measure_recoveries(programs, recovery);
    return {{"limits", limits},
            {"replication", replication.rows()},
            {"lossless", lossless},
            {"latency", latency.rows()},
            {"handover", handover.rows()},
            {"recovery", recovery.rows()},
            {"goals", goals_of(found, programs.size() > 1)}};
}

}  // namespace carpd::bench
