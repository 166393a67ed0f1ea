// The engine's part in beacons, and what they tell of other hosts.
#include <fmt/format.h>

#include "carpd/engine.h"
#include "control/event_fields.h"
#include "control/peer_news.h"

namespace carpd {

void Engine::perform(const SendBeacon& action) {
    const int ifindex = groups_[action.group].ifindex;
    const Bytes packet = action.packet;
    if (action.destination.is_multicast())
        kernel_.socket.send_multicast(ifindex, packet, action.destination);
    else
        kernel_.socket.send_unicast(ifindex, packet, action.destination);
}

// Of thousands of groups each has the same to tell when a host goes: people need not read it of all.
void Engine::perform(const ReportPeer& action) {
    const GroupConfig& group = *groups_[action.group].config;
    broadcast([&](std::string_view time) { return monitor_line(group, action, time); });
    LogLimit& limit = peer_limits_[static_cast<std::size_t>(action.news)];
    if (!limit.admit(now_)) return;
    std::string text = describe(group, action);
    if (const auto held_back = limit.take_suppressed(); held_back != 0)
        text += fmt::format("; {} more like it were not shown", held_back);
    log(is_trouble(action.news) ? LogLevel::warning : LogLevel::notice, text, event_fields(group, action));
}

}  // namespace carpd
