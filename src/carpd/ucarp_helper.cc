#include "carpd/ucarp_helper.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "linux/clock.h"
#include "linux/log.h"

namespace carpd {

namespace {

std::vector<std::string> own_environment() {
    std::vector<std::string> all;
    for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable)
        all.emplace_back(*variable);
    return all;
}

}  // namespace

Expected<UcarpHelper, SysError> UcarpHelper::open(const Config& config, MessageSocket engine) {
    for (int signal : {SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGUSR2}) std::signal(signal, SIG_IGN);
    auto runner = ScriptRunner::open();
    if (!runner) return Unexpected{runner.error()};
    return UcarpHelper(config, std::move(engine), std::move(*runner));
}

void UcarpHelper::run() {
    // Then an engine tells how things are.
    engine_.send(to_message(HelperMessage(HelperHello{getpid()})));
    while (!is_ending_ || (is_over_ ? runner_.running() > 0 : !scripts_.is_idle())) {
        wait();
        now_ = host_now();
        hear_engine();
        run_scripts();
    }
}

void UcarpHelper::wait() const {
    pollfd events[] = {{runner_.fd(), POLLIN, 0},
                       // Once it is closed it would wake us for ever.
                       {engine_.is_closed() ? -1 : engine_.fd(), POLLIN, 0}};
    const Instant until = std::min(runner_.next_deadline(), stop_at_);
    const Duration left = std::max(until - host_now(), Duration(0));
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec timeout{seconds.count(), (left - seconds).count()};
    ppoll(events, std::size(events), until == kNever ? nullptr : &timeout, nullptr);
}

void UcarpHelper::hear_engine() {
    while (const auto text = engine_.receive()) {
        const auto message = parse_engine_message(*text);
        if (!message)
            log(LogLevel::error,
                fmt::format("the engine sent what the helper can't read: {}", message.error()));
        else if (const auto* news = std::get_if<GroupNews>(&*message))
            scripts_.hear(*news);
        else {
            scripts_.engine_ended();
            engine_.send(to_message(HelperMessage(HelperHello{getpid()})));  // to the next one
        }
    }
    if (engine_.is_closed()) begin_to_end();
}

void UcarpHelper::run_scripts() {
    runner_.wake(now_, [this](auto, const ScriptEnd& end) {
        scripts_.ended();
        log(end.succeeded() ? LogLevel::debug : LogLevel::warning,
            fmt::format("{} {}", running_, end.to_string()));
    });
    if (stop_at_ <= now_) {
        stop_at_ = kNever;
        is_over_ = true;
        runner_.stop_all(now_);
    }
    if (is_over_) return;
    if (auto argv = scripts_.take()) {
        running_ = argv->front();
        log(LogLevel::notice, fmt::format("running {}", fmt::join(*argv, " ")));
        runner_.start({std::move(*argv), own_environment(), kMostForScript, true}, now_);
    }
}

void UcarpHelper::begin_to_end() {
    if (std::exchange(is_ending_, true)) return;
    stop_at_ = now_ + kMostToEnd;
    scripts_.end();
}

}  // namespace carpd
