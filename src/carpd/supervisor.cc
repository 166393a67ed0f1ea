#include "carpd/supervisor.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "carpd/keep.h"
#include "control/human.h"
#include "linux/clock.h"
#include "linux/leftovers.h"
#include "linux/log.h"
#include "linux/netlink_socket.h"
#include "linux/process.h"

namespace carpd {

namespace {

// How long an engine that was late has to show that it lives.
constexpr Duration kPatience = std::chrono::seconds(1);

}  // namespace

Expected<Supervisor, SysError> Supervisor::open(std::shared_ptr<const Config> config, std::string path,
                                                EngineMain engine_main, std::array<KeptProcess, 3> kept,
                                                Program program, UniqueFd lock) {
    auto helper = Keeper::open(std::move(kept[0]));
    if (!helper) return Unexpected{helper.error()};
    auto sync = Keeper::open(std::move(kept[1]));
    if (!sync) return Unexpected{sync.error()};
    auto web = Keeper::open(std::move(kept[2]));
    if (!web) return Unexpected{web.error()};
    auto watchdog = Watchdog::open();
    if (!watchdog) return Unexpected{watchdog.error()};
    auto succession = MessageSocket::open_pair(), next = MessageSocket::open_pair();
    if (!succession) return Unexpected{succession.error()};
    if (!next) return Unexpected{next.error()};
    auto signals = open_own_signals();
    if (!signals) return Unexpected{signals.error()};
    return Supervisor(std::move(config), std::move(path), std::move(engine_main), std::move(program),
                      {{std::move(*helper), std::move(*sync), std::move(*web)},
                       std::move(*watchdog),
                       std::move(lock),
                       std::move(*signals),
                       {std::move(succession->first), std::move(succession->second)},
                       {std::move(next->first), std::move(next->second)}});
}

Expected<UniqueFd, SysError> Supervisor::open_own_signals() {
    // Otherwise, if our own parent ignored it, we would not learn how an engine ended.
    std::signal(SIGCHLD, SIG_DFL);
    return open_signals({SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD});
}

Supervisor::Supervisor(std::shared_ptr<const Config> config, std::string path, EngineMain engine_main,
                       Program program, Kernel kernel)
    : config_(std::move(config)),
      path_(std::move(path)),
      engine_main_(std::move(engine_main)),
      program_(std::move(program)),
      kept_(std::move(kernel.kept)),
      watchdog_(std::move(kernel.watchdog)),
      lock_(std::move(kernel.lock)),
      signals_(std::move(kernel.signals)),
      succession_(std::move(kernel.succession)),
      next_succession_(std::move(kernel.next_succession)) {}

int Supervisor::run() {
    become_real_time(kSupervisorPriority);  // where it fails, it fails for the engine too, which says so
    if (engine_ != 0) {
        start_successor();
    } else {
        start_engine();
        configure_kept();
    }
    while (!exit_code_) {
        wait();
        handle_signals();
        for (Keeper& keeper : kept_) keeper.wake(*config_);
        if (watchdog_.expired()) fence_late_engine();
        if (judge_at_ <= host_now()) judge_late_engine();
        if (start_again_at_ <= host_now()) start_again();
        if (upgrade_until_ <= host_now()) judge_upgrade();
    }
    for (Keeper& keeper : kept_) keeper.begin_to_finish();
    for (Keeper& keeper : kept_) keeper.finish();
    return *exit_code_;
}

void Supervisor::wait() {
    pollfd events[] = {{signals_.get(), POLLIN, 0}, {watchdog_.fd(), POLLIN, 0}};
    Instant until = std::min({judge_at_, start_again_at_, upgrade_until_});
    for (const Keeper& keeper : kept_) until = std::min(until, keeper.next_deadline());
    const Duration left = std::max(until - host_now(), Duration(0));
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec timeout{seconds.count(), (left - seconds).count()};
    ppoll(events, std::size(events), until == kNever ? nullptr : &timeout, nullptr);
}

// ---- the engine's life

void Supervisor::start_engine() {
    const pid_t supervisor = getpid();
    started_at_ = host_now();
    succession_.engine_end.discard();  // what was said to another engine
    succession_.own_end.discard();
    const pid_t child = fork();
    if (child == 0) become_engine(supervisor, false);
    if (child > 0) {
        engine_ = child;
        return;
    }
    log(LogLevel::error, SysError{"start the engine", "", errno}.to_string());
    if (has_served_)
        start_again_at_ = started_at_ + backoff_.after(Duration(0));
    else
        exit_code_ = kFailed;
}

// An engine whose supervisor dies is told to stop in order: nobody would remove what it leaves. (The kernel
// forgets this if the process ever changes its user; then ask again.)
void Supervisor::become_engine(pid_t supervisor, bool takes_over) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != supervisor) _exit(kFailed);  // it died before we asked
    set_process_name("carpd: engine");
    MessageSocket& own = takes_over ? next_succession_.engine_end : succession_.engine_end;
    _exit(engine_main_(
        config_,
        Supervision{supervisor, restarts_, watchdog_, kept_[0].become_engine(), kept_[1].become_engine(), own,
                    takes_over ? &succession_.own_end : nullptr, last_end_, ended_at_}));
}

void Supervisor::start_again() {
    start_again_at_ = kNever;
    ++restarts_;
    if (!read_config())
        log(LogLevel::warning,
            fmt::format("{} is not valid now: the engine starts with what it said before", path_));
    start_engine();
    configure_kept();
}

void Supervisor::configure_kept() {
    for (Keeper& keeper : kept_) keeper.configure(*config_);
}

bool Supervisor::read_config() {
    if (path_.empty()) return true;  // of a command line, which stays as it is
    auto file = load_config(path_);
    if (!file) return false;
    config_ = keep(std::move(*file));
    give_back_memory();
    return true;
}

// ---- what happens

void Supervisor::handle_signals() {
    signalfd_siginfo info;
    while (read(signals_.get(), &info, sizeof info) == sizeof info) {
        const int signal = static_cast<int>(info.ssi_signo);
        if (signal == SIGCHLD) {
            reap_engine();
            reap_check();
            reap_successor();
            for (Keeper& keeper : kept_) keeper.reap();
            continue;
        }
        if (signal == SIGUSR1 && !config_->ucarp) {
            if (read_config()) configure_kept();
            continue;
        }
        if (signal == SIGUSR2 && !config_->ucarp) {
            begin_upgrade();
            continue;
        }
        stopping_ = stopping_ || ends(signal);
        if (engine_ > 0)
            kill(engine_, signal);
        else if (stopping_ && !exit_code_)
            exit_code_ = kStopped;
    }
}

// As ucarp has it: also a terminal that hangs up ends it.
bool Supervisor::ends(int signal) const {
    return signal == SIGTERM || signal == SIGINT || (signal == SIGHUP && config_->ucarp);
}

void Supervisor::reap_engine() {
    int status = 0;
    if (engine_ == 0 || waitpid(engine_, &status, WNOHANG) != engine_) return;
    if (WIFEXITED(status) && WEXITSTATUS(status) == kHandedOver) return succeed();
    engine_ended(status);
}

void Supervisor::engine_ended(int status) {
    end_successor();  // there is nothing left to take over
    last_end_ = describe_end(status);
    ended_at_ = host_now();
    const std::string end = fmt::format("engine (pid {}) {}", engine_, last_end_);
    engine_ = 0;
    if (watchdog_.is_armed() || watchdog_.expired()) has_served_ = true;
    watchdog_.disarm();
    judge_at_ = kNever;
    const bool exited = WIFEXITED(status);
    if (exited && WEXITSTATUS(status) == kStopped) {
        exit_code_ = kStopped;
        return;
    }
    clean(true);
    tell_engine_ended();
    if (!has_served_ && exited) {
        exit_code_ = WEXITSTATUS(status);  // it has said why
    } else if (!has_served_ || stopping_) {
        log(LogLevel::error, fmt::format("{}; {}", end, what_was_removed()));
        exit_code_ = kFailed;
    } else {
        const Instant now = host_now();
        const Duration delay = backoff_.after(now - started_at_);
        start_again_at_ = now + delay;
        log(LogLevel::error, fmt::format("{}; {}, starting it again{}", end, what_was_removed(),
                                         delay > Duration(0) ? " in " + human_duration(delay) : ""));
    }
}

// Its addresses go at once. One that was only slow (the kernel itself may make it wait for 0.1 s when network
// interfaces come and go) finds that its lease has lapsed, and goes on as BACKUP.
void Supervisor::fence_late_engine() {
    if (engine_ == 0) return;
    has_served_ = true;
    clean(false);
    if (config_->ucarp) tell_engine_ended();  // it is the script that removes the address
    if (judge_at_ != kNever) return;          // late once more before its time is over
    judge_at_ = host_now() + kPatience;
    log(LogLevel::warning, fmt::format("engine (pid {}) let a lease pass or was silent for 10 s; {}", engine_,
                                       what_was_removed()));
}

void Supervisor::judge_late_engine() {
    judge_at_ = kNever;
    if (watchdog_.is_armed()) return;  // it came back
    log(LogLevel::error, fmt::format("engine (pid {}) hangs; killing it", engine_));
    kill(engine_, SIGKILL);
}

void Supervisor::tell_engine_ended() const {
    for (const Keeper& keeper : kept_) keeper.tell_engine_ended();
}

std::string_view Supervisor::what_was_removed() const {
    return config_->ucarp ? "the down script removes its address" : "its addresses were removed";
}

void Supervisor::clean(bool devices) {
    if (config_->ucarp) return;
    auto netlink = Netlink::open();
    if (!netlink) return log(LogLevel::error, netlink.error().to_string());
    if (devices)
        remove_leftovers(*netlink, config_->groups);
    else
        remove_addresses(*netlink, config_->groups);
}

}  // namespace carpd
