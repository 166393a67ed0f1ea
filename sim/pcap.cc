#include "sim/pcap.h"

#include "carp/types.h"
#include "wire/ip_packet.h"
#include "wire/neighbor.h"

namespace carpd::sim {

namespace {

constexpr std::uint32_t kMagic = 0xa1b2c3d4;  // microseconds
constexpr std::uint32_t kEthernet = 1;

MacAddress own_mac(std::uint8_t host) {
    return {{0x02, 0, 0, 0, 0, host}};
}

}  // namespace

PcapWriter::PcapWriter(const std::string& path) : file_(path, std::ios::binary | std::ios::trunc) {
    u32(kMagic);
    u32(2 | 4u << 16);  // version 2.4
    u32(0);
    u32(0);
    u32(0xffff);
    u32(kEthernet);
}

// Little-endian, whatever the machine is; the magic number says so to the reader.
void PcapWriter::u32(std::uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) file_.put(static_cast<char>(value >> shift & 0xff));
}

void PcapWriter::write(Moment at, const Packet& packet) {
    const Vhid vhid{static_cast<std::uint8_t>(packet.group + 1)};
    Frame frame = multicast_frame(packet.unicast ? own_mac(packet.origin) : virtual_mac(vhid), packet.view());
    if (packet.unicast) {  // the network knows its hosts by the last byte of their addresses
        const MacAddress to = own_mac(packet.bytes[packet.header() - 1]);
        std::copy(to.bytes.begin(), to.bytes.end(), frame.storage().begin());
    }
    if (packet.flood_probe)
        frame = frame_to({{0x01, 0, 0x5e, 0, 0x01, vhid.value}}, own_mac(packet.origin), packet.view());
    const Bytes bytes = frame.bytes();
    u32(static_cast<std::uint32_t>(at / kSecond));
    u32(static_cast<std::uint32_t>(at % kSecond / kMicrosecond));
    u32(static_cast<std::uint32_t>(bytes.size()));
    u32(static_cast<std::uint32_t>(bytes.size()));
    file_.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace carpd::sim
