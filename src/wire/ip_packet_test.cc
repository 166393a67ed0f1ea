#include "wire/ip_packet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/captures/captures.h"
#include "wire/checksum.h"
#include "wire/neighbor.h"

namespace carpd {
namespace {

using testing::ElementsAreArray;

constexpr std::size_t kEthernet = 14;

IpAddress ip(std::string_view text) {
    return IpAddress::parse(text).value();
}

std::vector<std::uint8_t> packet_of(const std::string& frame) {
    std::vector<std::uint8_t> bytes = captures::frame(frame);
    bytes.erase(bytes.begin(), bytes.begin() + kEthernet);
    return bytes;
}

AdvertisementBytes advertisement(const std::string& id) {
    const captures::Vector v = captures::vector(id);
    AdvertisementBytes bytes{};
    std::copy(v.header.begin(), v.header.end(), bytes.begin());
    return bytes;
}

void fill_header_checksum(std::vector<std::uint8_t>& packet) {
    packet[10] = packet[11] = 0;
    const std::size_t header_size = 4u * (packet[0] & 0x0f);
    ByteWriter(std::span(packet).subspan(10)).u16(checksum(Bytes(packet).first(header_size)));
}

void expect_refused(Bytes packet) {
    const auto parsed = parse_ip_packet(packet);
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error(), DropReason::bad_ip_header);
}

TEST(ParseIpPacket, CapturedFrames) {
    struct Case {
        const char *frame, *source, *destination, *vector;
    };
    for (const Case& c :
         {Case{"tv1", "192.0.2.1", "224.0.0.18", "TV1"}, Case{"tv4", "fe80::1", "ff02::12", "TV4"}}) {
        SCOPED_TRACE(c.frame);
        const auto bytes = packet_of(c.frame);
        const auto parsed = parse_ip_packet(bytes);
        ASSERT_TRUE(parsed);
        EXPECT_EQ(parsed->source, ip(c.source));
        EXPECT_EQ(parsed->destination, ip(c.destination));
        EXPECT_EQ(parsed->destination, carp_multicast_group(parsed->source.family()));
        EXPECT_EQ(parsed->hop_limit, 255);
        EXPECT_THAT(parsed->payload, ElementsAreArray(captures::vector(c.vector).header));
    }
}

TEST(ParseIpPacket, AnAdvertisementOfUcarp) {
    const auto bytes = packet_of("ucarp");
    const auto parsed = parse_ip_packet(bytes);
    ASSERT_TRUE(parsed);
    const auto advertisement = decode_advertisement(parsed->payload);
    ASSERT_TRUE(advertisement);
    EXPECT_EQ(advertisement->vhid, 7);
    EXPECT_EQ(advertisement->advbase, 1);
    EXPECT_EQ(advertisement->advskew, 0);
    EXPECT_EQ(advertisement->counter, 0x22f325ed562c1ba9u);

    const captures::Vector tv3 = captures::vector("TV3");  // the same password
    HmacSha1 hmac(tv3.key());
    hmac.update(captures::from_hex("020107c000026422f325ed562c1ba9"));
    EXPECT_EQ(hmac.finish(), advertisement->digest);
}

TEST(ParseIpPacket, PaddingIsCutOff) {
    for (const char* frame : {"tv1", "tv4"}) {
        auto bytes = packet_of(frame);
        bytes.insert(bytes.end(), 10, 0xee);
        const auto parsed = parse_ip_packet(bytes);
        ASSERT_TRUE(parsed);
        EXPECT_EQ(parsed->payload.size(), kAdvertisementSize);
    }
}

TEST(ParseIpPacket, OptionsAreSkipped) {
    auto bytes = packet_of("tv1");
    const std::uint8_t router_alert[] = {0x94, 0x04, 0, 0};
    bytes.insert(bytes.begin() + 20, std::begin(router_alert), std::end(router_alert));
    bytes[0] = 0x46;
    bytes[3] = 60;
    fill_header_checksum(bytes);
    const auto parsed = parse_ip_packet(bytes);
    ASSERT_TRUE(parsed);
    EXPECT_THAT(parsed->payload, ElementsAreArray(captures::vector("TV1").header));
}

TEST(ParseIpPacket, NoPrefixOfAPacketIsAccepted) {
    for (const char* frame : {"tv1", "tv4"}) {
        const auto bytes = packet_of(frame);
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            SCOPED_TRACE(size);
            expect_refused(Bytes(bytes).first(size));
        }
    }
}

TEST(ParseIpPacket, NoBitErrorInAnIpv4HeaderIsAccepted) {
    for (std::size_t bit = 0; bit < 160; ++bit) {
        SCOPED_TRACE(bit);
        auto bytes = packet_of("tv1");
        bytes[bit / 8] ^= static_cast<std::uint8_t>(0x80 >> bit % 8);
        expect_refused(bytes);
    }
}

TEST(ParseIpPacket, RefusesFragmentsOtherProtocolsAndBadLengths) {
    const auto with = [](std::size_t offset, std::uint8_t value) {
        auto bytes = packet_of("tv1");
        bytes[offset] = value;
        fill_header_checksum(bytes);
        return bytes;
    };
    expect_refused(with(6, 0x20));  // more fragments
    expect_refused(with(7, 0x01));  // a later fragment
    expect_refused(with(9, 113));   // protocol
    expect_refused(with(3, 19));    // total length below the header's
    expect_refused(with(3, 57));    // and beyond the packet

    auto short_header = packet_of("tv1");
    short_header[0] = 0x44;
    fill_header_checksum(short_header);
    expect_refused(short_header);

    auto six = packet_of("tv4");
    six[6] = 0;  // an extension header
    expect_refused(six);
    six = packet_of("tv4");
    six[5] = 37;
    expect_refused(six);
}

TEST(AdvertisementPacket, Ipv4DiffersFromABsdsOnlyInTheTos) {
    const AdvertisementPacket packet(ip("192.0.2.1"), ip("224.0.0.18"), advertisement("TV1"));
    auto expected = packet_of("tv1");
    expected[1] = 0xe0;
    fill_header_checksum(expected);
    EXPECT_THAT(packet.bytes(), ElementsAreArray(expected));
}

TEST(AdvertisementPacket, Ipv6DiffersFromABsdsOnlyInTheTrafficClass) {
    const AdvertisementPacket packet(ip("fe80::1"), ip("ff02::12"), advertisement("TV4"));
    auto expected = packet_of("tv4");
    expected[0] = 0x6e;
    EXPECT_THAT(packet.bytes(), ElementsAreArray(expected));
}

TEST(AdvertisementPacket, ParsesAsWhatItIs) {
    const auto payload = advertisement("TV9");
    for (auto [source, destination] :
         {std::pair("198.51.100.1", "203.0.113.9"), std::pair("2001:db8::1", "fd00::2")}) {
        const AdvertisementPacket packet(ip(source), ip(destination), payload);
        const auto parsed = parse_ip_packet(packet.bytes());
        ASSERT_TRUE(parsed);
        EXPECT_EQ(parsed->source, ip(source));
        EXPECT_EQ(parsed->destination, ip(destination));
        EXPECT_EQ(parsed->hop_limit, 255);
        EXPECT_THAT(parsed->payload, ElementsAreArray(payload));
    }
}

// A pool's fingerprint stands where nobody else looks (rule N10).
TEST(AdvertisementPacket, CarriesAMark) {
    const auto payload = advertisement("TV9");
    for (auto [source, destination] :
         {std::pair("198.51.100.1", "224.0.0.18"), std::pair("fe80::1", "ff02::12")}) {
        const AdvertisementPacket marked(ip(source), ip(destination), payload, 0xabcd);
        const AdvertisementPacket plain(ip(source), ip(destination), payload);
        EXPECT_EQ(parse_ip_packet(marked.bytes())->mark, 0xabcd);
        EXPECT_EQ(parse_ip_packet(plain.bytes())->mark, 0);
        EXPECT_EQ(marked.bytes()[0], plain.bytes()[0]);
        EXPECT_EQ(marked.bytes()[1], plain.bytes()[1]) << "the traffic class";
    }
}

TEST(FrameTo, GoesToOneAddress) {
    const AdvertisementPacket packet(ip("2001:db8::1"), ip("2001:db8::100"), advertisement("TV9"));
    const MacAddress pool{{0x01, 0, 0x5e, 0, 1, 1}}, own{{2, 3, 4, 5, 6, 7}};
    const Frame frame = frame_to(pool, own, packet.bytes());
    ASSERT_EQ(frame.bytes().size(), 14 + packet.bytes().size());
    EXPECT_THAT(frame.bytes().first(6), ElementsAreArray(pool.bytes));
    EXPECT_THAT(frame.bytes().subspan(6, 6), ElementsAreArray(own.bytes));
    EXPECT_EQ(read_u16(frame.bytes(), 12), 0x86dd);
    EXPECT_THAT(frame.bytes().subspan(14), ElementsAreArray(packet.bytes()));
}

TEST(MulticastFrame, EnvelopesAreThoseOfTheBsds) {
    for (const auto& [name, source, destination, id, tos] :
         {std::tuple("tv1", "192.0.2.1", "224.0.0.18", "TV1", 15),
          std::tuple("tv4", "fe80::1", "ff02::12", "TV4", 14)}) {
        SCOPED_TRACE(name);
        const auto expected = captures::frame(name);
        MacAddress mac;
        std::copy_n(expected.begin() + 6, 6, mac.bytes.begin());
        const AdvertisementPacket packet(ip(source), ip(destination), advertisement(id));
        const Frame frame = multicast_frame(mac, packet.bytes());
        ASSERT_EQ(frame.bytes().size(), expected.size());
        EXPECT_THAT(frame.bytes().first(tos), ElementsAreArray(Bytes(expected).first(tos)));
        EXPECT_THAT(frame.bytes().subspan(26), ElementsAreArray(Bytes(expected).subspan(26)));
    }
}

}  // namespace
}  // namespace carpd
