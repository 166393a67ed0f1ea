// Any bytes as an IP packet: what is accepted lies within the input, and its addresses are of one family.
#include "base/assert.h"
#include "wire/ip_packet.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const carpd::Bytes input(data, size);
    if (const auto packet = carpd::parse_ip_packet(input)) {
        CARPD_ASSERT(packet->source.family() == packet->destination.family());
        CARPD_ASSERT(packet->payload.data() >= data);
        CARPD_ASSERT(packet->payload.data() + packet->payload.size() <= data + size);
        static_cast<void>(carpd::decode_advertisement(packet->payload));
    }
    return 0;
}
