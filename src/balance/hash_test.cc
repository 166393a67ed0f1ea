#include "balance/hash.h"

#include <gtest/gtest.h>

namespace carpd {
namespace {

IpAddress ip(const char* text) {
    return *IpAddress::parse(text);
}

// The examples of docs/protocol/balance.md §6.
TEST(BalanceHash, XorsAllWordsOfBothAddresses) {
    EXPECT_EQ(hash_of(ip("192.0.2.10"), ip("198.51.100.1")), 0x0633660bu);
    EXPECT_EQ(hash_of(ip("10.0.0.7"), ip("10.0.0.100")), 0x63u);
    EXPECT_EQ(hash_of(ip("2001:db8::5"), ip("2001:db8:1::64")), 0x00010061u);
    EXPECT_EQ(hash_of(ip("10.0.0.100"), ip("10.0.0.7")), 0x63u);
}

// With the key "s3cret".
TEST(BalanceHash, HashesWhoAsksAsTheBsdsDo) {
    const ArpHash hash({'s', '3', 'c', 'r', 'e', 't'});
    EXPECT_EQ(hash.of({{0x02, 0, 0, 0, 0, 0x01}}), 0x9bf5552au);
    EXPECT_EQ(hash.of({{0x52, 0x54, 0x00, 0x12, 0x34, 0x56}}), 0xd8d3b341u);
}

}  // namespace
}  // namespace carpd
