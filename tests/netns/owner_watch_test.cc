// The watch must see what the fault tests rely on: two owners where there are two, and hand-overs.
#include "lab/owner_watch.h"

#include <fmt/format.h>

#include "netns_test.h"

namespace carpd::lab {
namespace {

class OwnerWatchTest : public NetnsTest, public testing::WithParamInterface<const char*> {};

TEST_P(OwnerWatchTest, SeesOneOwnerTwoAndNone) {
    three_hosts();
    const std::string address = GetParam();
    const bool ipv4 = address == kVip4;
    const std::string both = fmt::format("{}/{}", address, ipv4 ? "32" : "128 nodad");
    OwnerWatch watch(client(), {&alpha(), &beta()}, address);
    const auto nobody = [&] { return watch.verdict(Clock::now() - 50ms).owners.empty(); };
    EXPECT_TRUE(wait_until(nobody, 2s));

    alpha().ip("address add " + both + " dev eth0");
    EXPECT_TRUE(watch.wait_owner(alpha(), 2s));
    const Time one = Clock::now();
    EXPECT_EQ(watch.verdict({}, one).two_owners, 0);
    beta().ip("address add " + both + " dev eth0");
    EXPECT_TRUE(wait_until([&] { return watch.verdict(one).two_owners >= 20; }, 2s))
        << watch.verdict(one).text();

    alpha().ip("address del " + both.substr(0, both.find(' ')) + " dev eth0");
    EXPECT_TRUE(watch.wait_owner(beta(), 2s));
    const Time after = Clock::now();
    std::this_thread::sleep_for(50ms);
    const OwnerWatch::Verdict verdict = watch.verdict(after);
    EXPECT_EQ(verdict.owners, (std::vector{beta().number()}));
    EXPECT_EQ(verdict.two_owners, 0);
}

INSTANTIATE_TEST_SUITE_P(, OwnerWatchTest, testing::Values(kVip4, kVip6),
                         [](const auto& test) { return std::string(test.param) == kVip4 ? "Ipv4" : "Ipv6"; });

}  // namespace
}  // namespace carpd::lab
