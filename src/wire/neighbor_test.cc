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

TEST(WhoHas, Ipv4) {
    EXPECT_THAT(who_has(kVirtual, ip("192.0.2.1"), ip("192.0.2.100")).bytes(),
                ElementsAreArray(from_hex("ffffffffffff 00005e0001af 0806"
                                          "0001 0800 06 04 0001"
                                          "00005e0001af c0000201"
                                          "000000000000 c0000264")));
}

TEST(WhoHas, Ipv6) {
    EXPECT_THAT(who_has(kVirtual, ip("fe80::1"), ip("2001:db8::12:3456")).bytes(),
                ElementsAreArray(from_hex("3333ff123456 00005e0001af 86dd"
                                          "60000000 0020 3a ff"
                                          "fe800000000000000000000000000001"
                                          "ff0200000000000000000001ff123456"
                                          "87 00 84e4 00000000"
                                          "20010db8000000000000000000123456"
                                          "01 01 00005e0001af")));
}

TEST(ClaimIn, ReadsWhatAnnouncementsSay) {
    const Claim claim{ip("192.0.2.100"), kVirtual}, claim6{ip("2001:db8::10"), kVirtual};
    EXPECT_EQ(claim_in(gratuitous_arp(ArpOperation::reply, kVirtual, claim.address).bytes()), claim);
    EXPECT_EQ(claim_in(neighbor_advertisement(kVirtual, claim6.address, false).bytes()), claim6);
}

TEST(ClaimIn, PassesOverAllElse) {
    EXPECT_EQ(claim_in({}), std::nullopt);
    EXPECT_EQ(claim_in(who_has(kVirtual, ip("192.0.2.1"), ip("192.0.2.100")).bytes()), std::nullopt);
    EXPECT_EQ(claim_in(who_has(kVirtual, ip("fe80::1"), ip("2001:db8::1")).bytes()), std::nullopt);
    for (const Frame& frame : {gratuitous_arp(ArpOperation::reply, kVirtual, ip("192.0.2.100")),
                               neighbor_advertisement(kVirtual, ip("2001:db8::10"), false)})
        for (std::size_t size = 0; size < frame.bytes().size() - 8; ++size)
            EXPECT_EQ(claim_in(frame.bytes().first(size)), std::nullopt) << size;
}

}  // namespace
}  // namespace carpd
