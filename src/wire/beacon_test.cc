#include "wire/beacon.h"

#include <gtest/gtest.h>

#include "wire/advertisement.h"
#include "wire/checksum.h"
#include "wire/ip_packet.h"

namespace carpd {
namespace {

const HmacSha1 kKeyed(std::array<std::uint8_t, 20>{'k'});
const IpAddress kSource = *IpAddress::parse("192.0.2.1");

Beacon example() {
    Beacon beacon;
    beacon.host = 0x0123456789abcdef;
    beacon.vhid = 7;
    beacon.state = 2;
    beacon.leaves = true;
    beacon.sequence = 0x01020304;
    beacon.advbase = 1;
    beacon.advskew = 100;
    beacon.demote = 240;
    beacon.addresses = 0xa1a2a3a4;
    beacon.since_ms = 65537;
    beacon.pool = 0xb1b2;
    beacon.add({1, {10, 20}, 30, 40});
    beacon.add({2, {Beacon::Hearing::kNothing, 0}, 1, 2});
    beacon.set_name("fw1.example");
    return beacon;
}

std::vector<std::uint8_t> payload_of(const Beacon& beacon) {
    const BeaconPacket packet(kSource, carp_multicast_group(Family::ipv4), beacon, kKeyed);
    const Bytes payload = parse_ip_packet(packet.bytes())->payload;
    return {payload.begin(), payload.end()};
}

// After a change, so that nothing but that is wrong.
void mend_checksum(std::vector<std::uint8_t>& payload) {
    payload[6] = payload[7] = 0;
    const std::uint16_t sum = checksum(payload);
    payload[6] = static_cast<std::uint8_t>(sum >> 8);
    payload[7] = static_cast<std::uint8_t>(sum);
}

DropReason refusal(std::size_t offset, std::uint8_t value) {
    auto payload = payload_of(example());
    payload[offset] = value;
    mend_checksum(payload);
    return decode_beacon(payload).error();
}

TEST(Beacon, SaysAgainWhatWasSaid) {
    const auto payload = payload_of(example());
    ASSERT_TRUE(is_beacon(payload));
    EXPECT_EQ(*decode_beacon(payload), example());
    EXPECT_EQ(digest_in_beacon(payload), digest_of_beacon(kKeyed, payload));
}

// What others look at: nobody has virtual host 0, and nobody takes it for an advertisement.
TEST(Beacon, IsNobodysAdvertisement) {
    const auto payload = payload_of(example());
    const std::vector<std::uint8_t> head(payload.begin(), payload.begin() + 6);
    EXPECT_EQ(head, (std::vector<std::uint8_t>{0x22, 0, 255, 7, 0, 255}));
    EXPECT_EQ(checksum(payload), 0);
    EXPECT_FALSE(decode_advertisement(payload));
    EXPECT_FALSE(is_beacon(encode(Advertisement{})));
}

TEST(Beacon, GoesAsIpv6WithHopLimit255) {
    const BeaconPacket packet(*IpAddress::parse("fe80::1"), carp_multicast_group(Family::ipv6), example(),
                              kKeyed);
    const auto ip = parse_ip_packet(packet.bytes());
    ASSERT_TRUE(ip);
    EXPECT_EQ(ip->hop_limit, 255);
    EXPECT_EQ(*decode_beacon(ip->payload), example());
}

TEST(Beacon, CutsWhatIsTooMuch) {
    Beacon beacon = example();
    for (int i = 0; i < 100; ++i) beacon.add({});
    beacon.set_name(std::string(300, 'x'));
    const auto payload = payload_of(beacon);
    EXPECT_EQ(payload.size(), kMostBeacon);
    const auto read = decode_beacon(payload);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->hearings().size(), Beacon::kMostHearings);
    EXPECT_EQ(read->name(), std::string(Beacon::kMostName, 'x'));
}

TEST(Beacon, RefusesWhatMakesNoSense) {
    const auto good = payload_of(example());
    for (std::size_t size = 2; size < good.size(); ++size) {
        std::vector<std::uint8_t> cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
        mend_checksum(cut.size() >= 8 ? cut : cut = std::vector<std::uint8_t>(8));
        EXPECT_EQ(decode_beacon(cut).error(), DropReason::bad_length) << size;
    }
    auto flipped = good;
    flipped[40] ^= 1;
    EXPECT_EQ(decode_beacon(flipped).error(), DropReason::bad_checksum);
    EXPECT_EQ(refusal(36, 2), DropReason::bad_version);
    EXPECT_EQ(refusal(38, 3), DropReason::bad_type);
    EXPECT_EQ(refusal(39, 3), DropReason::bad_length);
    EXPECT_EQ(refusal(47, 12), DropReason::bad_length);
    EXPECT_EQ(refusal(good.size() - 1, '\n'), DropReason::bad_type);
}

// Every byte but those of checksum and digest.
TEST(Beacon, DigestCoversAllOfIt) {
    const auto good = payload_of(example());
    const Sha1Digest digest = digest_of_beacon(kKeyed, good);
    for (std::size_t i = 0; i < good.size(); ++i) {
        auto changed = good;
        changed[i] ^= 0x10;
        const bool is_covered = i < 6 || (i >= 8 && i < 16) || i >= 36;
        EXPECT_EQ(digest_of_beacon(kKeyed, changed) != digest, is_covered) << i;
    }
}

}  // namespace
}  // namespace carpd
