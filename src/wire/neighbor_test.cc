#include "wire/neighbor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/captures/captures.h"

namespace carpd {
namespace {

using captures::from_hex;
using testing::ElementsAreArray;

constexpr MacAddress kVirtual{{0x00, 0x00, 0x5e, 0x00, 0x01, 0xaf}};

IpAddress ip(std::string_view text) {
    return IpAddress::parse(text).value();
}

TEST(GratuitousArp, Request) {
    EXPECT_THAT(gratuitous_arp(ArpOperation::request, kVirtual, ip("192.0.2.100")).bytes(),
                ElementsAreArray(from_hex("ffffffffffff 00005e0001af 0806"
                                          "0001 0800 06 04 0001"
                                          "00005e0001af c0000264"
                                          "000000000000 c0000264")));
}

TEST(GratuitousArp, Reply) {
    EXPECT_THAT(gratuitous_arp(ArpOperation::reply, kVirtual, ip("192.0.2.100")).bytes(),
                ElementsAreArray(from_hex("ffffffffffff 00005e0001af 0806"
                                          "0001 0800 06 04 0002"
                                          "00005e0001af c0000264"
                                          "00005e0001af c0000264")));
}

TEST(SendProbe, TellsNobodyAnything) {
    EXPECT_THAT(send_probe(kVirtual).bytes(), ElementsAreArray(from_hex("00005e0001af 00005e0001af 0806"
                                                                        "0001 0800 06 04 0001"
                                                                        "00005e0001af 00000000"
                                                                        "000000000000 00000000")));
}

TEST(NeighborAdvertisement, FromARouter) {
    EXPECT_THAT(neighbor_advertisement(kVirtual, ip("2001:db8::10"), true).bytes(),
                ElementsAreArray(from_hex("333300000001 00005e0001af 86dd"
                                          "60000000 0020 3a ff"
                                          "20010db8000000000000000000000010"
                                          "ff020000000000000000000000000001"
                                          "88 00 1b5e a0000000"
                                          "20010db8000000000000000000000010"
                                          "02 01 00005e0001af")));
}

TEST(NeighborAdvertisement, FromAHost) {
    const Frame router = neighbor_advertisement(kVirtual, ip("2001:db8::10"), true);
    const Frame host = neighbor_advertisement(kVirtual, ip("2001:db8::10"), false);
    std::vector<std::uint8_t> expected(router.bytes().begin(), router.bytes().end());
    const std::size_t icmp = 14 + 40;
    expected[icmp + 4] = 0x20;                             // override only
    expected[icmp + 2] = 0x9b, expected[icmp + 3] = 0x5e;  // checksum
    EXPECT_THAT(host.bytes(), ElementsAreArray(expected));
}

}  // namespace
}  // namespace carpd
