// What the core wants done, on Linux.
#include <fmt/format.h>

#include "carpd/engine.h"
#include "control/refusal.h"
#include "wire/neighbor.h"

namespace carpd {

namespace {

constexpr InterfaceId kForeignInterface = ~InterfaceId{0};  // one that no group asked for (rule R1)

// What is normal on a shared network is a debug message; what keeps a group from its peers or its MAC is a
// warning.
LogLevel refusal_level(DropReason reason, bool ours) {
    switch (reason) {
        case DropReason::vrrp2:
        case DropReason::vrrp3: return ours ? LogLevel::warning : LogLevel::debug;
        case DropReason::bad_ttl:
        case DropReason::bad_family:
        case DropReason::unknown_peer:
        case DropReason::bad_digest:
        case DropReason::own_advert: return LogLevel::warning;
        case DropReason::bad_interface:
        case DropReason::bad_destination:
        case DropReason::bad_vhid:
        case DropReason::not_running: return LogLevel::debug;
        default: return LogLevel::info;
    }
}

}  // namespace

std::span<const ReceivedPacket> Engine::receive() {
    batch_.clear();
    std::span<const Received> received;
    do {
        received = kernel_.socket.receive();
        heard_ += received.size();
        if (!received.empty()) last_packet_ = packet_digest(received.back());
        for (const Received& packet : received) {
            const auto found = interface_of_.find(packet.ifindex);
            if (found != interface_of_.end())
                batch_.push_back({found->second, packet.bytes});
            else if (!comes_elsewhere(packet.ifindex))
                batch_.push_back({kForeignInterface, packet.bytes});
        }
    } while (batch_.empty() && !received.empty());
    return batch_;
}

// A group's device hears what its interface hears, and a bridge or bond what its ports do: a second time.
bool Engine::comes_elsewhere(int ifindex) const {
    const Interface* interface = kernel_.monitor.find(ifindex);
    return interface &&
           (interface->link.master != 0 || interface->link.alias.starts_with(kDeviceAliasPrefix));
}

void Engine::refused(const ReceivedPacket& packet, DropReason reason, const GroupId* group) {
    LogLimit& limit = refusal_limits_[static_cast<std::size_t>(reason)];
    if (!limit.admit(now_)) return;
    const auto ip = parse_ip_packet(packet.bytes);
    const bool known = packet.interface < node_.interfaces().size();
    const std::uint64_t held_back = limit.take_suppressed();
    log(refusal_level(reason, group != nullptr),
        fmt::format(
            "{}refused a packet from {} on {}: {} ({}){}", group ? groups_[*group].config->name + ": " : "",
            ip ? ip->source.to_string() : "an unreadable address",
            known ? node_.interfaces()[packet.interface] : "another interface", explain_refusal(reason),
            to_string(reason), held_back ? fmt::format("; {} more like it were not shown", held_back) : ""));
}

void Engine::perform(const WithdrawAddresses& action) {
    groups_[action.group].owned = false;
    kernel_.data_plane.withdraw(action.group, action.hand_over_until);
    fence(action.group, kNever);
}

void Engine::perform(std::span<SendAdvertisement> actions) {
    frames_.clear();
    for (SendAdvertisement& action : actions) {
        const int ifindex = groups_[action.group].ifindex;
        const Bytes packet = action.packet.bytes();
        if (action.destination.is_multicast())
            frames_.push_back({ifindex, advertisement_frame(action.group, packet)});
        else
            action.sent =
                kernel_.socket.send_unicast(ifindex, packet, action.destination) != SendOutcome::failed;
    }
    kernel_.socket.send_frames(frames_);
    auto frame = frames_.begin();
    for (SendAdvertisement& action : actions)
        if (action.destination.is_multicast()) action.sent = (frame++)->sent;
}

bool Engine::perform(const SendProbe& action) {
    const int ifindex = groups_[action.group].ifindex;
    const Interface* interface = kernel_.monitor.find(ifindex);
    if (!interface) return false;
    OutgoingFrame probe{ifindex, send_probe(interface->mac())};
    kernel_.socket.send_frames(std::span(&probe, 1));
    return probe.sent;
}

void Engine::perform(std::span<InstallAddresses> actions) {
    installations_.clear();
    for (const InstallAddresses& action : actions) {
        Group& group = groups_[action.group];
        fence(action.group, fence_of(action.group, action.lease_until));
        if (!group.prepared) prepare(action.group);
        installations_.push_back({action.group, group.config, action.lease_until});
    }
    push_watchdog();  // before there is anything to fence
    kernel_.data_plane.install(installations_);
    for (std::size_t i = 0; i < actions.size(); ++i)
        groups_[actions[i].group].owned = actions[i].installed = installations_[i].installed;
}

// Where the kernel doesn't enforce the lease, the supervisor does.
void Engine::fence(GroupId id, Instant at) {
    if (!kernel_.data_plane.has_gate()) fences_.set(id, at);
}

// Of the time from the lease's end to the fastest backup's takeover (a fifteenth of the lease), we have the
// first half to withdraw in order, and the supervisor the second.
Instant Engine::fence_of(GroupId id, Instant lease_until) const {
    const GroupConfig& config = *groups_[id].config;
    return lease_until + lease_length(config.advbase, config.advskew) / 30;
}

void Engine::perform(const RenewLease& action) {
    fence(action.group, fence_of(action.group, action.until));
    kernel_.data_plane.renew_lease(action.group, action.until);
}

void Engine::perform(std::span<const AnnounceAddresses> actions) {
    frames_.clear();
    for (const AnnounceAddresses& action : actions) {
        const Group& group = groups_[action.group];
        if (group.owned) kernel_.data_plane.announce(action.group, *group.config, frames_);
    }
    kernel_.socket.send_frames(frames_);
}

}  // namespace carpd
