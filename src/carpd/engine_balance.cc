// The engine's part in load balancing.
#include "balance/macs.h"
#include "carpd/engine.h"
#include "control/pool_news.h"
#include "wire/neighbor.h"

namespace carpd {

void Engine::perform(const SetPool& action) {
    kernel_.data_plane.set_pool(action.leader, action.at_home, action.settling_until, action.hand_over_until);
}

void Engine::perform(const SendFloodProbe& action) {
    const Group& group = groups_[action.group];
    OutgoingFrame probe{group.ifindex,
                        frame_to(pool_mac(*group.config->balance), kernel_.data_plane.mac_of(action.group),
                                 action.packet.bytes())};
    kernel_.socket.send_frames(std::span(&probe, 1));
}

void Engine::perform(const ReportPool& action) {
    const GroupConfig& leader = *groups_[action.leader].config;
    log(is_trouble(action.news) ? LogLevel::warning : LogLevel::notice, describe(leader, action));
    broadcast([&](std::string_view time) { return monitor_line(leader, action, time); });
}

}  // namespace carpd
