// The supervisor's part in an upgrade (docs/upgrade.md): this process becomes the program that is installed
// now, whose engine then takes over from the one that serves. Until that one has handed over, whatever fails
// leaves it at work.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "carpd/succession.h"
#include "carpd/supervisor.h"
#include "linux/clock.h"
#include "linux/log.h"
#include "linux/memory_file.h"
#include "linux/process.h"

namespace carpd {

namespace {

// How long the new program may look at the configuration, and how long its engine may prepare itself.
constexpr Duration kPatience = std::chrono::seconds(30);

std::vector<char*> as_argv(std::vector<std::string>& arguments) {
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    return argv;
}

}  // namespace

// ---- the program

void Supervisor::begin_upgrade() {
    if (check_ != 0) return;  // it is under way, and the engine will hear how it goes
    if (successor_ != 0) {
        upgrades_again_ = true;  // this engine's wish, while the one before is still ending
        return;
    }
    if (engine_ == 0 || stopping_ || judge_at_ != kNever) return refuse_upgrade("the engine is in trouble");
    check_ = fork();
    if (check_ == 0) become_check();
    if (check_ < 0) {
        check_ = 0;
        return refuse_upgrade(SysError{"start", program_.file, errno}.to_string());
    }
    upgrade_until_ = host_now() + kPatience;
}

// What it says of the configuration on standard error is for the log, as ours is.
void Supervisor::become_check() {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    const int nowhere = ::open("/dev/null", O_WRONLY);
    if (nowhere >= 0) dup2(nowhere, STDOUT_FILENO);
    std::vector<std::string> arguments = program_.arguments;
    const int format = hand_over_format(config_->has_pools());
    arguments.insert(arguments.end(), {"--check", "--understands", std::to_string(format)});
    execv(program_.file.c_str(), as_argv(arguments).data());
    log(LogLevel::error, SysError{"run", program_.file, errno}.to_string());
    _exit(kFailed);
}

void Supervisor::reap_check() {
    int status = 0;
    if (check_ == 0 || waitpid(check_, &status, WNOHANG) != check_) return;
    check_ = 0;
    upgrade_until_ = kNever;
    if (engine_ == 0 || stopping_) return;
    if (WIFEXITED(status) && WEXITSTATUS(status) == kStopped) return become_program();
    const bool is_usage = WIFEXITED(status) && WEXITSTATUS(status) == kUsage;
    refuse_upgrade(is_usage
                       ? fmt::format("{} doesn't know how to take over from a running carpd", program_.file)
                       : fmt::format("{} doesn't accept {} ({}), and the log says why", program_.file, path_,
                                     describe_end(status)));
}

// Only returns where that fails.
void Supervisor::become_program() {
    SupervisorMemory memory{engine_,
                            restarts_,
                            watchdog_.fd(),
                            lock_.get(),
                            succession_.engine_end.fd(),
                            succession_.own_end.fd(),
                            {}};
    std::vector<int> fds = {memory.watchdog, memory.lock, memory.engine_end, memory.own_end};
    for (const Keeper& keeper : kept_) {
        memory.kept.push_back(keeper.memory());
        fds.insert(fds.end(), {memory.kept.back().engine_end, memory.kept.back().own_end});
    }
    const auto text = make_memory_file(to_document(memory));
    if (!text) return refuse_upgrade(text.error().to_string());
    fds.push_back(text->get());
    std::vector<std::string> arguments = program_.arguments;
    arguments.insert(arguments.end(), {"--take-over", std::to_string(text->get())});
    log(LogLevel::notice, fmt::format("becoming {}", program_.file));
    become_ordinary();  // it reads the configuration first, which an engine needn't wait for
    keep_on_exec(fds, true);
    execv(program_.file.c_str(), as_argv(arguments).data());
    const SysError error{"run", program_.file, errno};
    keep_on_exec(fds, false);
    become_real_time(kSupervisorPriority);
    refuse_upgrade(error.to_string());
}

void Supervisor::refuse_upgrade(const std::string& why) {
    log(LogLevel::error, fmt::format("not upgraded: {}; what runs goes on", why));
    succession_.own_end.send(succession::kRefused + why);
}

Expected<Supervisor, SysError> Supervisor::inherit(std::shared_ptr<const Config> config, std::string path,
                                                   EngineMain engine_main, std::array<KeptProcess, 3> kept,
                                                   Program program, const SupervisorMemory& memory) {
    std::vector<int> fds = {memory.watchdog, memory.lock, memory.engine_end, memory.own_end};
    std::vector<Keeper> keepers;
    std::vector<KeptMemory> strangers = memory.kept;
    for (KeptProcess& process : kept) {
        const auto known = std::find_if(strangers.begin(), strangers.end(),
                                        [&](const KeptMemory& each) { return each.name == process.name; });
        if (known == strangers.end()) {
            auto keeper = Keeper::open(std::move(process));
            if (!keeper) return Unexpected{keeper.error()};
            keepers.push_back(std::move(*keeper));
            continue;
        }
        fds.insert(fds.end(), {known->engine_end, known->own_end});
        keepers.push_back(Keeper::inherit(std::move(process), *known, *config));
        strangers.erase(known);
    }
    keep_on_exec(fds, false);
    auto next = MessageSocket::open_pair();
    if (!next) return Unexpected{next.error()};
    auto signals = open_own_signals();
    if (!signals) return Unexpected{signals.error()};
    Supervisor supervisor(std::move(config), std::move(path), std::move(engine_main), std::move(program),
                          {{std::move(keepers[0]), std::move(keepers[1]), std::move(keepers[2])},
                           Watchdog::inherited(UniqueFd(memory.watchdog)),
                           UniqueFd(memory.lock),
                           std::move(*signals),
                           {MessageSocket::inherited(UniqueFd(memory.engine_end)),
                            MessageSocket::inherited(UniqueFd(memory.own_end))},
                           {std::move(next->first), std::move(next->second)}});
    // A process that this program has no use for, whose sockets close by themselves.
    for (const KeptMemory& stranger : strangers) {
        for (const int fd : {stranger.engine_end, stranger.own_end}) close(fd);
        if (stranger.pid > 0) kill(stranger.pid, kEndSignal);
    }
    supervisor.engine_ = memory.engine;
    supervisor.restarts_ = memory.restarts;
    supervisor.started_at_ = host_now();
    supervisor.has_served_ = true;
    return supervisor;
}

// ---- its engine

void Supervisor::start_successor() {
    succession_.own_end.discard();
    const pid_t supervisor = getpid();
    const pid_t child = fork();
    if (child == 0) become_engine(supervisor, true);
    if (child < 0) return refuse_upgrade(SysError{"start an engine", "", errno}.to_string());
    successor_ = child;
    upgrade_until_ = host_now() + kPatience;
}

// It has taken nothing, or nobody is left who would use it.
void Supervisor::end_successor() {
    if (successor_ == 0) return;
    kill(successor_, SIGKILL);
    waitpid(successor_, nullptr, 0);
    successor_ = 0;
    upgrade_until_ = kNever;
}

void Supervisor::reap_successor() {
    int status = 0;
    if (successor_ == 0 || waitpid(successor_, &status, WNOHANG) != successor_) return;
    const std::string end = fmt::format("the new engine (pid {}) {}", successor_, describe_end(status));
    dead_successor_ = std::exchange(successor_, 0);
    dead_successor_status_ = status;
    upgrade_until_ = kNever;
    upgrades_again_ = false;
    refuse_upgrade(end + ", and the log says why");
}

// The engine has handed over and ended.
void Supervisor::succeed() {
    if (successor_ == 0) {  // it had the last word, and died before this one's end was known
        engine_ = dead_successor_;
        return engine_ended(dead_successor_status_);
    }
    engine_ = std::exchange(successor_, 0);
    upgrade_until_ = kNever;
    started_at_ = host_now();
    std::swap(succession_, next_succession_);
    for (Keeper& keeper : kept_) keeper.replace(*config_);
    if (stopping_) kill(engine_, SIGTERM);  // which the other one didn't hear
    reap_engine();                          // it may have died at once
    if (std::exchange(upgrades_again_, false)) begin_upgrade();
}

void Supervisor::judge_upgrade() {
    upgrade_until_ = kNever;
    const pid_t hanging = check_ != 0 ? check_ : successor_;
    log(LogLevel::error, fmt::format("the new program (pid {}) hangs; killing it", hanging));
    if (hanging > 0) kill(hanging, SIGKILL);
}

}  // namespace carpd
