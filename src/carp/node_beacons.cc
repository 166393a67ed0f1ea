// What Node does for beacons: what its groups' hosts that run carpd tell each other (carp/group_peers.h).
#include "carp/node.h"

namespace carpd {

// Its configuration is new, or changed.
void Node::follow_beacons(Instant now, GroupId id, Actions& out) {
    const VirtualHost& group = *groups_[id];
    if (!group.config().beacons) {
        if (peers_[id]) send_beacon(now, id, true, out);
        peers_[id].reset();
    } else if (peers_[id]) {
        peers_[id]->reconfigure(group.config());
    } else {
        peers_[id] = std::make_unique<GroupPeers>(group, host_, now);
    }
}

Receipt Node::hear_beacon(Instant now, InterfaceId interface, const IpPacket& packet, Actions& out) {
    const auto beacon = decode_beacon(packet.payload);
    if (!beacon) return {beacon.error(), {}};
    const auto id = group_of(interface, beacon->vhid);
    if (!id) return {DropReason::bad_vhid, {}};
    if (!peers_[*id]) return {{}, id};  // who has no beacons is not interested in others'
    const auto refused = peers_[*id]->hear(now, packet, *beacon, out);
    if (refused) groups_[*id]->count_drop(now, packet.source, *refused);
    set_deadline(*id);
    return {refused, id};
}

// One to each destination that an advertisement would have, in each family. Without an address of its own a
// host has no other than 0.0.0.0: to say this in the name of a shared one is the MASTER's.
void Node::send_beacon(Instant now, GroupId id, bool leaves, Actions& out) {
    const VirtualHost& group = *groups_[id];
    GroupPeers& peers = *peers_[id];
    const LinkStatus& link = interfaces_[interface_of_[id]].link;
    if (!link.present || !link.up || !link.running) return peers.be_silent(now);
    Beacon beacon = peers.speak(now, group, leaves, out);
    beacon.set_name(host_name_);
    const auto send = [&](const IpAddress& destination) {
        const IpAddress& source = link.source_for(destination);
        if (source.family() == Family::ipv6 && source.is_unspecified()) return;
        const BeaconPacket packet(source, destination, beacon, peers.keyed());
        out.emplace_back(SendBeacon{id, destination, {packet.bytes().begin(), packet.bytes().end()}});
    };
    const GroupConfig& config = group.config();
    for (const Family family : kFamilies)
        if (config.peers.empty() && config.has(family)) send(carp_multicast_group(family));
    for (const IpAddress& peer : config.peers)
        if (config.has(peer.family())) send(peer);
}

}  // namespace carpd
