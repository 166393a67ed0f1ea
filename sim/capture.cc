#include "sim/capture.h"

#include "carp/types.h"
#include "wire/ip_packet.h"
#include "wire/neighbor.h"

namespace carpd::sim {

namespace {

MacAddress own_mac(std::uint8_t host) {
    return {{0x02, 0, 0, 0, 0, host}};
}

}  // namespace

// Its one interface has no name: who reads it knows another.
CaptureWriter::CaptureWriter(const std::string& path) : file_(path, std::ios::binary | std::ios::trunc) {
    put(CaptureBlock::section());
    put(CaptureBlock::interface("", LinkType::ethernet));
}

void CaptureWriter::put(const CaptureBlock& block) {
    const Bytes bytes = block.bytes();
    file_.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

void CaptureWriter::write(Moment at, const Packet& packet) {
    const Vhid vhid{static_cast<std::uint8_t>(packet.group + 1)};
    Frame frame = multicast_frame(packet.unicast ? own_mac(packet.origin) : virtual_mac(vhid), packet.view());
    if (packet.unicast) {  // the network knows its hosts by the last byte of their addresses
        const MacAddress to = own_mac(packet.bytes[packet.header() - 1]);
        std::copy(to.bytes.begin(), to.bytes.end(), frame.storage().begin());
    }
    if (packet.flood_probe)
        frame = frame_to({{0x01, 0, 0x5e, 0, 0x01, vhid.value}}, own_mac(packet.origin), packet.view());
    put(CaptureBlock::packet(0, at, FrameDirection::unknown, frame.bytes()));
}

}  // namespace carpd::sim
