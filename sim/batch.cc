#include "sim/batch.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/assert.h"

namespace carpd::sim {

namespace {

constexpr unsigned kLongestSeed = 120;  // seconds after which a world is thought to be endless
constexpr std::size_t kTooMany = 20;    // failures after which the rest isn't tried

// What a worker says of a seed; smaller than PIPE_BUF, so that several may write into one pipe.
struct Result {
    std::uint64_t seed, events;
    Moment virtual_time;
    std::int64_t cpu_ns;
    decltype(Outcome::tallies) tallies;
    char checker[32];  // empty: all held
};

std::int64_t cpu_time() {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * kSecond + t.tv_nsec;
}

Result run_one(const Worlds& worlds, std::uint64_t seed) {
    const std::int64_t began = cpu_time();
    const Outcome outcome = worlds.run(seed);
    Result result{seed, outcome.events, outcome.virtual_time, cpu_time() - began, outcome.tallies, {}};
    if (outcome.violation) outcome.violation->checker.copy(result.checker, sizeof result.checker - 1);
    return result;
}

class Batch {
 public:
    Batch(const BatchOptions& options, const Worlds& worlds)
        : options_(options),
          worlds_(worlds),
          began_(std::chrono::steady_clock::now()),
          workers_(static_cast<std::size_t>(options.jobs)) {
        // Where each worker stands, for the parent to see when it dies.
        void* memory = mmap(nullptr, workers_.size() * sizeof(std::uint64_t), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        CARPD_ASSERT(memory != MAP_FAILED);
        position_ = static_cast<volatile std::uint64_t*>(memory);
        CARPD_ASSERT(pipe(pipe_) == 0);
    }

    bool run() {
        for (std::size_t w = 0; w < workers_.size(); ++w) launch(w, options_.first + w);
        std::size_t running = workers_.size();
        while (running > 0) {
            Result result;
            if (pending() && read(pipe_[0], &result, sizeof result) == sizeof result) {
                add(result);
                continue;
            }
            running -= reap();
        }
        return finish();
    }

 private:
    std::uint64_t end() const { return options_.first + options_.count; }

    void launch(std::size_t worker, std::uint64_t seed) {
        std::fflush(nullptr);
        position_[worker] = seed;
        workers_[worker] = fork();
        CARPD_ASSERT(workers_[worker] >= 0);
        if (workers_[worker] != 0) return;
        for (; seed < end(); seed += workers_.size()) {
            position_[worker] = seed;
            alarm(kLongestSeed);
            const Result result = run_one(worlds_, seed);
            if (write(pipe_[1], &result, sizeof result) != sizeof result) break;
        }
        _exit(0);
    }

    // A result waits, or comes within a moment.
    bool pending() {
        fd_set set;
        FD_ZERO(&set);
        FD_SET(pipe_[0], &set);
        timeval wait{0, 100'000};
        return select(pipe_[0] + 1, &set, nullptr, nullptr, &wait) > 0;
    }

    // The number of workers that have ended for good. One that was killed by its seed goes on behind it.
    std::size_t reap() {
        std::size_t ended = 0;
        for (std::size_t w = 0; w < workers_.size(); ++w) {
            int status = 0;
            if (workers_[w] <= 0 || waitpid(workers_[w], &status, WNOHANG) != workers_[w]) continue;
            workers_[w] = 0;
            if (WIFEXITED(status) || stopping_) {
                ++ended;
                continue;
            }
            const bool endless = WTERMSIG(status) == SIGALRM;
            Result result{position_[w], 0, 0, 0, {}, {}};
            std::string_view(endless ? "core-hangs" : "core-assertion")
                .copy(result.checker, sizeof result.checker - 1);
            add(result);
            if (result.seed + workers_.size() < end() && !stopping_)
                launch(w, result.seed + workers_.size());
            else
                ++ended;
        }
        return ended;
    }

    void add(const Result& result) {
        ++done_;
        events_ += result.events;
        virtual_time_ += result.virtual_time;
        cpu_ns_ += result.cpu_ns;
        for (std::size_t i = 0; i < tallies_.size(); ++i) tallies_[i] += result.tallies[i];
        if (result.checker[0] != 0) {
            failures_[result.seed] = result.checker;
            fmt::print("seed {} broken: {}: replay with {} {}\n", result.seed, result.checker,
                       worlds_.command, result.seed);
        }
        if (failures_.size() >= kTooMany && !stopping_) {
            stopping_ = true;
            fmt::print("too many failures; the other seeds are left out\n");
            for (pid_t worker : workers_)
                if (worker > 0) kill(worker, SIGTERM);
        }
        const auto now = std::chrono::steady_clock::now();
        if (now - progress_ < std::chrono::seconds(10)) return;
        progress_ = now;
        fmt::print("{} of {} seeds, {} failed, {} s\n", done_, options_.count, failures_.size(),
                   std::chrono::duration_cast<std::chrono::seconds>(now - began_).count());
        std::fflush(stdout);
    }

    bool finish() {
        if (!failures_.empty()) {
            const std::uint64_t first = failures_.begin()->first;
            fmt::print("\nthe first of the failed seeds:\n");
            if (failures_.begin()->second.starts_with("core-"))
                fmt::print("broken: {}: the world did not end\nreplay: {} {}\n", failures_.begin()->second,
                           worlds_.command, first);
            else
                worlds_.print(first);
            fmt::print("\n");
        }
        std::map<std::string, int> by_checker;
        for (const auto& [seed, checker] : failures_) ++by_checker[checker];
        for (const auto& [checker, count] : by_checker) fmt::print("{:>6} seeds broke {}\n", count, checker);
        for (std::size_t i = 0; i < worlds_.tallies.size(); ++i)
            fmt::print("{:>12} {}\n", tallies_[i], worlds_.tallies[i]);
        const auto wall =
            std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began_);
        fmt::print(
            "{} seeds, {} virtual hours, {} events, {} events per second and core, {} us of CPU per seed, {} "
            "s, {} failed\n",
            done_, virtual_time_ / kSecond / 3600, events_,
            cpu_ns_ > 0 ? events_ * 1'000 / static_cast<std::uint64_t>(cpu_ns_ / 1'000'000 + 1) : 0,
            done_ > 0 ? cpu_ns_ / 1'000 / static_cast<std::int64_t>(done_) : 0, wall.count() / 1000,
            failures_.size());
        return failures_.empty() && done_ == options_.count;
    }

    BatchOptions options_;
    const Worlds& worlds_;
    std::chrono::steady_clock::time_point began_, progress_ = began_;
    std::vector<pid_t> workers_;
    volatile std::uint64_t* position_;
    int pipe_[2];
    std::map<std::uint64_t, std::string> failures_;  // by seed
    std::uint64_t done_ = 0, events_ = 0;
    std::int64_t virtual_time_ = 0, cpu_ns_ = 0;
    decltype(Outcome::tallies) tallies_{};
    bool stopping_ = false;
};

}  // namespace

bool run_batch(const BatchOptions& options, const Worlds& worlds) {
    return Batch(options, worlds).run();
}

}  // namespace carpd::sim
