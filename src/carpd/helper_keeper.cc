#include "carpd/helper_keeper.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "carpd/helper.h"
#include "control/helper_message.h"
#include "control/human.h"
#include "linux/clock.h"
#include "linux/log.h"
#include "linux/process.h"

namespace carpd {

namespace {

// A helper that ends takes no longer than this, unless it hangs.
constexpr Duration kMostToEnd = Helper::kMostToFinish + std::chrono::seconds(1);

}  // namespace

Expected<HelperKeeper, SysError> HelperKeeper::open(Main main) {
    auto ends = MessageSocket::open_pair();
    if (!ends) return Unexpected{ends.error()};
    return HelperKeeper(std::move(main), std::move(ends->first), std::move(ends->second));
}

void HelperKeeper::configure(const Config& config) {
    wanted_ = config.needs_helper();
    if (helper_ == 0) {
        if (!wanted_)
            start_again_at_ = kNever;
        else if (start_again_at_ == kNever)
            start(config);
    } else if (!wanted_) {
        kill(helper_, Helper::kEndSignal);
        kill_at_ = host_now() + kMostToEnd;
    } else {
        kill(helper_, SIGHUP);
    }
}

void HelperKeeper::start(const Config& config) {
    start_again_at_ = kNever;
    started_at_ = host_now();
    const pid_t child = fork();
    if (child == 0) {
        engine_end_.close();
        close_all_but(helper_end_.fd());
        set_process_name("carpd: helper");
        _exit(main_(config, std::move(helper_end_)));
    }
    if (child > 0) {
        helper_ = child;
        return;
    }
    log(LogLevel::error, SysError{"start the helper", "", errno}.to_string());
    start_again_at_ = started_at_ + std::max<Duration>(backoff_.after(Duration(0)), std::chrono::seconds(1));
}

void HelperKeeper::reap() {
    int status = 0;
    if (helper_ == 0 || waitpid(helper_, &status, WNOHANG) != helper_) return;
    const pid_t helper = std::exchange(helper_, 0);
    const bool told_to = std::exchange(kill_at_, kNever) != kNever;
    const Instant now = host_now();
    if (told_to) {
        if (wanted_) start_again_at_ = now;
        return;
    }
    const Duration delay = backoff_.after(now - started_at_);
    start_again_at_ = now + delay;
    log(LogLevel::error, fmt::format("helper (pid {}) {}; starting it again{}", helper, describe_end(status),
                                     delay > Duration(0) ? " in " + human_duration(delay) : ""));
}

Instant HelperKeeper::next_deadline() const {
    return std::min(start_again_at_, kill_at_);
}

void HelperKeeper::wake(const Config& config) {
    const Instant now = host_now();
    if (start_again_at_ <= now) start(config);
    if (kill_at_ > now) return;
    log(LogLevel::error, fmt::format("helper (pid {}) does not end; killing it", helper_));
    kill(helper_, SIGKILL);
    kill_at_ = now + kMostToEnd;
}

void HelperKeeper::tell_engine_ended() const {
    if (wanted_) engine_end_.send(to_message(EngineMessage(EngineEnded{})));
}

MessageSocket& HelperKeeper::become_engine() {
    helper_end_.close();
    return engine_end_;
}

void HelperKeeper::finish() {
    engine_end_.close();
    if (helper_ == 0) return;
    const UniqueFd ended = open_pidfd(helper_);
    pollfd event{ended.get(), POLLIN, 0};
    if (poll(&event, 1, static_cast<int>(milliseconds(kMostToEnd))) == 0) {
        log(LogLevel::error, fmt::format("helper (pid {}) does not end; killing it", helper_));
        kill(helper_, SIGKILL);
        poll(&event, 1, 1000);
    }
    waitpid(helper_, nullptr, WNOHANG);
}

}  // namespace carpd
