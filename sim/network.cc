// The world's network: a switch with faults, and a stranger on it.
#include <algorithm>

#include "sim/station.h"
#include "sim/world.h"
#include "wire/checksum.h"
#include "wire/ip_packet.h"

namespace carpd::sim {

namespace {

void flip_bit(Packet& packet, Dice& dice) {
    packet.bytes[dice.below(packet.size)] ^= static_cast<std::uint8_t>(1u << dice.below(8));
}

// Whether every byte that the digest covers is still the origin's, in a packet whose checksums hold. What
// else may differ (election fields, the IPv6 source) nobody can know.
bool still_genuine(const Packet& now, const Packet& before) {
    const auto packet = parse_ip_packet(now.view());
    if (!packet || packet->payload.size() < kAdvertisementSize) return false;
    const Bytes was = before.view().subspan(before.header());
    const Bytes is = packet->payload;
    if (packet->hop_limit != kHopLimit || checksum(is.first(kAdvertisementSize)) != 0) return false;
    return is[0] == was[0] && is[1] == was[1] && is[3] == was[3] &&
           std::equal(is.begin() + 8, is.begin() + kAdvertisementSize, was.begin() + 8);
}

bool keeps_destination(const Packet& now, const Packet& before) {
    const auto is = parse_ip_packet(now.view()), was = parse_ip_packet(before.view());
    return !is || (was && is->destination == was->destination);
}

void fill_checksum(Packet& packet) {
    std::uint8_t* payload = packet.bytes.data() + packet.header();
    payload[6] = payload[7] = 0;
    const std::uint16_t sum = checksum(Bytes(payload, kAdvertisementSize));
    payload[6] = static_cast<std::uint8_t>(sum >> 8);
    payload[7] = static_cast<std::uint8_t>(sum);
}

}  // namespace

// ---- the switch

void World::transmit(PacketId id, const IpAddress& destination) {
    packets_.hold(id);
    const Packet& packet = packets_[id];
    const int from = packet.origin;
    if (witness_.frame) witness_.frame(now_, from, packet);
    if (station(from).connected(packet.group)) {
        const bool echoes = std::any_of(active_.begin(), active_.end(), [this](std::uint32_t place) {
            return plan_.faults[place].kind == FaultKind::echo;
        });
        for (int h = 0; h < hosts(); ++h) {
            const HostPlan& to = plan_.hosts[static_cast<std::size_t>(h)];
            const bool is_carpd = to.kind == Kind::carpd;  // some stand-ins believe their own echo
            const bool addressed = !packet.unicast || destination == to.own4 || destination == to.own6 ||
                                   destination == to.global6;
            if (h == from ? echoes && is_carpd : addressed) send_to(h, id);
        }
        capture(packet);
    }
    packets_.release(id);
}

void World::send_to(int host, PacketId id) {
    std::int64_t delay = dice_.between(plan_.min_delay, plan_.max_delay);
    std::int64_t copy_delay = -1;
    PacketId sent = id;
    for (std::uint32_t place : active_) {
        const auto more = fate(plan_.faults[place], host, packets_[id], sent, copy_delay, fault_dice_[place]);
        if (!more) {
            if (packets_[sent].references == 0) {  // damaged first, then lost
                packets_.hold(sent);
                packets_.release(sent);
            }
            return;
        }
        delay += *more;
    }
    packets_.hold(sent);
    schedule(now_ + delay, EventKind::delivery, host, sent);
    if (copy_delay < 0) return;
    packets_.hold(sent);
    schedule(now_ + delay + copy_delay, EventKind::delivery, host, sent);
}

// What a fault does to a packet on its way to `host`: nothing is returned if it is lost, otherwise how much
// later it comes. `id` becomes another if it is damaged; `copy_delay` is set if it comes twice.
std::optional<std::int64_t> World::fate(const Fault& fault, int host, const Packet& original, PacketId& id,
                                        std::int64_t& copy_delay, Dice& dice) {
    const Packet& packet = packets_[id];
    const int from = packet.origin;
    switch (fault.kind) {
        case FaultKind::loss:
            if (dice.permille(fault.chance)) return std::nullopt;
            break;
        case FaultKind::one_way_loss:
            if (from == fault.host && host == fault.peer) return std::nullopt;
            break;
        case FaultKind::partition:
            if (from != kStranger && contains(fault.side, from) != contains(fault.side, host))
                return std::nullopt;
            break;
        case FaultKind::family_loss:
            if (packet.family == fault.family) return std::nullopt;
            break;
        case FaultKind::multicast_loss:
            if (!packet.unicast && from == fault.host) return std::nullopt;
            break;
        case FaultKind::delay:
            if (dice.permille(fault.chance)) return dice.between(0, fault.span);
            break;
        case FaultKind::reordering:
            if (dice.permille(fault.chance)) return fault.span;
            break;
        case FaultKind::duplication:
            if (dice.permille(fault.chance)) copy_delay = dice.between(0, fault.span);
            break;
        case FaultKind::corruption: {
            if (!dice.permille(fault.chance)) break;
            const PacketId damaged = copy(packet);
            Packet& d = packets_[damaged];
            for (std::uint64_t flips = 1 + dice.below(3); flips > 0; --flips) flip_bit(d, dice);
            d.genuine = original.genuine && still_genuine(d, original);  // a second damage may undo the first
            if (d.genuine) d.read_standing();
            d.altered = true;
            d.flood_probe = d.flood_probe && keeps_destination(d, original);
            id = damaged;
            break;
        }
        default: break;
    }
    return 0;
}

void World::deliver(int host, PacketId id) {
    Station& to = *stations_[static_cast<std::size_t>(host)];
    if (to.connected(packets_[id].group) && to.machine_runs()) to.deliver(id);
    packets_.release(id);
}

PacketId World::copy(const Packet& packet) {
    const PacketId id = packets_.add();
    packets_[id] = packet;
    packets_[id].references = 0;
    return id;
}

// ---- the stranger

void World::capture(const Packet& packet) {
    captured_[captured_next_++ % captured_.size()] = packet;
}

void World::inject(PacketId id) {
    packets_.hold(id);
    if (witness_.frame) witness_.frame(now_, kStranger, packets_[id]);
    for (int h = 0; h < hosts(); ++h) send_to(h, id);
    packets_.release(id);
}

// A captured advertisement with something changed that the digest covers, or bytes that were never one.
void World::inject_forgery(Dice& dice) {
    const auto& overheard = captured_[dice.below(captured_.size())];
    if (!overheard) return;
    const PacketId id = copy(*overheard);
    Packet& p = packets_[id];
    std::uint8_t* payload = p.bytes.data() + p.header();
    switch (dice.below(4)) {
        case 0:  // another counter
            payload[8 + dice.below(8)] ^= static_cast<std::uint8_t>(dice.between(1, 255));
            break;
        case 1:  // another digest
            payload[16 + dice.below(20)] ^= static_cast<std::uint8_t>(dice.between(1, 255));
            break;
        case 2:  // the best master there can be, signed by nobody
            payload[2] = payload[5] = 0;
            for (std::size_t i = 8; i < kAdvertisementSize; ++i)
                payload[i] = static_cast<std::uint8_t>(dice.next());
            break;
        default:  // noise of protocol 112
            for (std::size_t i = 0; i < kAdvertisementSize; ++i)
                payload[i] = static_cast<std::uint8_t>(dice.next());
            break;
    }
    if (!dice.one_in(8)) fill_checksum(p);
    p.genuine = false;
    p.altered = true;
    inject(id);
}

// A captured advertisement, with a right digest, that says something else of its sender.
void World::inject_replay(Dice& dice) {
    const auto& overheard = captured_[dice.below(captured_.size())];
    if (!overheard) return;
    const PacketId id = copy(*overheard);
    Packet& p = packets_[id];
    std::uint8_t* payload = p.bytes.data() + p.header();
    switch (dice.below(4)) {
        case 0: break;  // as it was
        case 1:         // a bow-out
            payload[2] = payload[5] = 255;
            break;
        case 2:  // a better master than any
            payload[2] = payload[4] = 0;
            break;
        default:
            payload[2] = static_cast<std::uint8_t>(dice.between(0, 254));
            payload[4] = static_cast<std::uint8_t>(dice.between(0, 255));
            break;
    }
    fill_checksum(p);
    p.altered = true;
    p.read_standing();
    inject(id);
}

}  // namespace carpd::sim
