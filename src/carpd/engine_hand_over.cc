// The engine's part that lets another one take over (docs/upgrade.md, carpd/succession.h). Whatever fails
// until the last word, it goes on as if nothing had been.
#include <fmt/format.h>
#include <poll.h>

#include <csignal>

#include "carpd/engine.h"
#include "carpd/succession.h"
#include "linux/clock.h"
#include "linux/log.h"
#include "linux/memory_file.h"

namespace carpd {

namespace {

constexpr int kMessagesAtOnce = 16;
// What the successor needs from the state to its first advertisement takes less, unless there are very many
// groups. Where it never is as quiet for so long, any moment will do.
constexpr Duration kQuiet = std::chrono::milliseconds(2);
constexpr Duration kMostToBeQuiet = std::chrono::milliseconds(100);
// For the successor to read what it gets. Longer than that costs leases, and it would be of no use any more.
constexpr Duration kMostToUnderstand = std::chrono::milliseconds(500);

}  // namespace

// The supervisor tries the new program, then becomes it and starts an engine that will say hello.
std::string Engine::upgrade(LineServer::ClientId client) {
    if (upgrader_ && kernel_.control.is_open(*upgrader_))
        return error_line("not upgraded: another upgrade is under way");
    if (config_->ucarp)
        return error_line(
            "not upgraded: ucarp can't be, without a failover; start it once more with the same options, and "
            "it takes the place of this one");
    std::string answer = reload();  // what the other one will find
    if (answer != ok_line()) return answer;
    upgrader_ = client;
    kill(supervision_.supervisor, SIGUSR2);
    return answer;
}

void Engine::hear_successor() {
    const int format = hand_over_format(config_->has_pools());
    kernel_.successor.hear(kMessagesAtOnce, [this, format](std::string_view said) {
        if (said == succession::hello(format) || said == succession::hello(kHandOverFormat))
            meet_successor();
        else if (said == succession::kReady)
            hands_over_since_ = now_;
        else if (said.starts_with(succession::kRefused))
            end_upgrade(std::string(said.substr(succession::kRefused.size())));
        else
            supervision_.successor.send(succession::kRefused +
                                        fmt::format("the running carpd hands over in format {}", format));
    });
}

void Engine::meet_successor() {
    const std::string how =
        (kernel_.data_plane.has_gate() ? succession::kServeGate : succession::kServeMacvlan) +
        config_->control;
    supervision_.successor.send(how, kernel_.control.listener());
}

// Between two advertisements, when nothing waits that is soon done.
bool Engine::is_quiet() const {
    if (hands_over_since_ == kNever || pump_.has_reports() || !kernel_.data_plane.is_settled() ||
        node_.hands_over_until() > now_)
        return false;
    const bool has_time = node_.next_deadline() > now_ + kQuiet;
    return (has_time && answers_.empty() && !history_.is_due(now_)) ||
           now_ >= hands_over_since_ + kMostToBeQuiet;
}

std::vector<CarpnodeMemory> Engine::known_carpnodes() const {
    std::vector<CarpnodeMemory> known;
    for (GroupId id = 0; id < node_.group_slots(); ++id) {
        const Balancer* pool = node_.pool(id);
        if (!pool) continue;
        const GroupConfig& config = node_.group(id)->config();
        known.push_back({config.interface, config.vhid, kernel_.data_plane.lingers(id), {}});
        if (pool->leader() == id) known.back().traffic = kernel_.data_plane.traffic_of(id);
    }
    return known;
}

HandOver Engine::all_that_is_known() const {
    HandOver known;
    known.version = CARPD_VERSION;
    known.node = node_.memory();
    known.carpnodes = known_carpnodes();
    for (const Verdicts::Entry& entry : verdicts_.entries())
        known.tracks.push_back({entry.config.name, entry.verdict});
    known.sync = kernel_.sync.memory(now_);
    known.last_packet = last_packet_;
    known.history = history_.lines();
    return known;
}

void Engine::hand_over() {
    hands_over_since_ = kNever;
    const auto file = make_memory_file(to_document(all_that_is_known()));
    if (!file) return end_upgrade(file.error().to_string());
    if (!supervision_.successor.send(succession::kState, file->get()))
        return end_upgrade("the new engine hears nothing");
    pollfd event{supervision_.successor.fd(), POLLIN, 0};
    poll(&event, 1, static_cast<int>(milliseconds(kMostToUnderstand)));
    const auto answer = supervision_.successor.receive();
    if (answer != succession::kUnderstood) {
        const bool has_reason = answer && answer->starts_with(succession::kRefused);
        return end_upgrade(has_reason ? std::string(answer->substr(succession::kRefused.size()))
                                      : "the new engine didn't answer in time");
    }
    if (!supervision_.successor.send(succession::kGo)) return end_upgrade("the new engine hears nothing");
    if (upgrader_) kernel_.control.send(*upgrader_, ok_line());
    kernel_.control.leave_file();
    has_handed_over_ = true;
}

// A successor that waits for something learns that it won't come.
void Engine::end_upgrade(const std::string& why) {
    hands_over_since_ = kNever;
    if (upgrader_) kernel_.control.send(*upgrader_, error_line("not upgraded: " + why));
    upgrader_.reset();
}

}  // namespace carpd
