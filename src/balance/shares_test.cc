#include "balance/shares.h"

#include <gtest/gtest.h>

#include <bit>
#include <chrono>
#include <cmath>
#include <iostream>

#include "base/random.h"

namespace carpd {
namespace {

constexpr std::array<std::uint8_t, 20> kKey = {'s', '3', 'c', 'r', 'e', 't'};

BalanceConfig config(BalanceHash hash, const std::vector<int>& weights) {
    BalanceConfig config;
    config.hash = hash;
    for (std::size_t i = 0; i < weights.size(); ++i)
        config.carpnodes.push_back(
            {static_cast<std::uint8_t>(i + 1), 0, static_cast<std::uint8_t>(weights[i])});
    return config;
}

Shares shares(BalanceHash hash, const std::vector<int>& weights) {
    return Shares(config(hash, weights), kKey);
}

std::vector<std::uint32_t> parts(const Shares& shares, std::size_t count) {
    std::vector<std::uint32_t> all;
    for (std::size_t k = 0; k < count; ++k) all.push_back(shares.parts_of(static_cast<CarpnodeIndex>(k)));
    return all;
}

IpAddress ip(const char* text) {
    return IpAddress::parse(text).value();
}

IpAddress ipv4(std::uint32_t number) {
    const std::uint8_t bytes[] = {static_cast<std::uint8_t>(number >> 24),
                                  static_cast<std::uint8_t>(number >> 16),
                                  static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)};
    return IpAddress::from_bytes(bytes);
}

// The examples of docs/protocol/carp.md of OpenBSD's filter: of 2, 3 and 4 carpnodes, from 0.
TEST(Shares, ServeAsOpenBsdDoes) {
    const struct {
        const char *from, *to;
        std::vector<int> of;
    } kExamples[] = {{"192.0.2.10", "198.51.100.1", {1, 2, 3}},
                     {"10.0.0.7", "10.0.0.100", {1, 0}},
                     {"2001:db8::5", "2001:db8:1::64", {1, 2}}};
    for (const auto& example : kExamples)
        for (std::size_t i = 0; i < example.of.size(); ++i) {
            const Shares s = shares(BalanceHash::bsd, std::vector<int>(2 + i, 1));
            EXPECT_EQ(s.carpnode_of(ip(example.from), ip(example.to)), example.of[i]);
            EXPECT_EQ(s.carpnode_of(ip(example.to), ip(example.from)), example.of[i]);
        }
}

TEST(Shares, AnswerAskersAsTheBsdsDo) {
    const Shares two = shares(BalanceHash::bsd, {1, 1}), three = shares(BalanceHash::bsd, {1, 1, 1});
    const MacAddress a{{0x02, 0, 0, 0, 0, 0x01}}, b{{0x52, 0x54, 0x00, 0x12, 0x34, 0x56}};
    EXPECT_EQ(two.carpnode_of(a), 0);
    EXPECT_EQ(three.carpnode_of(a), 2);
    EXPECT_EQ(two.carpnode_of(b), 1);
    EXPECT_EQ(three.carpnode_of(b), 2);
}

TEST(Shares, AreExact) {
    using Parts = std::vector<std::uint32_t>;
    EXPECT_EQ(parts(shares(BalanceHash::weighted, {1, 1, 1}), 3), (Parts{1366, 1365, 1365}));
    EXPECT_EQ(parts(shares(BalanceHash::bsd, {1, 1, 1}), 3), (Parts{1366, 1365, 1365}));
    EXPECT_EQ(parts(shares(BalanceHash::weighted, {3, 1, 1}), 3), (Parts{2458, 819, 819}));
    EXPECT_EQ(parts(shares(BalanceHash::weighted, {100, 1}), 2), (Parts{4055, 41}));
    EXPECT_EQ(parts(shares(BalanceHash::weighted, std::vector<int>(32, 7)), 32), Parts(32, 128));
}

struct Evenness {
    const char* name;
    BalanceHash hash;
    std::vector<int> weights;
    bool is_arp, is_random;
};

class SharesEvenness : public testing::TestWithParam<Evenness> {};

TEST_P(SharesEvenness, OfTenThousandClients) {
    const Evenness& param = GetParam();
    constexpr int kClients = 10'000;
    const Shares s = shares(param.hash, param.weights);
    Random random(7);
    std::vector<int> counts(param.weights.size());
    const IpAddress pool = ip("198.51.100.1");
    for (std::uint32_t i = 0; i < kClients; ++i) {
        const std::uint64_t drawn = random.next();
        const auto number = param.is_random ? static_cast<std::uint32_t>(drawn) : 0x0a000000 + i;
        MacAddress mac{{0x52, 0x54}};
        for (std::size_t byte = 0; byte < 4; ++byte)
            mac.bytes[2 + byte] = static_cast<std::uint8_t>(number >> (24 - 8 * byte));
        ++counts[param.is_arp ? s.carpnode_of(mac) : s.carpnode_of(ipv4(number), pool)];
    }
    double sum = 0, chi_square = 0;
    for (int weight : param.weights) sum += weight;
    for (std::size_t k = 0; k < counts.size(); ++k) {
        const double expected = kClients * param.weights[k] / sum;
        // Of few clients chance alone makes more than 5 %.
        const double chance = 3.5 * std::sqrt(expected * (1 - expected / kClients));
        EXPECT_NEAR(counts[k], expected, std::max(0.05 * expected, chance)) << "carpnode " << k;
        chi_square += (counts[k] - expected) * (counts[k] - expected) / expected;
    }
    std::cout << param.name << ": chi square " << chi_square << " with " << counts.size() - 1
              << " degrees of freedom\n";
    // Worse than once in a million by chance.
    EXPECT_LT(chi_square, 35);
}

INSTANTIATE_TEST_SUITE_P(
    All, SharesEvenness,
    testing::Values(Evenness{"BsdIpConsecutive", BalanceHash::bsd, {1, 1, 1}, false, false},
                    Evenness{"BsdIpRandom", BalanceHash::bsd, {1, 1, 1}, false, true},
                    Evenness{"BsdArpConsecutive", BalanceHash::bsd, {1, 1, 1}, true, false},
                    Evenness{"BsdArpRandom", BalanceHash::bsd, {1, 1, 1}, true, true},
                    Evenness{"WeightedIpConsecutive", BalanceHash::weighted, {3, 1, 1}, false, false},
                    Evenness{"WeightedIpRandom", BalanceHash::weighted, {3, 1, 1}, false, true},
                    Evenness{"WeightedArpConsecutive", BalanceHash::weighted, {1, 1, 1, 1}, true, false},
                    Evenness{"WeightedArpRandom", BalanceHash::weighted, {1, 1, 1, 1}, true, true}),
    [](const auto& param) { return std::string(param.param.name); });

// Whatever is at home: nothing moves but what a lost carpnode had, and what that one had is shared by
// weights.
TEST(Shares, MoveNoMoreThanIsLost) {
    const std::vector<int> weights = {1, 2, 3, 4, 5};
    Shares s = shares(BalanceHash::weighted, weights);
    const auto all = s.slots();
    for (CarpnodeSet home = 1; home < 32; ++home) {
        s.set_at_home(home);
        EXPECT_EQ(s.at_home(), home);
        const auto with = s.slots();
        double sum = 0;
        for (std::size_t k = 0; k < weights.size(); ++k)
            if (home >> k & 1) sum += weights[k];
        std::vector<int> gained(weights.size());
        int lost = 0;
        for (std::size_t slot = 0; slot < kSlots; ++slot) {
            ASSERT_TRUE(home >> with[slot] & 1);
            if (home >> all[slot] & 1) {
                ASSERT_EQ(with[slot], all[slot]) << "a slot moved that didn't have to";
            } else {
                ++lost;
                ++gained[with[slot]];
            }
        }
        for (std::size_t k = 0; k < weights.size(); ++k) {
            if (!(home >> k & 1)) continue;
            const double part = weights[k] / sum, expected = lost * part;
            EXPECT_NEAR(gained[k], expected, 4 * std::sqrt(expected * (1 - part)) + 1)
                << "carpnode " << k << " of " << home;
        }
        // One less moves only what it had.
        for (CarpnodeSet less = home; less != 0; less &= less - 1) {
            const int gone = std::countr_zero(less);
            if (std::has_single_bit(home)) continue;
            s.set_at_home(home & ~(CarpnodeSet{1} << gone));
            for (std::size_t slot = 0; slot < kSlots; ++slot)
                if (with[slot] != gone) {
                    ASSERT_EQ(s.slots()[slot], with[slot]);
                }
        }
    }
    s.set_at_home(all_carpnodes(5));
    EXPECT_EQ(s.slots(), all);
    s.set_at_home(0);
    EXPECT_EQ(s.slots(), all) << "none is as all";
}

// Only what may have moved is looked at, so hosts that saw another history must agree all the same.
TEST(Shares, DependOnNothingThatWasBefore) {
    const std::vector<int> weights = {1, 2, 3, 4, 5};
    Shares s = shares(BalanceHash::weighted, weights);
    Random random(1);
    for (int i = 0; i < 100; ++i) {
        const auto home = static_cast<CarpnodeSet>(random.next() % 32);
        s.set_at_home(home);
        Shares fresh = shares(BalanceHash::weighted, weights);
        fresh.set_at_home(home);
        ASSERT_EQ(s.slots(), fresh.slots()) << home;
    }
}

TEST(Shares, WithTheBsdsHashNothingMoves) {
    Shares s = shares(BalanceHash::bsd, {1, 1});
    s.set_at_home(1);
    EXPECT_EQ(s.parts_of(1), 2048u);
    EXPECT_EQ(s.at_home(), 3u);
}

TEST(Shares, AreMadeAnewFast) {
    Shares s = shares(BalanceHash::weighted, std::vector<int>(32, 1));
    constexpr int kTimes = 100;
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kTimes; ++i) s.set_at_home(0x0fffffff << (i & 1));
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
    std::cout << "set_at_home of 32 carpnodes: " << took.count() / kTimes << " us\n";
}

TEST(Fingerprint, IsOfWhatHostsMustAgreeAbout) {
    const BalanceConfig pool = config(BalanceHash::weighted, {1, 1, 2});
    const auto differs = [&](auto change) {
        BalanceConfig other = pool;
        change(other);
        return fingerprint_of(other) != fingerprint_of(pool);
    };
    EXPECT_TRUE(differs([](BalanceConfig& c) { c.mode = Balancing::arp; }));
    EXPECT_TRUE(differs([](BalanceConfig& c) { c.hash = BalanceHash::bsd; }));
    EXPECT_TRUE(differs([](BalanceConfig& c) { c.carpnodes[1].vhid = 9; }));
    EXPECT_TRUE(differs([](BalanceConfig& c) { c.carpnodes[1].weight = 9; }));
    EXPECT_TRUE(differs([](BalanceConfig& c) { c.carpnodes.pop_back(); }));
    EXPECT_FALSE(differs([](BalanceConfig& c) { c.carpnodes[1].advskew = 9; })) << "each host has its own";
    EXPECT_FALSE(differs([](BalanceConfig& c) { c.pool = "other"; }));
    // A weight that isn't used is none.
    BalanceConfig bsd = config(BalanceHash::bsd, {1, 1}), heavy = config(BalanceHash::bsd, {1, 5});
    EXPECT_EQ(fingerprint_of(bsd), fingerprint_of(heavy));
    // 0 is what others send.
    for (int weight = 1; weight <= 100; ++weight)
        for (int other = 1; other <= 100; ++other)
            EXPECT_NE(fingerprint_of(config(BalanceHash::weighted, {weight, other})), 0);
}

}  // namespace
}  // namespace carpd
