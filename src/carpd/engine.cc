#include "carpd/engine.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "carpd/keep.h"
#include "carpd/web_process.h"
#include "control/run_lines.h"
#include "linux/clock.h"
#include "linux/leftovers.h"
#include "linux/process.h"

namespace carpd {

namespace {

constexpr mode_t kControlMode = 0660;
// An engine that doesn't come round its loop for so long hangs, whatever it owns.
constexpr Duration kHangs = std::chrono::seconds(10);
constexpr int kHeartbeatMs = 1000;
// How often systemd hears that it doesn't.
constexpr Duration kNewsGap = std::chrono::seconds(1);
// How often the engine looks for what may go without a word, and at how many interfaces at once.
constexpr Duration kLooksAround = std::chrono::seconds(2);
constexpr std::size_t kLooksAtOnce = 16;
// Packets that come closer than this after one another may gather for so long.
constexpr Duration kGathering = std::chrono::milliseconds(1);
// What can wait waits until nothing else is to do, but no longer than this.
constexpr Duration kChoresWait = std::chrono::milliseconds(100);
// What a change took that fewer groups made is not worth the 2 ms that it takes to give memory back.
constexpr std::size_t kManyReports = 256;

bool contains(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

SysError sys_error(std::string operation) {
    return {std::move(operation), "", errno};
}

bool watch(int epoll, const std::vector<int>& fds) {
    return std::all_of(fds.begin(), fds.end(), [epoll](int fd) {
        epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
        return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
    });
}

// Null: the data plane does without. `before`: whether the engine that serves has one.
Expected<std::unique_ptr<Gate>, SysError> open_gate(Netlink& netlink, const Config& config,
                                                    std::optional<bool> before) {
    if (before) return *before ? Gate::open(netlink, standing_way(netlink)) : std::unique_ptr<Gate>();
    if (config.dataplane == DataPlaneChoice::macvlan) return std::unique_ptr<Gate>();
    auto gate = Gate::open(netlink);
    if (gate || config.dataplane == DataPlaneChoice::bpf) return gate;
    if (config.has_pools())
        return Unexpected{
            SysError{"balance load (carpnodes) without the BPF gate: cannot " + gate.error().operation,
                     gate.error().object, gate.error().error}};
    log(LogLevel::warning,
        fmt::format(
            "{}; macvlan devices serve instead: the supervisor ends what a dead or frozen engine "
            "owns, and if it is killed as well, addresses go on answering until carpd is started again",
            gate.error().to_string()));
    return std::unique_ptr<Gate>();
}

}  // namespace

// ---- start

Expected<std::unique_ptr<Engine>, SysError> Engine::open(std::shared_ptr<const Config> config,
                                                         std::string path, const Supervision& supervision) {
    std::optional<Predecessor> before;
    if (supervision.predecessor) {
        auto met = meet(*supervision.predecessor, *config);
        if (!met) return Unexpected{met.error()};
        before = std::move(*met);
    }
    auto netlink = Netlink::open();
    if (!netlink) return Unexpected{netlink.error()};
    auto owned_netlink = std::make_unique<Netlink>(std::move(*netlink));
    auto monitor = LinkMonitor::open(*owned_netlink);
    if (!monitor) return Unexpected{monitor.error()};
    auto gate = open_gate(*owned_netlink, *config, before ? std::optional(before->has_gate) : std::nullopt);
    if (!gate) return Unexpected{gate.error()};
    DataPlane data_plane(*owned_netlink, std::move(*gate), !config->ucarp);
    auto socket = CarpSocket::open();
    if (!socket) return Unexpected{socket.error()};
    const std::string too_long = error_line("the request is longer than 4096 bytes");
    auto control = before ? LineServer::inherit(std::move(before->listener), config->control, too_long)
                          : LineServer::open(config->control, kControlMode, too_long);
    if (!control) return Unexpected{control.error()};
    auto helper = HelperLink::open(supervision.helper);
    if (!helper) return Unexpected{helper.error()};
    auto sync = SyncLink::open(supervision.sync);
    if (!sync) return Unexpected{sync.error()};
    auto successor = MessageLink::open(supervision.successor);
    if (!successor) return Unexpected{successor.error()};
    auto signals = open_signals(config->ucarp ? std::vector{SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}
                                              : std::vector{SIGTERM, SIGINT, SIGHUP});
    if (!signals) return Unexpected{signals.error()};
    UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC)), epoll_but_packets(epoll_create1(EPOLL_CLOEXEC));
    if (!epoll || !epoll_but_packets) return Unexpected{sys_error("create an epoll instance")};
    UniqueFd timer(timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC));
    if (!timer) return Unexpected{sys_error("create a timer")};

    std::vector<int> watched = {monitor->fd(),   control->fd(), helper->fd(),  sync->fd(),
                                successor->fd(), timer.get(),   signals->get()};
    bool is_watched = watch(epoll_but_packets.get(), watched);
    watched.push_back(socket->fd());
    if (!is_watched || !watch(epoll.get(), watched)) return Unexpected{sys_error("watch a socket")};
    std::unique_ptr<Engine> engine(new Engine(
        std::move(path), supervision,
        Kernel{std::move(owned_netlink), std::move(*monitor), std::move(*socket), std::move(data_plane),
               std::move(*control), std::move(*helper), std::move(*sync), std::move(*successor),
               std::move(epoll), std::move(epoll_but_packets), std::move(timer), std::move(*signals)}));
    if (!supervision.predecessor) {
        engine->hurry();
        engine->start(std::move(config));
        return engine;
    }
    engine->stand_beside(std::move(config));
    if (auto error = engine->take_over()) return Unexpected{std::move(*error)};
    return engine;
}

Engine::Engine(std::string path, const Supervision& supervision, Kernel kernel)
    : path_(std::move(path)),
      supervision_(supervision),
      kernel_(std::move(kernel)),
      node_(random_seed()),
      pump_(node_, *this),
      refusal_limits_(kDropReasonCount, LogLimit(3, std::chrono::seconds(30))),
      peer_limits_(kPeerNewsCount, LogLimit(16, std::chrono::seconds(1))),
      now_(host_now()) {
    node_.set_host_name(host_name());
}

void Engine::start(std::shared_ptr<const Config> config) {
    open_history(config->control);
    if (!config->ucarp)
        for (const std::string& line : remove_leftovers(*kernel_.netlink, config->groups))
            log(LogLevel::warning, line);
    kernel_.helper.set_wanted(config->needs_helper());
    configure_tracks(config->tracks);
    kernel_.helper.catch_up(now_);  // after another engine's end it has told us of them
    hear_verdicts();
    kernel_.sync.set_wanted(config->sync.has_value());
    kernel_.sync.catch_up(now_);  // its process may have been there all the time
    configure_sync(config->sync);
    configure(std::move(config));
    open_kept_demotions();
    if (config_->hold_down > Duration(0))
        pump_.input(
            now_, [this](Node& node, Actions& out) { node.hold_down(now_, now_ + config_->hold_down, out); });
}

// ---- the loop

Engine::End Engine::run() {
    tell_service_manager("READY=1\nWATCHDOG=1");  // READY of an engine that takes over does not push it
    while (!stopping_ && !has_handed_over_) {
        arm_timer();
        push_watchdog();
        if (now_ >= told_service_manager_ + kNewsGap) tell_service_manager("WATCHDOG=1");
        std::array<epoll_event, 16> events;
        const bool has_chores = pump_.has_reports() || !kernel_.data_plane.is_settled() ||
                                can_continue_answers() || kernel_.helper.can_go_on() ||
                                history_.is_due(now_) || hands_over_since_ != kNever;
        const int count = wait(events, has_chores);
        now_ = host_now();
        if (!has_chores) chores_due_ = now_ + kChoresWait;
        const auto is_ready = [&](int fd) {
            return std::any_of(events.begin(), events.begin() + std::max(count, 0),
                               [fd](const epoll_event& event) { return event.data.fd == fd; });
        };
        // What the host is comes before what the network says, and that before anybody's wishes.
        if (is_ready(kernel_.monitor.fd()) || kernel_.monitor.is_stale())
            update_links(kernel_.monitor.drain());
        if (look_around_at_ <= now_) look_around();
        heard_ = 0;
        pump_.wake(now_);
        if (heard_ > 0)
            gathers_ = std::exchange(heard_at_, now_) + kGathering > now_ || (gathers_ && heard_ > 1);
        else
            gathers_ = false;
        if (is_ready(kernel_.control.fd()))
            kernel_.control.wake([this](auto client, std::string_view line) { handle_line(client, line); });
        if (is_ready(kernel_.helper.fd())) {
            kernel_.helper.wake(now_);
            hear_verdicts();
        }
        if (is_ready(kernel_.sync.fd())) hear_sync();
        follow_sync();
        if (is_ready(kernel_.signals.get())) handle_signals();
        if (is_ready(kernel_.successor.fd())) hear_successor();
        if (has_chores && (count == 0 || chores_due_ <= now_)) {
            reported_ += pump_.report();
            kernel_.data_plane.settle();
            continue_answers();
            kernel_.helper.go_on(node_);
            keep_history();
            if (kernel_.data_plane.is_settled() && std::exchange(reported_, 0) > kManyReports)
                give_back_memory();
        }
        if (is_quiet() && !stopping_) hand_over();
    }
    if (!has_handed_over_) stop();
    return has_handed_over_ ? End::handed_over : End::stopped;
}

// A thousand wake-ups a second are enough to hear thousands of masters; everything else wakes us at once.
int Engine::wait(std::span<epoll_event> events, bool has_chores) {
    const bool gathers = gathers_ && !has_chores;
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(kGathering).count();
    return epoll_wait(gathers ? kernel_.epoll_but_packets.get() : kernel_.epoll.get(), events.data(),
                      static_cast<int>(events.size()),
                      has_chores ? 0
                      : gathers  ? static_cast<int>(milliseconds)
                                 : kHeartbeatMs);
}

// A timer that is set too early wakes us for nothing, once; to set it anew each time that a master is heard
// would cost more.
void Engine::arm_timer() {
    const Instant deadline = node_.next_deadline();
    if (armed_ > now_ && armed_ <= deadline) return;
    armed_ = deadline;
    itimerspec spec{};
    if (deadline != kNever) {
        // A time that has passed wakes us at once; zero would disarm the timer.
        const Duration at = std::max(deadline.time_since_epoch(), Duration(1));
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(at);
        spec.it_value = {seconds.count(), (at - seconds).count()};
    }
    CARPD_ASSERT(timerfd_settime(kernel_.timer.get(), TFD_TIMER_ABSTIME, &spec, nullptr) == 0);
}

// Without a kernel that enforces the leases the supervisor does: it withdraws for an engine that lets one
// pass.
void Engine::push_watchdog() {
    if (!serves_) return;  // it watches another engine
    const Instant fence = fences_.earliest().second, now = host_now();
    if (pushed_ <= fence && pushed_ > now + kHangs * 9 / 10) return;
    pushed_ = std::min(fence, now + kHangs);
    supervision_.watchdog.arm(pushed_);
}

void Engine::tell_service_manager(std::string_view news) {
    told_service_manager_ = now_;
    if (!service_manager_.listens()) return;
    const std::size_t groups = config_->groups.size();
    service_manager_.tell(fmt::format("{}\nSTATUS={} group{}, MASTER of {}\n", news, groups,
                                      groups == 1 ? "" : "s", node_.masters()));
}

void Engine::handle_signals() {
    signalfd_siginfo info;
    while (read(kernel_.signals.get(), &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGUSR1) {
            log_ucarp_status();
        } else if (info.ssi_signo == SIGUSR2) {
            step_back();
        } else if (info.ssi_signo == SIGHUP && !config_->ucarp) {
            reload();
        } else if (stopping_) {
            continue;  // Ctrl-C reaches us twice: from the terminal, and from the supervisor
        } else if (getppid() != supervision_.supervisor) {
            log(LogLevel::error, fmt::format("stopping: the supervisor (pid {}) has died, and nobody would "
                                             "remove what a dead engine leaves",
                                             supervision_.supervisor));
            stopping_ = true;
        } else {
            log(LogLevel::notice,
                fmt::format("stopping on SIG{}", sigabbrev_np(static_cast<int>(info.ssi_signo))));
            stopping_ = true;
        }
    }
}

void Engine::stop() {
    now_ = host_now();
    tell_service_manager("STOPPING=1");
    pump_.report();
    pump_.input(now_, [this](Node& node, Actions& out) { node.stop(now_, out); });
    for (GroupId id = 0; id < groups_.size(); ++id) release(id);
    kernel_.control.wake([](auto, auto) {});  // what monitors were told last
    history_.add(stopped_line(wall_clock()));
    history_.keep_at_end();
}

// ---- configuration

void Engine::configure(std::shared_ptr<const Config> config) {
    const auto before = std::exchange(config_, std::move(config));  // groups just removed are still in it
    stay_off_last_cpu(config_->sync.has_value());                   // it is where tables are dumped
    pump_.input(now_, [&](Node& node, Actions& out) {
        node.configure(now_, GroupConfigs(config_, &config_->groups), out);
        adopt(node);
    });
    release_removed_groups();
    if (config_->metrics) admit_web(kernel_.control);
    for (InterfaceId id = 0; id < node_.interfaces().size(); ++id) update_link(id, false);
    // Everything else that a group does is a transition, which is logged; that it can't even begin is not.
    for (GroupId id = 0; id < groups_.size(); ++id)
        if (const VirtualHost* host = node_.group(id); host && host->state() == State::init)
            log(LogLevel::warning, fmt::format("{}: waits in INIT: {} ({})", host->config().name,
                                               reason_of(*host, verdicts_), host->config().interface));
}

// Takes over the groups as they are configured now. Those just removed stay until their last Actions are
// performed.
void Engine::adopt(Node& node) {
    shared_.clear();
    if (!kernel_.data_plane.has_gate()) fences_.resize(node.group_slots());
    groups_.resize(node.group_slots());
    for (GroupId id = 0; id < node.group_slots(); ++id) {
        const VirtualHost* host = node.group(id);
        if (!host) continue;
        Group& group = groups_[id];
        const GroupConfig* before = std::exchange(group.config, &host->config());
        if (group.prepared && before->mac != group.config->mac) {
            release(id);
            group.prepared = group.owned = false;
        }
        for (const InterfaceAddress& a : group.config->addresses) shared_.push_back(a.address);
        const bool is_same = before != nullptr && *before == *group.config;
        if (!is_same && group.ifindex != 0) prepare(id);
    }
    std::sort(shared_.begin(), shared_.end());
}

void Engine::release_removed_groups() {
    for (GroupId id = 0; id < groups_.size(); ++id) {
        if (groups_[id].config == nullptr || node_.group(id) != nullptr) continue;
        release(id);
        groups_[id] = {};
    }
}

// ---- interfaces

void Engine::update_links(const LinkMonitor::Changes& changes) {
    for (InterfaceId id = 0; id < node_.interfaces().size(); ++id)
        if (contains(changes.changed, node_.interfaces()[id])) update_link(id, true);
    if (!changes.deprived.empty() || !changes.lost.empty()) repair(changes);
}

// The kernel tells nobody of BPF programs that somebody takes from tcx. To ask takes several system calls for
// each interface; so of many a few are looked at, and the others when the loop comes round.
void Engine::look_around() {
    const std::vector<std::string>& names = node_.interfaces();
    const std::size_t end = std::min(next_look_ + kLooksAtOnce, names.size());
    LinkMonitor::Changes changes;
    for (; next_look_ < end; ++next_look_) {
        const Interface* interface = kernel_.monitor.find(names[next_look_]);
        if (interface && kernel_.data_plane.is_robbed(interface->ifindex()))
            changes.deprived.push_back(names[next_look_]);
    }
    if (next_look_ == names.size()) {
        next_look_ = 0;
        look_around_at_ = now_ + kLooksAround;
    }
    if (!changes.empty()) repair(changes);
}

void Engine::update_link(InterfaceId id, bool has_changed) {
    const std::string& name = node_.interfaces()[id];
    const Interface* interface = kernel_.monitor.find(name);
    const int ifindex = interface ? interface->ifindex() : 0;
    // An interface that came back is another one; what stood on the old one is gone with it.
    std::erase_if(interface_of_, [&](const auto& entry) {
        const bool gone = entry.second == id && entry.first != ifindex;
        if (gone) kernel_.socket.leave(entry.first);
        return gone;
    });
    std::vector<GroupId> lost;
    for (GroupId group_id = 0; group_id < groups_.size(); ++group_id) {
        const Group& group = groups_[group_id];
        if (group.ifindex != 0 && group.ifindex != ifindex && group.config->interface == name)
            lost.push_back(group_id);
    }
    if (!lost.empty())
        pump_.input(now_, [&](Node& node, Actions& out) { node.handle_link(now_, id, LinkStatus{}, out); });
    for (GroupId group_id : lost) {
        release(group_id);
        groups_[group_id].ifindex = 0;
        groups_[group_id].prepared = groups_[group_id].owned = false;
    }
    if (interface) bring_up(*interface, id, has_changed);
    const LinkStatus status = link_of(id);
    if (status == node_.link(id)) return;
    pump_.input(now_, [&](Node& node, Actions& out) { node.handle_link(now_, id, status, out); });
}

LinkStatus Engine::link_of(InterfaceId id) const {
    const auto is_shared = [this](const IpAddress& address) {
        return std::binary_search(shared_.begin(), shared_.end(), address);
    };
    LinkStatus status = link_status(kernel_.monitor.find(node_.interfaces()[id]), is_shared);
    if (config_->ucarp) obey(*config_->ucarp, status);
    return status;
}

void Engine::bring_up(const Interface& interface, InterfaceId id, bool has_changed) {
    const auto [entry, is_new] = interface_of_.try_emplace(interface.ifindex(), id);
    entry->second = id;  // renamed from another that we know
    if (is_new) {
        if (auto error = kernel_.socket.join(interface.ifindex()))
            log(LogLevel::warning, fmt::format("{}: {}; a switch that snoops may keep advertisements from us",
                                               interface.name(), error->to_string()));
    }
    for (GroupId group_id = 0; group_id < groups_.size(); ++group_id) {
        Group& group = groups_[group_id];
        if (group.config == nullptr || group.config->interface != interface.name()) continue;
        if (!has_changed && group.prepared) continue;
        group.ifindex = interface.ifindex();
        prepare(group_id);  // also when its MAC or MTU changed
    }
}

// Devices come and go slowly: with thousands of groups that takes longer than an engine may be silent.
void Engine::release(GroupId id) {
    kernel_.data_plane.release(id);
    fence(id, kNever);
    push_watchdog();
}

bool Engine::prepare(GroupId id) {
    push_watchdog();
    Group& group = groups_[id];
    const Interface* interface = kernel_.monitor.find(group.ifindex);
    if (!interface) return false;
    const auto error = kernel_.data_plane.prepare(id, *group.config, *interface);
    if (error) log(LogLevel::error, fmt::format("{}: {}", group.config->name, error->to_string()));
    return group.prepared = !error;
}

// Somebody took away what groups need: an address, a device, the virtual MAC, the gate.
void Engine::repair(const LinkMonitor::Changes& changes) {
    std::set<GroupId> bereft;
    for (const LinkAddress& address : changes.lost)
        if (const auto owner = kernel_.data_plane.owner_of(address)) bereft.insert(*owner);
    for (GroupId id = 0; id < groups_.size(); ++id) {
        Group& group = groups_[id];
        if (!group.prepared) continue;
        const std::string device(kernel_.data_plane.device(id));
        const bool suffers = bereft.contains(id) || contains(changes.deprived, device) ||
                             contains(changes.deprived, group.config->interface);
        if (suffers) repair(id, group);
    }
}

void Engine::repair(GroupId id, Group& group) {
    // One that woke too late withdraws in a moment; the supervisor has taken its addresses meanwhile.
    const VirtualHost* host = node_.group(id);
    if (!host || host->lease_until() <= now_ || !kernel_.data_plane.renew(id, *group.config)) return;
    const std::string device(kernel_.data_plane.device(id));
    const bool both = device != group.config->interface;
    log(LogLevel::warning,
        fmt::format("{}: somebody else removed what it had on {}; it was put back", group.config->name,
                    both ? device + " or " + group.config->interface : device));
    if (group.config->balance) return;  // rule N5
    const AnnounceAddresses again{id};
    perform(std::span(&again, 1));
}

}  // namespace carpd
