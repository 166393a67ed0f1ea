#include "wire/link_frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "wire/ip_packet.h"

namespace carpd {
namespace {

using testing::ElementsAreArray;
using Buffer = std::vector<std::uint8_t>;

Buffer packet(Family family) {
    const AdvertisementPacket packet(IpAddress::any(family), carp_multicast_group(family), encode({}));
    return {packet.bytes().begin(), packet.bytes().end()};
}

Buffer joined(std::initializer_list<Buffer> parts) {
    Buffer all;
    for (const Buffer& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
}

const Buffer kMacs(12, 0x02);
const Buffer kIpv4Type = {0x08, 0x00}, kIpv6Type = {0x86, 0xdd};

TEST(LinkFrame, FindsBothFamiliesInEthernet) {
    for (Family family : kFamilies) {
        const Buffer ip = packet(family);
        const Buffer frame = joined({kMacs, family == Family::ipv4 ? kIpv4Type : kIpv6Type, ip});
        const auto found = carp_in_frame(LinkType::ethernet, frame);
        ASSERT_TRUE(found);
        EXPECT_THAT(found->ip, ElementsAreArray(ip));
        EXPECT_EQ(found->vlan, 0);
        EXPECT_FALSE(found->is_outgoing);
    }
}

TEST(LinkFrame, LooksBehindVlanTags) {
    const Buffer ip = packet(Family::ipv4);
    const Buffer frame = joined({kMacs, {0x88, 0xa8, 0x00, 0x64, 0x81, 0x00, 0xc0, 0x05}, kIpv4Type, ip});
    const auto found = carp_in_frame(LinkType::ethernet, frame);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->vlan, 5);
    EXPECT_THAT(found->ip, ElementsAreArray(ip));
    for (std::size_t size = 0; size < frame.size() - ip.size(); ++size)
        EXPECT_FALSE(carp_in_frame(LinkType::ethernet, Bytes(frame).first(size)));
}

TEST(LinkFrame, KnowsWhatWentOutOfACookedFrame) {
    const Buffer ip = packet(Family::ipv6);
    for (const std::uint8_t type : Buffer{0, 4}) {
        const Buffer cooked = joined({{0, type}, Buffer(12), kIpv6Type, ip});
        const Buffer cooked2 = joined({kIpv6Type, Buffer(8), {type}, Buffer(9), ip});
        for (const auto& found : {carp_in_frame(LinkType::linux_cooked, cooked),
                                  carp_in_frame(LinkType::linux_cooked2, cooked2)}) {
            ASSERT_TRUE(found);
            EXPECT_EQ(found->is_outgoing, type == 4);
            EXPECT_THAT(found->ip, ElementsAreArray(ip));
        }
    }
}

TEST(LinkFrame, PassesOverOtherProtocolsAndTypes) {
    Buffer ip = packet(Family::ipv4);
    EXPECT_TRUE(carp_in_frame(LinkType::raw, ip));
    EXPECT_TRUE(carp_in_frame(LinkType::raw_ipv4, ip));
    EXPECT_FALSE(carp_in_frame(LinkType::ethernet, joined({kMacs, {0x08, 0x06}, ip})));
    ip[9] = 17;
    EXPECT_FALSE(carp_in_frame(LinkType::raw, ip));
    EXPECT_FALSE(carp_in_frame(LinkType::raw, Bytes(ip).first(9)));
    EXPECT_FALSE(is_readable(LinkType{105}));
    EXPECT_FALSE(carp_in_frame(LinkType{105}, joined({kMacs, kIpv4Type, packet(Family::ipv4)})));
}

TEST(CookedHeader, IsReadAsItWasWritten) {
    const Buffer ip = packet(Family::ipv4);
    for (const std::optional<std::uint16_t> vlan :
         {std::optional<std::uint16_t>{}, std::optional<std::uint16_t>{0x6005}}) {
        std::array<std::uint8_t, CookedHeader::kLongest> header;
        const std::size_t size = CookedHeader{0x0800, 3, 1, 4, 6, {2, 0, 0, 0, 0, 1}, vlan}.write(header);
        const Buffer frame = joined({Buffer(header.begin(), header.begin() + size), ip});
        const auto found = carp_in_frame(LinkType::linux_cooked2, frame);
        ASSERT_TRUE(found);
        EXPECT_TRUE(found->is_outgoing);
        EXPECT_EQ(found->vlan, vlan ? 5 : 0);
        EXPECT_THAT(found->ip, ElementsAreArray(ip));
    }
}

}  // namespace
}  // namespace carpd
