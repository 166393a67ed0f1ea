#include "base/siphash.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>
#include <vector>

namespace carpd {
namespace {

std::vector<std::uint8_t> count_up(std::size_t size) {
    std::vector<std::uint8_t> bytes(size);
    std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
    return bytes;
}

// What Python's hash(bytes(range(n))) says, whose key is zero when PYTHONHASHSEED is.
TEST(SipHash, AgreesWithAnotherImplementation) {
    EXPECT_EQ(siphash({}, count_up(1)), 0x68a914128e01e473);
    EXPECT_EQ(siphash({}, count_up(7)), 0x2f098ab0c751325a);
    EXPECT_EQ(siphash({}, count_up(8)), 0xead411e67ebe2eea);
    EXPECT_EQ(siphash({}, count_up(14)), 0x7f86049379fbfe67);
    EXPECT_EQ(siphash({}, count_up(15)), 0xf30eb725bb91c9ea);
    EXPECT_EQ(siphash({}, count_up(16)), 0x8972188433a5c5b7);
    EXPECT_EQ(siphash({}, count_up(30)), 0xd427c34ee09470c6);
}

TEST(SipHash, DependsOnEachByteAndOnBothHalvesOfTheKey) {
    const auto bytes = count_up(21);
    std::set<std::uint64_t> seen{siphash({}, bytes), siphash({1, 0}, bytes), siphash({0, 1}, bytes)};
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        auto other = bytes;
        other[i] ^= 0x80;
        seen.insert(siphash({}, other));
        seen.insert(siphash({}, count_up(i)));
    }
    EXPECT_EQ(seen.size(), 3 + 2 * bytes.size());
}

}  // namespace
}  // namespace carpd
