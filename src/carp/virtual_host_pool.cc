// What a group does as a carpnode of its pool (carp/balancer.h).
#include <algorithm>

#include "carp/virtual_host.h"

namespace carpd {

IpAddress VirtualHost::source(Family family) const {
    const auto& peers = config_->peers;
    const auto peer = std::find_if(peers.begin(), peers.end(),
                                   [family](const IpAddress& p) { return p.family() == family; });
    return source(peer != peers.end() ? *peer : carp_multicast_group(family));
}

AdvertisementPacket VirtualHost::flood_probe(const IpAddress& destination) {
    return sign(source(destination.family()), destination, Saying::advertisement);
}

std::optional<DropReason> VirtualHost::on_flood_probe(Instant now, const IpPacket& packet,
                                                      const Advertisement& advertisement) {
    const auto reason = refuse(packet, advertisement);
    if (reason == DropReason::own_advert) return std::nullopt;
    if (reason) count_drop(now, packet.source, *reason, advertisement);
    return reason;
}

}  // namespace carpd
