// The engine's part that takes over from another one, which serves until then (docs/upgrade.md,
// carpd/succession.h).
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <utility>

#include "carpd/engine.h"
#include "carpd/succession.h"
#include "carpd/web_process.h"
#include "linux/clock.h"
#include "linux/leftovers.h"
#include "linux/log.h"
#include "linux/memory_file.h"
#include "linux/process.h"
#include "linux/state_file.h"

namespace carpd {

namespace {

constexpr Duration kPatience = std::chrono::seconds(10);

SysError cannot_take_over(const std::string& why) {
    return {"take over from the running engine: " + why, "", 0};
}

// The other engine's next message. `attached` is what came with it. Nobody else's signals are answered
// meanwhile: who wants this process to end kills it.
Expected<std::string, SysError> next_word(MessageSocket& socket, UniqueFd& attached) {
    pollfd event{socket.fd(), POLLIN, 0};
    poll(&event, 1, static_cast<int>(milliseconds(kPatience)));
    const auto said = socket.receive(attached);
    if (!said) return Unexpected{cannot_take_over("it doesn't answer")};
    if (said->starts_with(succession::kRefused))
        return Unexpected{cannot_take_over(std::string(said->substr(succession::kRefused.size())))};
    return std::string(*said);
}

SysError say(const MessageSocket& socket, const std::string& why) {
    socket.send(succession::kRefused + why);
    return cannot_take_over(why);
}

}  // namespace

void Engine::hurry() {
    for (const SysError& warning : become_real_time(kEnginePriority))
        log(LogLevel::warning, warning.to_string());
}

Expected<Engine::Predecessor, SysError> Engine::meet(MessageSocket& socket, const Config& config) {
    Predecessor before;
    socket.send(succession::hello(hand_over_format(config.has_pools())));
    const auto how = next_word(socket, before.listener);
    if (!how) return Unexpected{how.error()};
    before.has_gate = how->starts_with(succession::kServeGate);
    const std::string& served = before.has_gate ? succession::kServeGate : succession::kServeMacvlan;
    if (!before.listener || !how->starts_with(served))
        return Unexpected{say(socket, "it says what makes no sense")};
    if (how->substr(served.size()) != config.control)
        return Unexpected{
            say(socket, "a new path of the control socket takes effect at the next start only")};
    const DataPlaneChoice other = before.has_gate ? DataPlaneChoice::macvlan : DataPlaneChoice::bpf;
    if (config.dataplane == other)
        return Unexpected{say(socket, "another dataplane takes effect at the next start only")};
    return before;
}

// All that takes long, and nothing that the other one would notice.
void Engine::stand_beside(std::shared_ptr<const Config> config) {
    serves_ = false;
    config_ = std::move(config);
    stay_off_last_cpu(config_->sync.has_value());
    kernel_.data_plane.stand_beside();
    verdicts_.configure(config_->tracks);
    pump_.input(now_, [&](Node& node, Actions& out) {
        node.configure(now_, GroupConfigs(config_, &config_->groups), out);
        adopt(node);
    });
    for (InterfaceId id = 0; id < node_.interfaces().size(); ++id)
        if (const Interface* interface = kernel_.monitor.find(node_.interfaces()[id]))
            bring_up(*interface, id, true);
}

std::optional<SysError> Engine::take_over() {
    MessageSocket& before = *supervision_.predecessor;
    hurry();
    drain([](const Received&) {});  // the other one hears that
    before.send(succession::kReady);
    UniqueFd file;
    const auto state = next_word(before, file);
    if (!state) return state.error();
    const Instant begun = host_now();
    const auto text = read_memory_file(file.get(), kMaxHandOver);
    if (!text) return say(before, text.error().to_string());
    const auto known = parse_hand_over(*text);
    if (!known) return say(before, "what it knows can't be used: " + known.error());
    before.send(succession::kUnderstood);
    if (const auto go = next_word(before, file); !go) return go.error();
    if (auto error = resume(*known)) return error;
    log(LogLevel::notice, fmt::format("carpd {} took over from {}: MASTER of {}; that took {:.1f} ms",
                                      CARPD_VERSION, known->version, node_.masters(),
                                      std::chrono::duration<double, std::milli>(host_now() - begun).count()));
    return std::nullopt;
}

// What came after the last packet that the other engine heard. If that one doesn't say which it was, it may
// have heard all of them.
std::vector<Engine::Unheard> Engine::take_unheard(const std::optional<std::uint64_t>& last) {
    std::vector<Unheard> unheard;
    last_packet_ = last.value_or(0);
    drain([&](const Received& packet) {
        const auto interface = interface_of_.find(packet.ifindex);
        last_packet_ = packet_digest(packet);
        if (!last || last_packet_ == *last)
            unheard.clear();
        else if (interface != interface_of_.end())
            unheard.push_back({interface->second, {packet.bytes.begin(), packet.bytes.end()}});
    });
    return unheard;
}

// A flood must not keep us from taking over: what is left then is heard as ever.
void Engine::drain(const std::function<void(const Received&)>& take) {
    std::size_t taken = 0;
    while (taken < Pump::kMaxPackets) {
        const std::span<const Received> batch = kernel_.socket.receive();
        if (batch.empty()) return;
        for (const Received& packet : batch) take(packet);
        taken += batch.size();
    }
}

void Engine::resume(const std::vector<CarpnodeMemory>& carpnodes) {
    for (const CarpnodeMemory& each : carpnodes) {
        const auto id = node_.group_at(each.interface, each.vhid);
        if (!id || !node_.pool(*id)) continue;
        if (each.lingers) kernel_.data_plane.linger(*id, *groups_[*id].config);
        if (each.traffic) kernel_.data_plane.set_traffic(*id, *each.traffic);
    }
}

// The other engine has ended, and all that it owned stands.
std::optional<SysError> Engine::resume(const HandOver& known) {
    now_ = host_now();
    serves_ = true;
    kernel_.control.own_file();
    const std::vector<Unheard> unheard = take_unheard(known.last_packet);
    const LinkMonitor::Changes changes = kernel_.monitor.drain();
    history_ = History(state_file(config_->control, "history"), known.history);
    for (const TrackMemory& track : known.tracks) verdicts_.set(track.track, track.verdict);
    kernel_.helper.set_wanted(config_->needs_helper());
    sync_demotion_ = known.node.sync_demotion;
    const bool is_master = std::any_of(known.node.groups.begin(), known.node.groups.end(),
                                       [](const GroupMemory& group) { return group.state == State::master; });
    if (known.sync && config_->sync) kernel_.sync.resume(now_, *known.sync, is_master, sync_demotion_ != 0);
    std::vector<LinkStatus> links;
    for (InterfaceId id = 0; id < node_.interfaces().size(); ++id) links.push_back(link_of(id));
    pump_.input(now_, [&](Node& node, Actions& out) {
        if (config_->sync) node.set_commit_wait(now_, config_->sync->commit_wait, out);
        node.resume(now_, known.node, links, out);
        node.handle_failing_tracks(now_, verdicts_.failing(), out);
        for (const Unheard& packet : unheard) node.handle_packet(now_, packet.interface, packet.bytes, out);
    });
    resume(known.carpnodes);
    if (auto error = kernel_.data_plane.take_over()) return error;
    push_watchdog();
    pump_.wake(now_ = host_now());
    for (const std::string& line :
         remove_what_is_not_held(*kernel_.netlink, config_->groups, kernel_.data_plane))
        log(LogLevel::warning, line + ", which the engine before had");
    update_links(changes);
    configure_sync(config_->sync);
    open_kept_demotions();
    if (config_->metrics) admit_web(kernel_.control);
    return std::nullopt;
}

}  // namespace carpd
