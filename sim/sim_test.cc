#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "sim/capture.h"
#include "sim/dice.h"
#include "sim/event_queue.h"
#include "sim/shrink.h"
#include "sim/world.h"

namespace carpd::sim {
namespace {

TEST(Dice, StaysWithinItsBounds) {
    Dice dice(1);
    for (int i = 0; i < 10'000; ++i) {
        EXPECT_LT(dice.below(7), 7u);
        const auto between = dice.between(-3, 3);
        EXPECT_TRUE(-3 <= between && between <= 3);
        const auto scaled = dice.scaled(5, 1'000);
        EXPECT_TRUE(5 <= scaled && scaled <= 1'000);
    }
}

TEST(Dice, EveryDoublingIsAboutAsLikely) {
    Dice dice(1);
    int small = 0;
    for (int i = 0; i < 10'000; ++i) small += dice.scaled(1, 1 << 16) < 1 << 8;
    EXPECT_NEAR(small, 10'000 * 8 / 17, 300);
}

TEST(Dice, StreamsDoNotMeet) {
    EXPECT_NE(stream(1, 1), stream(1, 2));
    EXPECT_NE(stream(1, 2), stream(2, 1));
}

TEST(DriftingClock, WhenIsTheFirstMomentThatShowsAnInstant) {
    Dice dice(1);
    for (std::int64_t ppm : {-10'000, -199, 0, 1, 10'000}) {
        const DriftingClock clock{17 * kSecond, ppm};
        for (int i = 0; i < 1'000; ++i) {
            const Instant instant = clock.at(dice.between(0, 3'600 * kSecond));
            const Moment moment = clock.when(instant);
            EXPECT_GE(clock.at(moment), instant);
            EXPECT_LT(clock.at(moment - 1), instant);
        }
    }
}

TEST(EventQueue, GoesByTimeThenByOrderOfAsking) {
    EventQueue queue;
    for (std::uint32_t i = 0; i < 100; ++i) queue.push(i % 3, EventKind::timer, 0, i);
    Moment at = 0;
    std::uint32_t what = 0;
    for (int i = 0; i < 100; ++i) {
        const Event event = queue.pop();
        EXPECT_TRUE(i == 0 || std::pair(at, what) < std::pair(event.at, event.what));
        at = event.at;
        what = event.what;
    }
    EXPECT_TRUE(queue.empty());
}

TEST(Shrink, FindsTheFewestFaults) {
    const auto needs_3_and_7 = [](const std::vector<int>& faults) {
        return std::count(faults.begin(), faults.end(), 3) + std::count(faults.begin(), faults.end(), 7) == 2;
    };
    EXPECT_THAT(shrink({1, 2, 3, 4, 5, 6, 7, 8, 9}, needs_3_and_7), testing::ElementsAre(3, 7));
    EXPECT_THAT(shrink({1, 2, 3}, [](const auto&) { return true; }), testing::IsEmpty());
    EXPECT_THAT(shrink({5}, [](const auto& faults) { return !faults.empty(); }), testing::ElementsAre(5));
}

TEST(World, TheSameFaultsMakeTheSameWorldAndOthersAnother) {
    const Witness nobody;
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        const Plan plan = draw_plan(seed);
        std::vector<int> all, none;
        for (const Fault& fault : plan.faults) all.push_back(fault.id);
        EXPECT_EQ(World(plan, &all, nobody).run().digest, World(plan, nullptr, nobody).run().digest);
        if (!all.empty()) {
            EXPECT_NE(World(plan, &none, nobody).run().digest, World(plan, nullptr, nobody).run().digest);
        }
    }
}

std::string output_of(const std::string& command) {
    std::string text;
    FILE* pipe = popen(command.c_str(), "r");
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) text += static_cast<char>(c);
    EXPECT_EQ(pclose(pipe), 0) << command;
    return text;
}

// Worlds with every kind of frame, as somebody else's decoder reads them.
TEST(CaptureWriter, TcpdumpReadsEveryAdvertisement) {
    const std::string path = testing::TempDir() + "carpsim_" + std::to_string(getpid()) + ".pcap";
    bool unicast = false, ipv6 = false;
    for (std::uint64_t seed = 1; seed < 100 && !(unicast && ipv6); ++seed) {
        const Plan plan = draw_plan(seed);
        std::ptrdiff_t frames = 0;
        {
            CaptureWriter pcap(path);
            Witness witness;
            witness.frame = [&](Moment at, int, const Packet& packet) {
                if (++frames > 200) return;
                unicast = unicast || packet.unicast;
                ipv6 = ipv6 || packet.family == Family::ipv6;
                pcap.write(at, packet);
            };
            const std::vector<int> none;
            World(plan, &none, witness).run();
            ASSERT_TRUE(pcap.ok());
        }
        const std::string text = output_of("tcpdump -n -e -T carp -r " + path + " 2>/dev/null");
        EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), std::min<std::ptrdiff_t>(frames, 200));
        std::ptrdiff_t decoded = 0;
        for (std::size_t at = 0; (at = text.find("CARPv2-advertise 36: vhid=", at)) != std::string::npos;
             ++at)
            ++decoded;
        EXPECT_EQ(decoded, std::min<std::ptrdiff_t>(frames, 200)) << text;
        EXPECT_THAT(text, testing::Not(testing::HasSubstr("bad")));
    }
    EXPECT_TRUE(unicast && ipv6);
    std::remove(path.c_str());
}

}  // namespace
}  // namespace carpd::sim
