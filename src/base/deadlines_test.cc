#include "base/deadlines.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"

namespace carpd {
namespace {

Instant at(std::int64_t ns) {
    return Instant(Duration(ns));
}

// The same by a scan.
std::pair<std::size_t, Instant> naive_earliest(const std::vector<Instant>& deadlines) {
    if (deadlines.empty()) return {0, kNever};
    const auto first = std::min_element(deadlines.begin(), deadlines.end());
    return {static_cast<std::size_t>(first - deadlines.begin()), *first};
}

TEST(Deadlines, NothingIsDueWhereNothingIsSet) {
    Deadlines deadlines;
    EXPECT_EQ(deadlines.earliest().second, kNever);
    deadlines.resize(3);
    EXPECT_EQ(deadlines.earliest().second, kNever);
}

TEST(Deadlines, EqualOnesGoInOwnerOrder) {
    Deadlines deadlines;
    deadlines.resize(5);
    for (std::size_t owner : {4u, 2u, 3u, 1u}) deadlines.set(owner, at(7));
    EXPECT_EQ(deadlines.earliest(), std::pair(std::size_t{1}, at(7)));
    deadlines.set(1, kNever);
    EXPECT_EQ(deadlines.earliest(), std::pair(std::size_t{2}, at(7)));
}

TEST(Deadlines, AgreesWithAScanOverRandomOperations) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        Random random(seed);
        Deadlines deadlines;
        std::vector<Instant> model;
        for (int step = 0; step < 3000; ++step) {
            if (model.empty() || random.next() % 50 == 0) {
                model.resize(model.size() + random.next() % 4, kNever);
                deadlines.resize(model.size());
            }
            if (!model.empty()) {
                // Few distinct times, so that equal ones are common.
                const std::size_t owner = random.next() % model.size();
                const Instant when =
                    random.next() % 4 == 0 ? kNever : at(static_cast<std::int64_t>(random.next() % 40));
                model[owner] = when;
                deadlines.set(owner, when);
            }
            ASSERT_EQ(deadlines.earliest(), naive_earliest(model)) << "seed " << seed << " step " << step;
        }
    }
}

TEST(DeadlinesDeathTest, AnUnknownOwnerIsABrokenInvariant) {
    Deadlines deadlines;
    deadlines.resize(1);
    EXPECT_DEATH(deadlines.set(1, at(0)), "broken invariant");
}

}  // namespace
}  // namespace carpd
