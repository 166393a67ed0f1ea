#include "carp/memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <variant>

#include "carp/node.h"
#include "wire/advertisement.h"

namespace carpd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

IpAddress ip(const char* text) {
    return IpAddress::parse(text).value();
}

GroupConfig group(const char* name, const char* interface, std::uint8_t vhid) {
    GroupConfig config;
    config.name = name;
    config.interface = interface;
    config.vhid = Vhid{vhid};
    config.addresses = {{ip("192.0.2.100"), 24}};
    config.key = {'k'};
    return config;
}

LinkStatus good_link() {
    LinkStatus link;
    link.present = link.up = link.running = true;
    link.source4 = ip("192.0.2.1");
    return link;
}

// One engine with its node: it does what it is told, and nothing fails.
class Engine {
 public:
    explicit Engine(std::vector<GroupConfig> groups) {
        node.configure(now, share(std::move(groups)), actions_);
        perform();
    }
    void bring_up() {
        for (InterfaceId id = 0; id < node.interfaces().size(); ++id)
            node.handle_link(now, id, good_link(), actions_);
        perform();
    }
    void resume(const NodeMemory& memory, LinkStatus link = good_link()) {
        const std::vector<LinkStatus> links(node.interfaces().size(), link);
        node.resume(now, memory, links, actions_);
        perform();
    }
    void run_until(Instant end) {
        while (node.next_deadline() <= end) {
            now = std::max(now, node.next_deadline());
            node.handle_timer(now, actions_);
            perform();
        }
        now = end;
    }
    void demote(GroupId id, const char* name, int amount, Instant ends) {
        ASSERT_TRUE(node.demote_group(now, id, name, amount, ends, actions_));
        perform();
    }
    void hear(GroupConfig config, AdvSkew skew, std::uint64_t counter) {
        config.advskew = skew;
        Advertisement a;
        a.vhid = config.vhid.value;
        a.advbase = config.advbase.seconds;
        a.advskew = skew.value;
        a.counter = counter;
        a.digest = Authenticator(config.key, config.vhid, config.addresses).sign(a.counter);
        const AdvertisementPacket packet(ip("192.0.2.2"), carp_multicast_group(Family::ipv4), encode(a));
        node.handle_packet(now, 0, packet.bytes(), actions_);
        perform();
    }
    template <class T>
    int count() const {
        return static_cast<int>(std::count_if(
            done.begin(), done.end(), [](const Action& each) { return std::holds_alternative<T>(each); }));
    }
    std::vector<std::uint64_t> counters_sent() const {
        std::vector<std::uint64_t> counters;
        for (const Action& each : done)
            if (const auto* send = std::get_if<SendAdvertisement>(&each))
                counters.push_back(
                    decode_advertisement(parse_ip_packet(send->packet.bytes())->payload)->counter);
        return counters;
    }
    State state(GroupId id = 0) const { return node.group(id)->state(); }

    Instant now{seconds(1000)};
    Node node{7};
    std::vector<Action> done;

 private:
    void perform() {
        while (!actions_.empty()) {
            Actions batch;
            std::swap(batch, actions_);
            for (const Action& each : batch) {
                if (const auto* send = std::get_if<SendAdvertisement>(&each))
                    node.handle_send_result(now, send->group, true, actions_);
                if (const auto* install = std::get_if<InstallAddresses>(&each))
                    node.handle_install_result(now, install->group, true, actions_);
                done.push_back(each);
            }
        }
    }
    Actions actions_;
};

class Memory : public testing::Test {
 protected:
    // MASTER, in the middle between two advertisements.
    static Engine master(std::vector<GroupConfig> groups) {
        Engine engine(std::move(groups));
        engine.bring_up();
        engine.run_until(engine.now + seconds(10) + milliseconds(500));
        return engine;
    }
    const GroupConfig lan = group("lan", "eth0", 1);
};

TEST_F(Memory, MasterGoesOnAndKeepsItsBeat) {
    Engine before = master({lan});
    ASSERT_EQ(before.state(), State::master);
    const auto beat = before.node.next_deadline();
    const VirtualHost& old = *before.node.group(0);
    Engine after({lan});
    after.now = before.now + milliseconds(3);
    after.resume(before.node.memory());
    const VirtualHost& resumed = *after.node.group(0);
    EXPECT_EQ(after.state(), State::master);
    EXPECT_EQ(resumed.since(), old.since());
    EXPECT_EQ(resumed.cause(), old.cause());
    EXPECT_EQ(resumed.lease_until(), old.lease_until());
    EXPECT_EQ(after.count<ReportTransition>(), 0);
    EXPECT_EQ(after.count<WithdrawAddresses>(), 0);
    EXPECT_EQ(after.count<SendAdvertisement>(), 0);
    EXPECT_EQ(after.count<InstallAddresses>(), 1);
    after.run_until(beat);
    EXPECT_EQ(after.count<SendAdvertisement>(), 1);
    EXPECT_EQ(resumed.counters().transitions_to_master, 1U);
    EXPECT_EQ(resumed.counters().advertisements_sent_ipv4, old.counters().advertisements_sent_ipv4 + 1);
    EXPECT_GT(resumed.lease_until(), old.lease_until());
}

TEST_F(Memory, CountersOfAdvertisementsGoOnAndAreStillKnownAsOurs) {
    Engine before = master({lan});
    Engine after({lan});
    after.now = before.now;
    after.resume(before.node.memory());
    after.run_until(after.now + seconds(3));
    std::vector<std::uint64_t> all = before.counters_sent();
    const std::size_t had = all.size();
    for (const std::uint64_t counter : after.counters_sent()) all.push_back(counter);
    ASSERT_GT(all.size(), had);
    for (std::size_t i = 1; i < all.size(); ++i) EXPECT_EQ(all[i] - all[i - 1], SentCounters::kStep);
    after.hear(lan, AdvSkew{0}, all.front());  // looped
    EXPECT_EQ(after.node.group(0)->counters().dropped[DropReason::own_advert], 1U);
}

TEST_F(Memory, LeaseThatHasLapsedWithdrawsFirst) {
    Engine before = master({lan});
    Engine after({lan});
    after.now = before.node.group(0)->lease_until();
    after.resume(before.node.memory());
    EXPECT_EQ(after.state(), State::backup);
    EXPECT_EQ(after.node.group(0)->cause(), Cause::lease_lapsed);
    EXPECT_EQ(after.count<InstallAddresses>(), 0);
    EXPECT_EQ(after.count<SendAdvertisement>(), 0);
    ASSERT_FALSE(after.done.empty());
    EXPECT_TRUE(std::holds_alternative<WithdrawAddresses>(after.done.front()));
}

// Neither is it said again, nor does the other family's timer begin anew.
TEST_F(Memory, AnUnheardFamilyStaysOne) {
    GroupConfig poor = lan;
    poor.advskew = AdvSkew{100};
    poor.addresses.push_back({ip("2001:db8::100"), 64});
    GroupConfig rich = poor;
    rich.advskew = AdvSkew{0};
    Engine before({poor});
    before.bring_up();
    for (std::uint64_t i = 0; i < 5; ++i) {
        before.now += seconds(1);
        before.hear(rich, AdvSkew{0}, 99 + i);
    }
    ASSERT_EQ(before.node.group(0)->unheard_family(), Family::ipv6);
    const Instant down = before.node.group(0)->master_down_at();
    Engine after({poor});
    after.now = before.now;
    after.resume(before.node.memory());
    EXPECT_EQ(after.node.group(0)->unheard_family(), Family::ipv6);
    EXPECT_EQ(after.node.group(0)->master_down_at(), down);
    after.hear(rich, AdvSkew{0}, 104);
    EXPECT_EQ(after.count<ReportPeer>(), 0);
    GroupConfig only_ipv6 = poor;
    only_ipv6.addresses = {{ip("2001:db8::100"), 64}};
    Engine changed({only_ipv6});
    changed.now = before.now;
    changed.resume(before.node.memory());
    EXPECT_GT(changed.node.group(0)->master_down_at(), before.now);
    EXPECT_NE(changed.node.group(0)->master_down_at(), kNever);
}

TEST_F(Memory, BackupsMasterDownTimerRunsOn) {
    GroupConfig poor = lan;
    poor.advskew = AdvSkew{100};
    Engine before({poor});
    before.bring_up();
    before.now += milliseconds(100);
    before.hear(lan, AdvSkew{0}, 99);
    const Instant down = before.node.group(0)->master_down_at();
    before.now += seconds(2);
    Engine after({poor});
    after.now = before.now;
    after.resume(before.node.memory());
    EXPECT_EQ(after.state(), State::backup);
    EXPECT_EQ(after.node.group(0)->master_down_at(), down);
    ASSERT_TRUE(after.node.group(0)->last_heard());
    EXPECT_EQ(after.node.group(0)->last_heard()->source, ip("192.0.2.2"));
    after.run_until(down - milliseconds(1));
    EXPECT_EQ(after.state(), State::backup);
    after.run_until(down);
    EXPECT_EQ(after.state(), State::master);
}

TEST_F(Memory, DemotionsStayAndEndInTheirTime) {
    Engine before = master({lan});
    const Instant ends = before.now + seconds(5);
    before.demote(0, "test", 9, ends);
    Actions out;
    before.node.demote_interface_group(before.now, "carp", "drain", 20, ends + seconds(1), out);
    Engine after({lan});
    after.now = before.now;
    after.resume(before.node.memory());
    EXPECT_EQ(after.node.group(0)->demotion().value(), 29);
    EXPECT_EQ(after.node.demotion_ends(0, "test"), ends);
    EXPECT_EQ(after.node.demotion_ends(0, "carp:drain"), ends + seconds(1));
    EXPECT_EQ(after.count<ReportDemotion>(), 0);
    after.run_until(ends);
    EXPECT_EQ(after.node.group(0)->demotion().value(), 20);
    after.run_until(ends + seconds(1));
    EXPECT_EQ(after.node.group(0)->demotion().value(), 0);
}

TEST_F(Memory, ALinkThatIsGoneMeanwhileCounts) {
    Engine before = master({lan});
    Engine after({lan});
    after.now = before.now;
    LinkStatus down = good_link();
    down.running = false;
    after.resume(before.node.memory(), down);
    EXPECT_EQ(after.state(), State::init);
    EXPECT_EQ(after.count<WithdrawAddresses>(), 1);
}

TEST_F(Memory, OtherGroupsStartAndWhoIsNotConfiguredIsForgotten) {
    Engine before = master({lan, group("old", "eth1", 2)});
    Engine after({lan, group("new", "eth1", 3)});
    after.now = before.now;
    after.resume(before.node.memory());
    EXPECT_EQ(after.state(0), State::master);
    EXPECT_EQ(after.state(1), State::backup);
    EXPECT_EQ(after.node.group(1)->cause(), Cause::started);
    EXPECT_EQ(after.node.masters(), 1U);
}

TEST_F(Memory, ASetStaysWhereItIs) {
    GroupConfig wan = group("wan", "eth1", 2), inner = lan;
    wan.together = inner.together = "firewall";
    Engine before = master({inner, wan});
    ASSERT_EQ(before.node.masters(), 2U);
    Engine after({inner, wan});
    after.now = before.now;
    after.resume(before.node.memory());
    EXPECT_EQ(after.node.masters(), 2U);
    EXPECT_EQ(after.count<ReportTransition>() + after.count<ReportDemotion>(), 0);
    EXPECT_EQ(after.node.group(1)->together_with(), before.node.group(1)->together_with());
    after.run_until(after.now + seconds(10));
    EXPECT_EQ(after.node.masters(), 2U);
    EXPECT_EQ(after.count<ReportTransition>() + after.count<ReportDemotion>(), 0);
}

TEST_F(Memory, WhatIsRememberedAgainIsTheSame) {
    Engine before = master({lan, group("two", "eth1", 2)});
    Engine after({lan, group("two", "eth1", 2)});
    after.now = before.now;
    const NodeMemory memory = before.node.memory();
    Actions out;
    const std::vector<LinkStatus> links(2, good_link());
    after.node.resume(after.now, memory, links, out);
    EXPECT_EQ(after.node.memory(), memory);
}

}  // namespace
}  // namespace carpd
