// Beacons: hosts that run carpd see each other, and see who is deaf or unheard before it matters.
#include <fmt/format.h>

#include "netns_test.h"

namespace carpd::lab {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

class Peers : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (!IsSkipped()) three_hosts();
    }

    static nlohmann::json json(Host& host, const Carpd& carpd) {
        const Result result = host.run({carpctl_program(), "-s", carpd.socket(), "-j", "peers", "lan"});
        const auto json = nlohmann::json::parse(result.output, nullptr, false);
        EXPECT_FALSE(json.is_discarded()) << result.output << result.errors;
        return json.is_discarded() ? nlohmann::json() : json.at("groups").at(0);
    }
    static std::string text(Host& host, const Carpd& carpd) {
        return host.run({carpctl_program(), "-s", carpd.socket(), "peers"}).output;
    }
    // What is wrong with the only other host; nothing if none is known.
    static std::vector<std::string> trouble(Host& host, const Carpd& carpd) {
        const auto group = json(host, carpd);
        if (group.at("hosts").empty()) return {};
        return group.at("hosts")[0].at("trouble").get<std::vector<std::string>>();
    }
    static bool is_heard_by_other(Host& host, const Carpd& carpd) {
        const auto group = json(host, carpd);
        return group.at("hosts").size() == 1 && group.at("hosts")[0].at("hears_us") == true;
    }
    bool hear_each_other() {
        return wait_until(
            [&] {
                return is_heard_by_other(alpha(), alpha_carpd()) && is_heard_by_other(beta(), beta_carpd());
            },
            20s);
    }
    // Of frames that come from a host, the switch drops what matches this, until let_pass().
    void drop_at_switch(Host& from, const std::string& match) {
        run_checked({{"nft", "-f", "-"},
                     &lab().switch_space(),
                     fmt::format("table netdev peers {{ chain c {{ type filter hook ingress device \"{}\" "
                                 "priority 0; {} drop; }}\n}}\n",
                                 from.port().name(), match)});
    }
    void let_pass() {
        run_checked({{"nft", "delete", "table", "netdev", "peers"}, &lab().switch_space(), ""});
    }

    static Group slow(Group group = {}) {
        group.advbase = 1;
        group.beacons = true;
        return group;
    }
};

TEST_F(Peers, SeeEachOther) {
    Group group = slow();
    group.addresses = {"192.0.2.100/24", "2001:db8::100/64"};
    start_pair(group);
    ASSERT_TRUE(hear_each_other());
    const auto at_alpha = json(alpha(), alpha_carpd());
    const auto& beta_seen = at_alpha.at("hosts").at(0);
    EXPECT_EQ(beta_seen.at("state"), "backup");
    EXPECT_EQ(beta_seen.at("advskew"), kPoorSkew);
    EXPECT_EQ(beta_seen.at("addresses").at(0), "192.0.2.2");
    EXPECT_EQ(beta_seen.at("fingerprint"), at_alpha.at("fingerprint"));
    EXPECT_THAT(beta_seen.at("trouble"), IsEmpty());
    EXPECT_LT(beta_seen.at("ipv6_age_ms"), 6000);
    EXPECT_THAT(text(beta(), beta_carpd()), HasSubstr("MASTER"));
}

// Nothing has failed yet, and nothing does.
TEST_F(Peers, AreSeenBeforeItMatters) {
    start_pair(slow());
    ASSERT_TRUE(hear_each_other());
    drop_at_switch(beta(), "ip protocol 112");
    ASSERT_TRUE(wait_until(
        [&] { return trouble(alpha(), alpha_carpd()) == std::vector<std::string>{"silent"}; }, 40s));
    ASSERT_TRUE(
        wait_until([&] { return trouble(beta(), beta_carpd()) == std::vector<std::string>{"deaf"}; }, 40s));
    EXPECT_TRUE(wait_until(
        [&] { return alpha_carpd().log().find("isn't heard any more") != std::string::npos; }, 10s));
    EXPECT_TRUE(
        wait_until([&] { return beta_carpd().log().find("doesn't hear us") != std::string::npos; }, 10s));
    EXPECT_EQ(reason_for(beta_carpd(), "backup"), "started");
    const Result doctor = beta().run({carpctl_program(), "-s", beta_carpd().socket(), "doctor", "-j"});
    EXPECT_THAT(doctor.output, HasSubstr("peer-deaf"));
    let_pass();
    EXPECT_TRUE(wait_until([&] { return is_heard_by_other(beta(), beta_carpd()); }, 20s));
    EXPECT_THAT(trouble(alpha(), alpha_carpd()), IsEmpty());
}

// As many hypervisors do: beacons come from the interface's own MAC, advertisements from the group's.
TEST_F(Peers, TellThatTheVirtualMacIsFiltered) {
    start_pair(slow());
    ASSERT_TRUE(hear_each_other());
    drop_at_switch(alpha(), "ether saddr 00:00:5e:00:01:01");
    EXPECT_TRUE(wait_until(
        [&] { return trouble(beta(), beta_carpd()) == std::vector<std::string>{"unadvertised"}; }, 60s));
    EXPECT_THAT(beta().run({carpctl_program(), "-s", beta_carpd().socket(), "doctor", "-j"}).output,
                HasSubstr("peer-unadvertised"));
}

TEST_F(Peers, SayGoodbye) {
    start_pair(slow());
    ASSERT_TRUE(hear_each_other());
    beta_carpd().stop();
    ASSERT_TRUE(
        wait_until([&] { return json(alpha(), alpha_carpd()).at("hosts")[0].at("left") == true; }, 10s));
    EXPECT_THAT(trouble(alpha(), alpha_carpd()), IsEmpty());
    EXPECT_THAT(text(alpha(), alpha_carpd()), HasSubstr("left"));
}

// To a switch a beacon must not say where the group's MAC is: all frames of a BACKUP come from its own.
TEST_F(Peers, LeaveTheVirtualMacAlone) {
    start_pair(slow());
    ASSERT_TRUE(hear_each_other());
    run_checked(
        {{"nft", "-f", "-"},
         &lab().switch_space(),
         fmt::format("table netdev count {{ chain c {{ type filter hook ingress device \"{}\" priority "
                     "0; ether saddr 00:00:5e:00:01:01 counter; ip protocol 112 counter; }}\n}}\n",
                     beta().port().name())});
    const auto counted = [&] {
        const std::string rules =
            run_checked({{"nft", "-j", "list", "table", "netdev", "count"}, &lab().switch_space(), ""});
        std::vector<int> packets;
        const auto listed = nlohmann::json::parse(rules);
        for (const auto& item : listed.at("nftables"))
            if (item.contains("rule"))
                packets.push_back(item.at("rule").at("expr").back().at("counter").at("packets"));
        return packets;
    };
    ASSERT_TRUE(wait_until([&] { return counted().at(1) >= 2; }, 20s));
    EXPECT_EQ(counted().at(0), 0);
}

}  // namespace
}  // namespace carpd::lab
