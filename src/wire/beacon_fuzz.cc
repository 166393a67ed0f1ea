// Any bytes as a beacon: never out of bounds, and what is accepted says the same when it is said again.
#include "base/assert.h"
#include "wire/beacon.h"
#include "wire/ip_packet.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const carpd::Bytes input(data, size);
    if (!carpd::is_beacon(input)) return 0;
    const auto beacon = carpd::decode_beacon(input);
    if (!beacon) return 0;
    const carpd::HmacSha1 keyed(carpd::Bytes{});
    const carpd::BeaconPacket packet(carpd::IpAddress(), carpd::carp_multicast_group(carpd::Family::ipv4),
                                     *beacon, keyed);
    const auto again = carpd::parse_ip_packet(packet.bytes());
    CARPD_ASSERT(again && carpd::decode_beacon(again->payload).value() == *beacon);
    CARPD_ASSERT(carpd::digest_in_beacon(again->payload) == carpd::digest_of_beacon(keyed, again->payload));
    return 0;
}
