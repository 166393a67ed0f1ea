// Outages in milliseconds: printed and recorded. The bounds here are wide, since other programs may use the
// machine; carpd-measure shows the figures of a quiet one.
#include <fmt/format.h>

#include "lab/experiments.h"
#include "netns_test.h"

namespace carpd::lab {
namespace {

class Measured : public testing::Test {
 protected:
    // The measurements make labs of their own.
    void SetUp() override {
        if (const std::string why_not = why_no_lab(); !why_not.empty()) GTEST_SKIP() << why_not;
    }
    void report(const char* what, const Figures& figures) {
        fmt::print("{}: median {:.2f} ms, min {:.2f}, max {:.2f}, {} runs\n", what, figures.median(),
                   figures.min(), figures.max(), figures.count());
        RecordProperty(std::string(what) + "_median_ms", fmt::format("{:.2f}", figures.median()));
        RecordProperty(std::string(what) + "_max_ms", fmt::format("{:.2f}", figures.max()));
    }
};

TEST_F(Measured, WholeMasterKilledAtOneSecond) {
    const Failovers result = measure_failovers({1, 0, 100}, Fate::power_cut, 1, 1ms);
    report("outage", result.outage);
    EXPECT_LE(result.outage.max(), 3391 + 250);
    EXPECT_GE(result.outage.min(), 2391 - 50)
        << "one advertisement interval before the bound is the earliest";
}

TEST_F(Measured, WholeMasterKilledAtFourMilliseconds) {
    const Failovers result = measure_failovers({0, 1, 2}, Fate::power_cut, 20, 1ms);
    report("outage", result.outage);
    report("decision_to_answer", result.decision_answer);
    EXPECT_LE(result.outage.median(), 150);
    EXPECT_LE(result.decision_answer.median(), 50);
}

TEST_F(Measured, OrderlyStop) {
    const Failovers result = measure_failovers({1, 0, 100}, Fate::orderly_stop, 5, 1ms);
    report("outage", result.outage);
    EXPECT_LE(result.outage.median(), 100);
}

TEST_F(Measured, NoFalseFailoverOnABusyMachine) {
    EXPECT_EQ(count_false_failovers({0, 8, 9}, 15s, 2), 0u);
}

}  // namespace
}  // namespace carpd::lab
