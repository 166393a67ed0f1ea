#include "wire/frame_tuple.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace carpd {
namespace {

using Frame = std::vector<std::uint8_t>;

// An Ethernet frame with an IPv4 header of `words` words, and this behind it.
Frame ipv4(std::uint8_t protocol, Frame payload, std::uint8_t words = 5, std::uint16_t fragment = 0) {
    Frame frame(14 + std::max(20u, 4u * words));
    frame[12] = 0x08;
    frame[14] = static_cast<std::uint8_t>(0x40 | words);
    frame[20] = static_cast<std::uint8_t>(fragment >> 8);
    frame[21] = static_cast<std::uint8_t>(fragment);
    frame[23] = protocol;
    frame[26] = 10;
    frame[29] = 9;
    frame[30] = 192;
    frame[33] = 7;
    frame.insert(frame.end(), payload.begin(), payload.end());
    return frame;
}
Frame ipv6(std::uint8_t protocol, Frame payload) {
    Frame frame(14 + 40);
    frame[12] = 0x86;
    frame[13] = 0xdd;
    frame[14] = 0x60;
    frame[20] = protocol;
    frame[22] = frame[38] = 0x20;
    frame[37] = 1;
    frame[53] = 2;
    frame.insert(frame.end(), payload.begin(), payload.end());
    return frame;
}
FlowTuple tuple(const char* source, const char* destination, std::uint8_t protocol, std::uint16_t first,
                std::uint16_t second) {
    return {IpAddress::parse(source).value(), IpAddress::parse(destination).value(), protocol, first, second};
}

TEST(FrameTuple, ReadsPorts) {
    const Frame ports = {0x9c, 0x40, 0x01, 0xbb, 0, 0, 0, 0};
    for (const std::uint8_t protocol : std::initializer_list<std::uint8_t>{6, 17, 33, 132, 136}) {
        EXPECT_EQ(tuple_of_frame(ipv4(protocol, ports)),
                  tuple("10.0.0.9", "192.0.0.7", protocol, 40000, 443));
        EXPECT_EQ(tuple_of_frame(ipv6(protocol, ports)), tuple("2000::1", "2000::2", protocol, 40000, 443));
    }
    EXPECT_EQ(tuple_of_frame(ipv4(6, ports, 7)), tuple("10.0.0.9", "192.0.0.7", 6, 40000, 443)) << "options";
}

TEST(FrameTuple, ReadsEchoesAsTheKernelDoes) {
    EXPECT_EQ(tuple_of_frame(ipv4(1, {8, 0, 0, 0, 0x12, 0x34, 0, 1})),
              tuple("10.0.0.9", "192.0.0.7", 1, 0x1234, 0x0800));
    EXPECT_EQ(tuple_of_frame(ipv6(58, {129, 0, 0, 0, 0x12, 0x34, 0, 1})),
              tuple("2000::1", "2000::2", 58, 0x1234, 0x8100));
    EXPECT_EQ(tuple_of_frame(ipv4(1, {3, 1, 0, 0, 0, 0, 0, 0})), tuple("10.0.0.9", "192.0.0.7", 1, 0, 0));
}

TEST(FrameTuple, ProtocolsWithoutNumbersHaveNone) {
    EXPECT_EQ(tuple_of_frame(ipv4(50, {1, 2, 3, 4})), tuple("10.0.0.9", "192.0.0.7", 50, 0, 0));
    EXPECT_EQ(tuple_of_frame(ipv4(47, {})), tuple("10.0.0.9", "192.0.0.7", 47, 0, 0));
}

TEST(FrameTuple, RefusesWhatNamesNoFlow) {
    const Frame ports = {0x9c, 0x40, 0x01, 0xbb};
    EXPECT_FALSE(tuple_of_frame(ipv4(17, ports, 5, 0x2001))) << "a fragment but the first";
    EXPECT_TRUE(tuple_of_frame(ipv4(17, ports, 5, 0x2000))) << "the first";
    EXPECT_FALSE(tuple_of_frame(ipv4(6, ports, 4))) << "header shorter than one can be";
    Frame other = ipv4(6, ports);
    other[13] = 0x06;
    EXPECT_FALSE(tuple_of_frame(other)) << "ARP";
    other = ipv4(6, ports);
    other[14] = 0x65;
    EXPECT_FALSE(tuple_of_frame(other)) << "another version than the frame's type";
}

TEST(FrameTuple, IsNeverFoundInPartOfAFrame) {
    for (const Frame& whole : {ipv4(6, {1, 2, 3, 4}), ipv6(17, {1, 2, 3, 4}), ipv4(1, {8, 0, 0, 0, 1, 2})}) {
        ASSERT_TRUE(tuple_of_frame(whole));
        for (std::size_t size = 0; size < whole.size(); ++size)
            EXPECT_FALSE(tuple_of_frame(Bytes(whole).first(size))) << size;
    }
}

}  // namespace
}  // namespace carpd
