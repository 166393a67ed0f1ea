// The engine's part for `carpd ucarp`, where scripts bring the address.
#include <fmt/format.h>

#include "carpd/engine.h"
#include "linux/log.h"
#include "wire/neighbor.h"

namespace carpd {

namespace {

constexpr MacAddress kBroadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
// How long a MASTER that was told to step back leaves the others the way.
constexpr Duration kSteppedBack = std::chrono::seconds(3);
constexpr int kStepBackAmount = 240;
constexpr std::string_view kStepBackDemotion = "sigusr2";

}  // namespace

void Engine::obey(const UcarpMode& ucarp, LinkStatus& status) {
    status.source4 = ucarp.source;
    if (ucarp.ignores_link) status.up = status.running = status.present;
}

Frame Engine::advertisement_frame(GroupId id, Bytes packet) const {
    const MacAddress source = kernel_.data_plane.mac_of(id);
    return config_->ucarp && config_->ucarp->broadcasts ? frame_to(kBroadcast, source, packet)
                                                        : multicast_frame(source, packet);
}

// SIGUSR1. Those who look for it in their logs know the line from ucarp.
void Engine::log_ucarp_status() const {
    for (GroupId id = 0; id < node_.group_slots(); ++id)
        if (const VirtualHost* group = node_.group(id))
            log(LogLevel::notice, fmt::format("{} on {} id {}", to_upper_string(group->state()),
                                              group->config().interface, group->config().vhid.value));
}

// SIGUSR2.
void Engine::step_back() {
    pump_.input(now_, [this](Node& node, Actions& out) {
        for (GroupId id = 0; id < node.group_slots(); ++id) {
            const VirtualHost* group = node.group(id);
            if (group == nullptr || group->state() != State::master) continue;
            node.demote_group(now_, id, kStepBackDemotion, kStepBackAmount, now_ + kSteppedBack, out);
            node.handle_request(now_, id, State::backup, out);
        }
    });
}

}  // namespace carpd
