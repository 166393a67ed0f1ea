#include "bench/sync_runs.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

#include "bench/flow_generator.h"
#include "bench/flow_table.h"
#include "bench/usage.h"
#include "lab/error.h"

namespace carpd::bench {

namespace {

using namespace std::chrono_literals;
using lab::Clock;
using lab::Span;
using lab::Time;

constexpr std::uint16_t kPort = 80, kFirstPort = 81, kProbePort = 82;
constexpr Span kStart = 20s, kFill = 60s, kRecovery = 60s;
constexpr int kEventsEach = 3;

// One program on both firewalls.
class Pair {
 public:
    explicit Pair(const Synchronizer& program) : program_(program) {}

    void start_first() { first_ = program_.start(firewalls_, firewalls_.first); }
    void start_second() { second_ = program_.start(firewalls_, firewalls_.second); }
    // Both; returns when a connection came from one to the other.
    void start() {
        start_first();
        start_second();
        FlowGenerator generator(firewalls_, kFirstPort);
        const auto arrives = [&] {
            generator.one();
            return lab::wait_until([&] { return known() > 0; }, 200ms, 20ms);
        };
        if (!lab::wait_until(arrives, kStart))
            lab::fail("{} tells the other firewall nothing", program_.name);
        wait_settled();
    }

    Firewalls& firewalls() { return firewalls_; }
    std::uint64_t known() { return program_.count_known(firewalls_); }

    // Until the second one knows all, or learns nothing new for a while.
    void wait_settled(Span quiet = 3s) {
        std::uint64_t last = 0;
        Time changed = Clock::now();
        while (last != count_flows(firewalls_.first) && Clock::now() < changed + quiet) {
            std::this_thread::sleep_for(100ms);
            if (const std::uint64_t now = known(); now != last) last = now, changed = Clock::now();
        }
    }

    bool is_equal() { return known() == count_flows(firewalls_.first) && missing() == 0; }
    std::uint32_t missing() {
        if (program_.into_kernel) return count_missing(firewalls_.first, firewalls_.second);
        const std::uint64_t here = count_flows(firewalls_.first);
        return static_cast<std::uint32_t>(here - std::min(here, known()));
    }
    // Nothing: not in time.
    std::optional<double> seconds_until_equal(Span patience) {
        const Time start = Clock::now();
        if (!lab::wait_until([&] { return is_equal(); }, patience, 50ms)) return std::nullopt;
        return lab::to_seconds(Clock::now() - start);
    }

 private:
    const Synchronizer& program_;
    Firewalls firewalls_;
    Running first_, second_;
};

Memory memory_of(Pair& pair) {
    return {pss_kib(pair.firewalls().first.space().processes()),
            pss_kib(pair.firewalls().second.space().processes())};
}

// Connections to kPort in the background, until it goes.
class Background {
 public:
    Background(const Firewalls& firewalls, int per_second) : generator_(firewalls, kPort) {
        if (per_second == 0) return;
        const auto a_tenth = static_cast<std::uint32_t>(per_second / 10);
        thread_ = std::thread([=, this] {
            while (!stop_) generator_.run(a_tenth, per_second);
        });
    }
    ~Background() {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
    }

 private:
    FlowGenerator generator_;
    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

// The calling thread comes before all that is measured, so that it isn't what takes time.
void hurry() {
    const sched_param low{1};
    pthread_setschedparam(pthread_self(), SCHED_FIFO, &low);
}

void probe(Pair& pair, Span interval, Span duration, Latencies& found) {
    hurry();
    FlowGenerator generator(pair.firewalls(), kProbePort);
    FlowWatch watch(pair.firewalls().second, kProbePort);
    const Time end = Clock::now() + duration;
    for (Time next = Clock::now(); next < end;) {
        next += interval + interval * (generator.made() % 7) / 20;  // in step with nothing
        std::this_thread::sleep_until(next);
        const Time start = Clock::now();
        generator.one();
        const bool came = watch.wait(std::chrono::milliseconds(static_cast<int>(Latencies::kPatienceMs)));
        found.ms.push_back(came ? lab::to_ms(Clock::now() - start) : Latencies::kPatienceMs);
        found.lost += !came;
        next = std::max(next, Clock::now());
    }
}

}  // namespace

Replication replicate(const Synchronizer& program, int per_second, std::uint32_t connections) {
    Pair pair(program);
    pair.start();
    Firewalls& firewalls = pair.firewalls();
    const auto processes_first = firewalls.first.space().processes(),
               processes_second = firewalls.second.space().processes();
    FlowGenerator generator(firewalls, kPort);
    const double first = cpu_seconds(processes_first), second = cpu_seconds(processes_second);
    const std::uint64_t bytes = firewalls.sync_bytes();
    const double rate = generator.run(connections, per_second);
    pair.wait_settled();
    const double of_100k = 1e5 / connections;
    Replication result{rate, (cpu_seconds(processes_first) - first) * of_100k,
                       (cpu_seconds(processes_second) - second) * of_100k, 0,
                       static_cast<double>(firewalls.sync_bytes() - bytes) / connections / kEventsEach};
    if (count_flows(firewalls.first) < connections) lab::fail("not all connections were made");
    pair.seconds_until_equal(3s);  // the last ones are there, but may have changed since
    result.missing = pair.missing();
    return result;
}

Latencies measure_latencies(const Synchronizer& program, int per_second) {
    Pair pair(program);
    pair.start();
    Latencies found;
    const Background background(pair.firewalls(), per_second);
    std::thread([&] { probe(pair, per_second == 0 ? 10ms : 4ms, 4s, found); }).join();
    std::ranges::sort(found.ms);
    return found;
}

Memory measure_memory(const Synchronizer& program) {
    Pair pair(program);
    pair.start();
    return memory_of(pair);
}

Handover hand_over(const Synchronizer& program, const Memory& empty, std::uint32_t connections) {
    Pair pair(program);
    Firewalls& firewalls = pair.firewalls();
    create_connections(firewalls.first, 0, connections, kPort);
    pair.start_first();
    const Time second_started = Clock::now();
    pair.start_second();
    // A request may be lost among what it causes.
    const auto filled = [&] {
        if (program.fetch) program.fetch(firewalls);
        pair.wait_settled(5s);
        return pair.known() == connections;
    };
    Handover result;
    if (lab::wait_until(filled, kFill)) result.filled_s = lab::to_seconds(Clock::now() - second_started);
    const Memory full = memory_of(pair);
    result.sender_bytes = (full.sender_kib - empty.sender_kib) * 1024 / connections;
    result.receiver_bytes = (full.receiver_kib - empty.receiver_kib) * 1024 / connections;

    const Time start = program.take_over(firewalls);
    if (lab::wait_until([&] { return count_flows(firewalls.second) >= connections; }, 10s, 1ms))
        result.usable_ms = lab::to_ms(Clock::now() - start);
    result.missing = count_missing(firewalls.first, firewalls.second);
    return result;
}

Recovery recover_from_burst(const Synchronizer& program, std::uint32_t connections) {
    Pair pair(program);
    pair.start();
    const lab::Host& first = pair.firewalls().first;
    const std::uint64_t lost = count_lost_events(first);
    create_connections(first, 0, connections, kPort);
    const auto seconds = pair.seconds_until_equal(kRecovery);
    return {connections, count_lost_events(first) - lost, seconds};
}

Recovery recover_from_cut(const Synchronizer& program) {
    constexpr std::uint32_t kConnections = 60'000, kEnded = 20'000;
    constexpr int kRate = 10'000;
    Pair pair(program);
    pair.start();
    Firewalls& firewalls = pair.firewalls();
    FlowGenerator generator(firewalls, kPort);
    generator.run(kConnections, kRate);
    pair.wait_settled();
    const std::uint64_t lost = count_lost_events(firewalls.first);
    firewalls.plug_sync(false);
    generator.run(kConnections, kRate);
    remove_connections(firewalls.first, 0, kEnded, kPort);
    firewalls.plug_sync(true);
    const auto seconds = pair.seconds_until_equal(kRecovery);
    return {2 * kConnections - kEnded, count_lost_events(firewalls.first) - lost, seconds};
}

}  // namespace carpd::bench
