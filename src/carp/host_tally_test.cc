#include "carp/host_tally.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "carp/node.h"
#include "wire/advertisement.h"

namespace carpd {
namespace {

using namespace std::chrono_literals;

TEST(Histogram, ABoundBelongsToWhatIsBelow) {
    Histogram histogram{&HostTally::kFailovers};
    EXPECT_TRUE(std::is_sorted(histogram.bounds->begin(), histogram.bounds->end()));
    for (const Duration took : {Duration(0), Duration(1ms), Duration(1ms) + 1us, Duration(60s), Duration(1h)})
        histogram.count(took);
    EXPECT_EQ(histogram.counts[0], 2);
    EXPECT_EQ(histogram.counts[1], 1);
    EXPECT_EQ(histogram.counts[13], 1);
    EXPECT_EQ(histogram.counts[14], 1);
    EXPECT_EQ(histogram.microseconds, 3'660'002'001u);
}

// A host that hears others in a group with both families.
class HostTallyTest : public testing::Test {
 protected:
    HostTallyTest() {
        config_.name = "lan";
        config_.interface = "eth0";
        config_.vhid = Vhid{7};
        config_.addresses = {{ip("192.0.2.100"), 24}, {ip("2001:db8::100"), 64}};
        config_.key = {'k'};
        node_.configure(now_, share({config_}), out_);
        LinkStatus link{true, true, true, ip("192.0.2.1"), ip("fe80::1")};
        node_.handle_link(now_, 0, link, out_);
    }
    static IpAddress ip(const char* text) { return IpAddress::parse(text).value(); }

    // At `at` after the start; `interval` is 255: it bows out.
    void hear(Duration at, const char* source, std::uint8_t interval = 1) {
        now_ = kStart + at;
        Advertisement a;
        a.vhid = 7;
        a.advbase = interval;
        a.advskew = interval == 255 ? 255 : 0;
        a.counter = ++counter_;
        a.digest = Authenticator(config_.key, config_.vhid, config_.addresses).sign(a.counter);
        const IpAddress from = ip(source);
        const AdvertisementPacket packet(from, carp_multicast_group(from.family()), encode(a));
        EXPECT_FALSE(node_.handle_packet(now_, 0, packet.bytes(), out_).refused);
    }
    // Until nobody is heard for so long that it becomes MASTER.
    void time_out() {
        while (state() != State::master) node_.handle_timer(now_ = node_.next_deadline(), out_);
    }
    // Sends and installs what it is to.
    void perform(Duration at) {
        now_ = kStart + at;
        while (!out_.empty())
            for (const Action& each : std::exchange(out_, {})) {
                if (const auto* send = std::get_if<SendAdvertisement>(&each))
                    node_.handle_send_result(now_, send->group, true, out_);
                if (const auto* install = std::get_if<InstallAddresses>(&each))
                    node_.handle_install_result(now_, install->group, true, out_);
            }
    }
    const HostTally& tally() const { return node_.tally(); }
    static std::uint64_t total(const Histogram& histogram) {
        std::uint64_t total = 0;
        for (const std::uint64_t count : histogram.counts) total += count;
        return total;
    }
    State state() const { return node_.group(0)->state(); }

    static constexpr Instant kStart{1000s};
    Instant now_ = kStart;
    GroupConfig config_;
    Node node_{1};
    Actions out_;
    std::uint64_t counter_ = 1;
};

TEST_F(HostTallyTest, TellsIntervalsBetweenAdvertisementsOfOneHost) {
    for (int i = 1; i <= 3; ++i) {
        hear(i * 1s, "192.0.2.2");
        hear(i * 1s + 1ms, "fe80::2");
    }
    hear(3500ms, "192.0.2.3");
    EXPECT_EQ(total(tally().advert_interval), 2u);
    EXPECT_EQ(tally().advert_interval.microseconds, 2'000'000u);
    hear(4500ms, "192.0.2.3");
    hear(4600ms, "192.0.2.3", 255);
    ASSERT_EQ(state(), State::master);
    hear(5500ms, "192.0.2.3");
    EXPECT_EQ(total(tally().advert_interval), 3u) << "what comes after a takeover is no interval";
}

TEST_F(HostTallyTest, TellsHowLongAFailoverTook) {
    hear(1s, "192.0.2.2");
    hear(1001ms, "fe80::2");
    time_out();
    EXPECT_EQ(total(tally().failover), 0u) << "its addresses don't answer yet";
    perform(5s);
    EXPECT_EQ(total(tally().failover), 1u);
    EXPECT_EQ(tally().failover.microseconds, 3'999'000u);
    EXPECT_EQ(tally().transitions.get(State::master, Cause::master_timed_out), 1u);

    // Its addresses are installed again, and it comes back by itself: no failover.
    GroupConfig more = config_;
    more.addresses.push_back({ip("192.0.2.101"), 24});
    node_.configure(now_, share({more}), out_);
    perform(5s);
    ASSERT_TRUE(node_.handle_request(now_, 0, State::backup, out_));
    ASSERT_TRUE(node_.handle_request(now_, 0, State::master, out_));
    perform(6s);
    EXPECT_EQ(state(), State::master);
    EXPECT_EQ(total(tally().failover), 1u);
    EXPECT_EQ(tally().transitions.get(State::backup, Cause::operator_request), 1u);
    EXPECT_EQ(tally().transitions.get(State::master, Cause::operator_request), 1u);
}

TEST_F(HostTallyTest, ABowOutIsWhereAFailoverBegins) {
    hear(1s, "192.0.2.2");
    hear(2s, "192.0.2.2", 255);
    perform(2003ms);
    EXPECT_EQ(tally().failover.counts[1], 1u);
    EXPECT_EQ(tally().failover.microseconds, 3000u);
}

TEST_F(HostTallyTest, WhoHeardNobodyFailsOverFromNobody) {
    time_out();
    perform(5s);
    ASSERT_EQ(state(), State::master);
    EXPECT_EQ(total(tally().failover), 0u);
}

TEST_F(HostTallyTest, TellsHowLateEachTimerIs) {
    now_ = node_.next_deadline();
    node_.handle_timer(now_ - 1ms, out_);
    EXPECT_EQ(total(tally().timer_lateness), 0u) << "nothing was due";
    node_.handle_timer(now_ + 2ms, out_);
    EXPECT_EQ(total(tally().timer_lateness), 1u);
    EXPECT_EQ(tally().timer_lateness.microseconds, 2000u);
}

TEST_F(HostTallyTest, GoesOnInAnotherProcess) {
    hear(1s, "192.0.2.2");
    hear(2s, "192.0.2.2");
    Node next{2};
    next.configure(now_, share({config_}), out_);
    const std::vector<LinkStatus> links{node_.link(0)};
    next.resume(now_, node_.memory(), links, out_);
    EXPECT_EQ(next.tally(), tally());
}

TEST(TransitionCounters, CausesLeadWhereGroupsGoForThem) {
    for (const State to : {State::init, State::backup, State::master})
        EXPECT_FALSE(leads_to(Cause::master_alive, to));
    EXPECT_TRUE(leads_to(Cause::operator_request, State::backup));
    EXPECT_TRUE(leads_to(Cause::operator_request, State::master));
    EXPECT_FALSE(leads_to(Cause::operator_request, State::init));
    EXPECT_TRUE(leads_to(Cause::stopped, State::init));
    EXPECT_TRUE(leads_to(Cause::lease_lapsed, State::backup));
    EXPECT_TRUE(leads_to(Cause::preempting, State::master));
}

}  // namespace
}  // namespace carpd
