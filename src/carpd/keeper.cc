#include "carpd/keeper.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "control/human.h"
#include "linux/clock.h"
#include "linux/log.h"
#include "linux/process.h"
#include "linux/unix_socket.h"

namespace carpd {

Expected<Keeper, SysError> Keeper::open(KeptProcess process) {
    auto ends = MessageSocket::open_pair();
    if (!ends) return Unexpected{ends.error()};
    return Keeper(std::move(process), std::move(ends->first), std::move(ends->second));
}

Keeper Keeper::inherit(KeptProcess process, const KeptMemory& memory, const Config& config) {
    Keeper keeper(std::move(process), MessageSocket::inherited(UniqueFd(memory.engine_end)),
                  MessageSocket::inherited(UniqueFd(memory.own_end)));
    keeper.pid_ = memory.pid;
    keeper.wanted_ = keeper.process_.wanted(config);
    keeper.started_at_ = host_now();
    if (memory.pid != 0 && keeper.process_.leaves) keeper.left_ = keeper.process_.leaves(config);
    return keeper;
}

KeptMemory Keeper::memory() const {
    return {process_.name, pid_, engine_end_.fd(), own_end_.fd()};
}

void Keeper::replace(const Config& config) {
    wanted_ = process_.wanted(config);
    if (pid_ != 0)
        end();
    else
        configure(config);
}

void Keeper::configure(const Config& config) {
    wanted_ = process_.wanted(config);
    if (pid_ == 0) {
        if (!wanted_)
            start_again_at_ = kNever;
        else if (start_again_at_ == kNever)
            start(config);
    } else if (!wanted_ || !tell(config)) {
        end();
    }
}

// Whether it will know. Otherwise it takes another process, which begins with it.
bool Keeper::tell(const Config& config) {
    if (!process_.settings) return kill(pid_, SIGHUP) == 0;
    const std::string settings = process_.settings(config);
    return settings.size() <= MessageSocket::kMaxMessage && engine_end_.send(settings);
}

void Keeper::end() {
    kill(pid_, kEndSignal);
    kill_at_ = host_now() + process_.most_to_end;
}

void Keeper::start(const Config& config) {
    start_again_at_ = kNever;
    started_at_ = host_now();
    // Settings that the one before didn't read may be older than these. All else is said again to a new one.
    if (process_.settings) own_end_.discard();
    if (process_.leaves) left_ = process_.leaves(config);
    const pid_t child = fork();
    if (child == 0) {
        engine_end_.close();
        close_all_but(own_end_.fd());
        set_process_name(("carpd: " + process_.name).c_str());
        _exit(process_.main(config, std::move(own_end_)));
    }
    if (child > 0) {
        pid_ = child;
        return;
    }
    log(LogLevel::error, SysError{"start the process", process_.name, errno}.to_string());
    start_again_at_ = started_at_ + std::max<Duration>(backoff_.after(Duration(0)), std::chrono::seconds(1));
}

void Keeper::reap() {
    int status = 0;
    if (pid_ == 0 || waitpid(pid_, &status, WNOHANG) != pid_) return;
    const pid_t pid = std::exchange(pid_, 0);
    const bool told_to = std::exchange(kill_at_, kNever) != kNever;
    const bool asks_for_another = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    const Instant now = host_now();
    clean_up();
    if (!process_.ended.empty()) own_end_.send(process_.ended);
    if (told_to || asks_for_another) {
        if (wanted_) start_again_at_ = now;
        return;
    }
    const Duration delay = backoff_.after(now - started_at_);
    start_again_at_ = now + delay;
    log(LogLevel::error,
        fmt::format("{} (pid {}) {}; starting it again{}", process_.name, pid, describe_end(status),
                    delay > Duration(0) ? " in " + human_duration(delay) : ""));
}

Instant Keeper::next_deadline() const {
    return std::min(start_again_at_, kill_at_);
}

void Keeper::wake(const Config& config) {
    const Instant now = host_now();
    if (start_again_at_ <= now) start(config);
    if (kill_at_ > now) return;
    end_hanging();
    kill_at_ = now + process_.most_to_end;
}

void Keeper::tell_engine_ended() const {
    if (wanted_ && !process_.engine_ended.empty()) engine_end_.send(process_.engine_ended);
}

MessageSocket& Keeper::become_engine() {
    own_end_.close();
    return engine_end_;
}

void Keeper::end_hanging() {
    log(LogLevel::error, fmt::format("{} (pid {}) does not end; killing it", process_.name, pid_));
    kill(pid_, SIGKILL);
}

void Keeper::clean_up() {
    if (!left_.empty()) remove_abandoned_socket(std::exchange(left_, {}));
}

void Keeper::finish() {
    if (pid_ == 0) return;
    const UniqueFd ended = open_pidfd(pid_);
    pollfd event{ended.get(), POLLIN, 0};
    if (poll(&event, 1, static_cast<int>(milliseconds(process_.most_to_end))) == 0) {
        end_hanging();
        poll(&event, 1, 1000);
    }
    waitpid(pid_, nullptr, WNOHANG);
    clean_up();
}

}  // namespace carpd
