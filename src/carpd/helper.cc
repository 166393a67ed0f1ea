#include "carpd/helper.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "carpd/keeper.h"
#include "linux/clock.h"
#include "linux/log.h"
#include "linux/process.h"

namespace carpd {

namespace {

// What is heard before hooks are looked after.
constexpr int kMessagesAtOnce = 256;

}  // namespace

Expected<Helper, SysError> Helper::open(const Config& config, std::string path, MessageSocket engine) {
    auto signals = open_signals({SIGHUP, SIGTERM, SIGINT, kEndSignal});
    if (!signals) return Unexpected{signals.error()};
    auto runner = ScriptRunner::open();
    if (!runner) return Unexpected{runner.error()};
    auto tracks = HelperTracks::open();
    if (!tracks) return Unexpected{tracks.error()};
    return Helper(config, std::move(path), std::move(engine), std::move(*signals), std::move(*runner),
                  std::move(*tracks));
}

Helper::Helper(const Config& config, std::string path, MessageSocket engine, UniqueFd signals,
               ScriptRunner runner, HelperTracks tracks)
    : path_(std::move(path)),
      engine_(std::move(engine)),
      signals_(std::move(signals)),
      runner_(std::move(runner)),
      tracks_(std::move(tracks)),
      now_(host_now()) {
    apply(config);
}

void Helper::run() {
    say_hello();
    while (!has_ended()) {
        wait();
        now_ = host_now();
        handle_signals();
        hear_engine();
        run_hooks();
        if (!is_ending_) tracks_.wake(now_, engine_);
    }
}

void Helper::wait() {
    pollfd events[] = {{signals_.get(), POLLIN, 0},
                       {runner_.fd(), POLLIN, 0},
                       {is_ending_ ? -1 : tracks_.fd(), POLLIN, 0},
                       // Once it is closed it would wake us for ever.
                       {engine_.is_closed() ? -1 : engine_.fd(), POLLIN, 0}};
    const Instant until =
        std::min({runner_.next_deadline(), stop_hooks_at_, is_ending_ ? kNever : tracks_.next_deadline()});
    const Duration left = std::max(until - host_now(), Duration(0));
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec timeout{seconds.count(), (left - seconds).count()};
    ppoll(events, std::size(events), until == kNever ? nullptr : &timeout, nullptr);
}

void Helper::handle_signals() {
    signalfd_siginfo info;
    while (read(signals_.get(), &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGHUP) reload();
        if (info.ssi_signo == kEndSignal) begin_to_end();
    }
}

// Errors are the engine's to tell: it has read the same file.
void Helper::reload() {
    if (const auto file = load_config(path_)) apply(file->config);
    give_back_memory();
}

void Helper::apply(const Config& config) {
    std::vector<std::string> names;
    for (const GroupConfig& group : config.groups) names.push_back(group.name);
    queue_.configure(config.hooks, names);
    tracks_.configure(now_, config);
}

// ---- the engine

void Helper::hear_engine() {
    int heard = 0;
    for (; heard < kMessagesAtOnce; ++heard) {
        const auto message = engine_.receive();
        if (!message) break;
        handle_message(*message);
    }
    has_heard_all_ = heard < kMessagesAtOnce;
    if (engine_.is_closed()) begin_to_end();
}

void Helper::handle_message(std::string_view text) {
    const auto message = parse_engine_message(text);
    if (!message)
        log(LogLevel::error, fmt::format("the engine sent what the helper can't read: {}", message.error()));
    else if (const auto* news = std::get_if<GroupNews>(&*message))
        queue_.add(*news);
    else {
        queue_.engine_ended(wall_clock(), wall_clock_ms());
        say_hello();  // to the next one
        tracks_.forget_told();
    }
}

void Helper::say_hello() const {
    engine_.send(to_message(HelperMessage(HelperHello{getpid()})));
    engine_.send(to_message(HelperMessage(figures_)));
}

// ---- hooks

void Helper::run_hooks() {
    runner_.wake(now_, [this](ScriptRunner::RunId id, const ScriptEnd& end) {
        const auto ended = runs_.extract(id);
        hook_ended(ended.mapped(), end);
    });
    if (stop_hooks_at_ <= now_) {
        stop_hooks_at_ = kNever;
        is_over_ = true;
        runner_.stop_all(now_);
    }
    if (is_over_) return;
    while (auto run = queue_.take()) {
        const auto id = runner_.start({run->hook->command, hook_environment(*run), run->hook->timeout}, now_);
        runs_.emplace(id, std::move(*run));
    }
}

void Helper::hook_ended(const HookRun& run, const ScriptEnd& end) {
    queue_.ended(run.news.group);
    ++figures_.run;
    figures_.failed += end.succeeded() ? 0 : 1;
    figures_.timed_out += end.how == ScriptEnd::How::timed_out ? 1 : 0;
    figures_.missed = queue_.missed();
    // Where it has no room, it gets the next ones.
    engine_.send(to_message(HelperMessage(figures_)));
    const bool reasserted = run.news.kind == GroupNews::Kind::reasserted;
    log(end.succeeded() ? LogLevel::debug : LogLevel::warning,
        fmt::format("{}: hook {} ({}) {}", run.news.group, run.hook->command.front(),
                    reasserted ? "reasserted" : to_string(run.news.state), end.to_string()));
}

// ---- the end

void Helper::begin_to_end() {
    if (!std::exchange(is_ending_, true)) stop_hooks_at_ = now_ + kMostForLastHooks;
}

bool Helper::has_ended() const {
    if (is_over_) return runner_.running() == 0;
    return is_ending_ && has_heard_all_ && queue_.is_idle();
}

}  // namespace carpd
