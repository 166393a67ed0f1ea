#include "lab/injector.h"

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>

#include "carp/authenticator.h"
#include "lab/error.h"
#include "wire/checksum.h"
#include "wire/ip_packet.h"

namespace carpd::lab {

namespace {

IpAddress parse_address(const std::string& text) {
    const auto address = IpAddress::parse(text.substr(0, text.find('/')));
    if (!address) fail("{} is no address", text);
    return *address;
}

}  // namespace

AdvertisementBytes Forgery::advertisement() const {
    Key key{};
    std::copy(password.begin(), password.end(), key.begin());
    std::vector<InterfaceAddress> list;
    for (const std::string& address : addresses) list.push_back({parse_address(address), 0});
    Advertisement result{vhid, advskew, demote, advbase, counter, {}};
    result.digest = Authenticator(key, Vhid{vhid}, list).sign(counter);
    return encode(result);
}

std::vector<std::uint8_t> Forgery::packet(Bytes payload) const {
    const IpAddress from = parse_address(source);
    const IpAddress to =
        destination.empty() ? carp_multicast_group(from.family()) : parse_address(destination);
    const AdvertisementPacket envelope(from, to, {});
    const std::size_t header = from.family() == Family::ipv4 ? 20 : 40;
    std::vector<std::uint8_t> bytes(header + payload.size());
    std::copy_n(envelope.bytes().begin(), header, bytes.begin());
    std::copy(payload.begin(), payload.end(), bytes.begin() + static_cast<std::ptrdiff_t>(header));
    const std::size_t length = from.family() == Family::ipv4 ? bytes.size() : payload.size();
    const std::size_t offset = from.family() == Family::ipv4 ? 2 : 4;
    bytes[offset] = static_cast<std::uint8_t>(length >> 8);
    bytes[offset + 1] = static_cast<std::uint8_t>(length);
    if (from.family() == Family::ipv4) fix_ip_checksum(bytes);
    return bytes;
}

void fix_advertisement_checksum(std::span<std::uint8_t> advertisement) {
    advertisement[6] = advertisement[7] = 0;
    const std::uint16_t sum =
        checksum(advertisement.first(std::min(advertisement.size(), kAdvertisementSize)));
    ByteWriter(advertisement.subspan(6, 2)).u16(sum);
}

void fix_ip_checksum(std::span<std::uint8_t> packet) {
    packet[10] = packet[11] = 0;
    const std::size_t length = std::min<std::size_t>(packet.size(), (packet[0] & 0x0f) * 4u);
    ByteWriter(packet.subspan(10, 2)).u16(checksum(packet.first(length)));
}

Injector::Injector(Host& host) : socket_(host.space().socket(AF_PACKET, SOCK_RAW, 0)), mac_(host.mac()) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    host.space().inside([&] { address.sll_ifindex = static_cast<int>(if_nametoindex("eth0")); });
    check(bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
}

void Injector::frame(Bytes bytes) {
    check(static_cast<int>(send(socket_.get(), bytes.data(), bytes.size(), 0)), "sending a frame");
}

void Injector::packet(Bytes bytes) {
    const bool is_ipv4 = bytes.empty() || bytes[0] >> 4 != 6;
    MacAddress to{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
    if (is_ipv4 && bytes.size() >= 20 && bytes[16] == 224)
        to = {{0x01, 0x00, 0x5e, static_cast<std::uint8_t>(bytes[17] & 0x7f), bytes[18], bytes[19]}};
    else if (!is_ipv4 && bytes.size() >= 40 && bytes[24] == 0xff)
        to = {{0x33, 0x33, bytes[36], bytes[37], bytes[38], bytes[39]}};
    std::vector<std::uint8_t> frame(14 + bytes.size());
    ByteWriter writer(frame);
    writer.bytes(to.bytes);
    writer.bytes(mac_.bytes);
    writer.u16(is_ipv4 ? 0x0800 : 0x86dd);
    writer.bytes(bytes);
    this->frame(frame);
}

}  // namespace carpd::lab
