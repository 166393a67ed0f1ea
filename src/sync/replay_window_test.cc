#include "sync/replay_window.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"

namespace carpd {
namespace {

TEST(ReplayWindow, BeginsAboveTheNumberOfTheHello) {
    const ReplayWindow window(1000);
    EXPECT_FALSE(window.is_new(0));
    EXPECT_FALSE(window.is_new(999));
    EXPECT_FALSE(window.is_new(1000));
    EXPECT_TRUE(window.is_new(1001));
    EXPECT_EQ(window.received_from(1000), 1u) << "999 may not be acknowledged";
}

TEST(ReplayWindow, HoldsTheLast4096) {
    ReplayWindow window(1);
    window.add(10000);
    EXPECT_FALSE(window.is_new(10000 - 4096));
    EXPECT_TRUE(window.is_new(10000 - 4095));
    window.add(10000 - 4095);
    EXPECT_FALSE(window.is_new(10000 - 4095));
    window.add(~PacketNumber{0});
    EXPECT_EQ(window.received_from(~PacketNumber{0}), 1u);
    EXPECT_FALSE(window.is_new(10001));
    EXPECT_FALSE(window.is_new(~PacketNumber{0}));
}

// Beside a set of all numbers.
TEST(ReplayWindow, KnowsWhatItReceived) {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        Random random(seed);
        const PacketNumber begin = 1 + random.next() % 5000;
        ReplayWindow window(begin);
        std::set<PacketNumber> received{begin};
        for (int i = 0; i < 500; ++i) {
            const PacketNumber step = random.next() % (random.next() % 50 ? 100 : 9000);
            const PacketNumber number =
                window.highest() + step - std::min<PacketNumber>(40, window.highest());
            const bool is_new =
                number > begin && number + 4096 > window.highest() && !received.contains(number);
            ASSERT_EQ(window.is_new(number), is_new) << "seed " << seed << ", number " << number;
            if (!is_new) continue;
            window.add(number);
            received.insert(number);
            const PacketNumber from = window.highest() - random.next() % 500 % window.highest();
            std::uint64_t expected = 0;
            for (PacketNumber bit = 0; bit < 64 && bit < from; ++bit)
                if (received.contains(from - bit)) expected |= std::uint64_t{1} << bit;
            ASSERT_EQ(window.received_from(from), expected) << "seed " << seed << ", from " << from;
        }
    }
}

}  // namespace
}  // namespace carpd
