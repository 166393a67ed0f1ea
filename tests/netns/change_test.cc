// A password and a list of addresses change on a pair in service, in two steps: no request is lost, and
// nobody changes its state.
#include "netns_test.h"

namespace carpd::lab {
namespace {

class Change : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (!IsSkipped()) three_hosts();
    }
    static std::string good(const Group& group, const std::string& accept) { return group.text() + accept; }
    static std::string poor(const Group& group, const std::string& accept) {
        return group.with_skew(kPoorSkew).text() + accept;
    }
    // Both accept the new, then each takes it as its own, then nobody accepts the old any more.
    void change(const Group& before, const Group& after, const std::string& accept_new,
                const std::string& accept_old) {
        Carpd &alpha = alpha_carpd(), &beta = beta_carpd();
        alpha.apply(good(before, accept_new));
        beta.apply(poor(before, accept_new));
        EXPECT_EQ(alpha.group("lan").at("accepts_another"), true);
        const auto accepted = [&] {
            return beta.group("lan").at("counters").at("alternate_accepted").get<std::uint64_t>();
        };
        const auto earlier = accepted();
        beta.apply(poor(after, accept_old));
        EXPECT_TRUE(wait_until([&] { return accepted() > earlier + 20; }, 10s));
        alpha.apply(good(after, accept_old));
        alpha.apply(good(after, ""));
        beta.apply(poor(after, ""));
        const auto received = [&] {
            return beta.group("lan").at("counters").at("advertisements_received_ipv4").get<std::uint64_t>();
        };
        const auto heard = received();
        EXPECT_TRUE(wait_until([&] { return received() > heard + 20; }, 10s));
    }
};

TEST_F(Change, PasswordAndListLoseNothing) {
    Group group;
    start_pair(group);
    const Probes probes(client(), {"192.0.2.100/24"});
    ASSERT_TRUE(probes.wait_answer(&alpha()));
    const auto transitions = alpha_carpd().transitions("lan") + beta_carpd().transitions("lan");
    const Time before = Clock::now();

    Group renewed = group;
    renewed.password = "another";
    change(group, renewed, "accept-password = \"another\"\n", "accept-password = \"s3cret\"\n");
    Group longer = renewed;
    longer.addresses.push_back("192.0.2.101/24");
    change(renewed, longer, "accept-addresses = [\"192.0.2.100/24\", \"192.0.2.101/24\"]\n",
           "accept-addresses = [\"192.0.2.100/24\"]\n");

    EXPECT_TRUE(pings(client(), "192.0.2.101"));
    EXPECT_EQ(alpha_carpd().transitions("lan") + beta_carpd().transitions("lan"), transitions);
    EXPECT_EQ(alpha_carpd().state("lan"), "master");
    probes.expect_hand_over(before, {alpha().number()}, 0ms);
}

}  // namespace
}  // namespace carpd::lab
