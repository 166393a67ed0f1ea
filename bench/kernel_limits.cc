#include "bench/kernel_limits.h"

#include <time.h>

#include <functional>
#include <vector>

#include "bench/flow_generator.h"
#include "bench/table.h"
#include "lab/error.h"
#include "lab/namespace.h"
#include "linux/conntrack_dump.h"
#include "linux/conntrack_events.h"
#include "linux/conntrack_table.h"

namespace carpd::bench {

namespace {

constexpr std::uint32_t kFlows = 100'000;
constexpr int kRuns = 5;
constexpr std::size_t kEventBuffer = std::size_t{1400} * kFlows;  // all of them, each 1280 bytes

double cpu_of_this_thread() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

struct Speed {
    std::vector<double> seconds, cpu_seconds;
    void measure(const std::function<void()>& work) {
        const double before = cpu_of_this_thread();
        const lab::Time start = lab::Clock::now();
        work();
        seconds.push_back(lab::to_seconds(lab::Clock::now() - start));
        cpu_seconds.push_back(cpu_of_this_thread() - before);
    }
};

struct Speeds {
    Speed create, dump, create_heard, read_events, remove_heard;
};

void change_all(ConntrackTable& table, FlowChange::Kind kind) {
    std::vector<FlowChange> batch;
    for (std::uint32_t number = 0; number < kFlows;) {
        for (batch.clear(); batch.size() < ConntrackTable::kBatch && number < kFlows; ++number)
            batch.push_back({kind, connection(number, 80)});
        if (!table.run(batch).empty()) lab::fail("the kernel refuses flows");
    }
}

void dump_all() {
    auto dump = ConntrackDump::start();
    std::uint32_t count = 0;
    for (bool more = dump.has_value(); more;) {
        const auto read = dump->read([&](const FlowEvent&) { ++count; });
        more = read && *read;
    }
    if (count != kFlows) lab::fail("a dump has {} flows instead of {}", count, kFlows);
}

void read_all(ConntrackEvents& events) {
    std::size_t count = 0;
    for (bool more = true; more;) {
        const auto batch = events.read();
        count += batch.events.size();
        more = batch.more;
    }
    if (count != kFlows) lab::fail("{} events were heard instead of {}", count, kFlows);
}

// In the namespace of the calling thread.
void measure(Speeds& speeds) {
    auto table = ConntrackTable::open();
    if (!table) lab::fail("{}", table.error().to_string());
    speeds.create.measure([&] { change_all(*table, FlowChange::Kind::create); });
    speeds.dump.measure(dump_all);
    change_all(*table, FlowChange::Kind::remove);
    auto events = ConntrackEvents::open({0, kEventBuffer});
    if (!events) lab::fail("{}", events.error().to_string());
    speeds.create_heard.measure([&] { change_all(*table, FlowChange::Kind::create); });
    speeds.read_events.measure([&] { read_all(*events); });
    speeds.remove_heard.measure([&] { change_all(*table, FlowChange::Kind::remove); });
}

}  // namespace

nlohmann::json kernel_limits() {
    Speeds speeds;
    for (int run = 0; run < kRuns; ++run) {
        const lab::Namespace space("limits");
        space.inside([&] { measure(speeds); });
    }
    Table table({{"limit", "of the kernel alone", -40},
                 {"flows_per_s", "flows/s", 10},
                 {"cpu_us_per_flow", "CPU us/flow", 11, 2}});
    const auto add = [&](const char* name, const Speed& speed) {
        table.add({name, kFlows / median(speed.seconds), 1e6 * median(speed.cpu_seconds) / kFlows});
    };
    add("create, 64 at a time", speeds.create);
    add("create while a socket hears of it", speeds.create_heard);
    add("remove while a socket hears of it", speeds.remove_heard);
    add("dump and parse", speeds.dump);
    add("read and parse events", speeds.read_events);
    return table.rows();
}

}  // namespace carpd::bench
