// `carpctl doctor`: it names each fault that is planted here, and says nothing of a healthy pair.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "base/bytes.h"
#include "netns_test.h"
#include "wire/checksum.h"

namespace carpd::lab {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

using Arguments = std::vector<std::string>;

class Doctor : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (!IsSkipped()) three_hosts();
    }

    // As an administrator runs it on the host.
    static Result doctor(Host& host, const Carpd& carpd, Arguments arguments = {}) {
        Arguments argv = {carpctl_program(), "-s", carpd.socket(), "doctor", "--config", carpd.config_file()};
        argv.insert(argv.end(), arguments.begin(), arguments.end());
        return host.run(argv);
    }
    Result alpha_doctor() { return doctor(alpha(), alpha_carpd()); }
    Result beta_doctor() { return doctor(beta(), beta_carpd()); }

    // The codes that it finds, and what it says of the first finding with `code`.
    struct Found {
        std::vector<std::string> codes;
        std::string text;
        nlohmann::json untested;
    };
    static Found find(Host& host, const Carpd& carpd, const std::string& code, Arguments arguments = {}) {
        arguments.push_back("-j");
        const Result result = doctor(host, carpd, arguments);
        const nlohmann::json json = nlohmann::json::parse(result.output, nullptr, false);
        if (json.is_discarded()) {
            ADD_FAILURE() << result.output << result.errors;
            return {};
        }
        Found found{{}, {}, json.at("untested")};
        for (const auto& finding : json.at("findings")) {
            // True on a busy machine, and nothing that was planted.
            if (finding.at("code") == "late-timers" && code != "late-timers") continue;
            found.codes.push_back(finding.at("code"));
            if (finding.at("code") == code && found.text.empty()) found.text = finding.at("text");
        }
        EXPECT_EQ(result.exit_code, json.at("findings").empty() ? 0 : 1);
        return found;
    }
    Found find_at_alpha(const std::string& code) { return find(alpha(), alpha_carpd(), code); }
    Found find_at_beta(const std::string& code) { return find(beta(), beta_carpd(), code); }

    void expect_healthy(const Result& result) {
        EXPECT_EQ(result.output, "Nothing wrong was found with 1 group.\n");
        EXPECT_EQ(result.exit_code, 0) << result.errors;
    }

    // Of frames that come from a host, the switch drops what matches this.
    void drop_at_switch(Host& from, const std::string& match) {
        const std::string name = from.name();
        run_checked(
            {{"nft", "-f", "-"},
             &lab().switch_space(),
             fmt::format("table netdev {} {{ chain c {{ type filter hook ingress device \"{}\" priority 0; "
                         "{} drop; }}\n}}\n",
                         name, from.port().name(), match)});
    }

    void let_pass(const Host& from) {
        run_checked({{"nft", "delete", "table", "netdev", from.name()}, &lab().switch_space(), ""});
    }

    // The switch keeps back what nobody joined, and forgets after 2 s who did, because nobody hears it ask.
    // (A bridge of the kernel snoops only while somebody asks; so it does, and its questions are lost.)
    void make_forgetful() {
        std::string chains;
        for (Host* host : {&alpha(), &beta()})
            chains += fmt::format(
                "chain {} {{ type filter hook egress device \"{}\" priority 0; icmpv6 type "
                "mld-listener-query drop; ip protocol igmp drop; }}\n",
                host->name(), host->port().name());
        run_checked(
            {{"nft", "-f", "-"}, &lab().switch_space(), "table netdev forgetful {\n" + chains + "}\n"});
        lab().switch_space().set("net/ipv6/conf/br0/disable_ipv6", "0");  // to ask, it needs an address
        lab().switch_space().ip(
            "link set br0 type bridge mcast_query_response_interval 50 mcast_startup_query_interval 50 "
            "mcast_query_interval 200 mcast_membership_interval 200 mcast_querier 1 mcast_snooping 1");
    }

    static Group both_families() {
        Group group;
        group.addresses = {"192.0.2.100/24", "2001:db8::100/64"};
        return group;
    }
    static Group slow(Group group) {
        group.advbase = 1;
        group.beacons = true;
        return group;
    }
};

// ---- nothing is wrong

// With a second between advertisements: a busy machine must not be late by a quarter of the others' patience.
TEST_F(Doctor, IsSilentOnAHealthyPair) {
    start_pair(slow(both_families()));
    expect_healthy(alpha_doctor());
    expect_healthy(beta_doctor());
}

TEST_F(Doctor, IsSilentOnAHealthyPairWithoutAVirtualMac) {
    Group group = both_families();
    group.mac = "interface";
    start_pair(slow(group));
    expect_healthy(alpha_doctor());
    expect_healthy(beta_doctor());
}

TEST_F(Doctor, IsSilentOnAHealthyPairOfMacvlans) {
    dataplane_ = "macvlan";
    start_pair(slow(both_families()));
    expect_healthy(alpha_doctor());
    expect_healthy(beta_doctor());
}

TEST_F(Doctor, IsSilentOnAHealthyPairOfPeers) {
    Group group = slow(both_families());
    group.peers = {"192.0.2.2", "2001:db8::2"};
    ASSERT_TRUE(start(alpha(), group).wait_state("lan", "master"));
    group.peers = {"192.0.2.1", "2001:db8::1"};
    start(beta(), group.with_skew(kPoorSkew));
    ASSERT_TRUE(wait_until([&] { return has_heard(beta_carpd()); }, 10s));
    expect_healthy(alpha_doctor());
    expect_healthy(beta_doctor());
}

TEST_F(Doctor, FindsThatForeignMacsPass) {
    start_pair(slow(Group{}));
    expect_healthy(doctor(beta(), beta_carpd(), {"--foreign-macs"}));
}

// ---- keys, lists, numbers

TEST_F(Doctor, NamesTheAddressThatDiffers) {
    ASSERT_TRUE(start(alpha(), both_families()).wait_state("lan", "master"));
    Group other = both_families();
    other.addresses.push_back("192.0.2.101/24");
    start(beta(), other.with_skew(kPoorSkew));
    ASSERT_TRUE(wait_until([&] { return alpha_carpd().refused("lan", "bad_digest") > 0; }, 10s));
    const Found found = find_at_alpha("addresses-differ");
    EXPECT_THAT(found.text, HasSubstr("192.0.2.101, which our list lacks"));
    EXPECT_THAT(found.codes, ElementsAre("addresses-differ"));
    EXPECT_THAT(find_at_beta("addresses-differ").text, HasSubstr("lacks 192.0.2.101"));
    // The file is that of the daemon, unless another is named.
    EXPECT_THAT(beta().run({carpctl_program(), "-s", beta_carpd().socket(), "doctor"}).output,
                HasSubstr("lacks 192.0.2.101"));
}

TEST_F(Doctor, TellsAnotherKeyFromAnotherList) {
    ASSERT_TRUE(start(alpha(), slow(Group{})).wait_state("lan", "master"));
    Group other = slow(Group{}).with_skew(kPoorSkew);
    other.password = "another";
    start(beta(), other);
    const auto has_refused_one = [&] {  // a beacon, which may come first, doesn't tell
        const auto refused = alpha_carpd().group("lan").at("last_refused");
        return !refused.is_null() && !refused.at("advertisement").is_null();
    };
    ASSERT_TRUE(wait_until(has_refused_one, 10s));
    EXPECT_THAT(find_at_alpha("key-differs").text, HasSubstr("most likely the password differs"));
}

TEST_F(Doctor, NamesAVrrpRouterWithOurNumber) {
    start_pair(Group{});
    std::vector<std::uint8_t> vrrp = {0x21, 1, 100, 1, 0, 1, 0, 0, 192, 0, 2, 77, 0, 0, 0, 0, 0, 0, 0, 0};
    ByteWriter(std::span(vrrp).subspan(6)).u16(checksum(vrrp));
    Forgery forgery;
    forgery.source = "192.0.2.9";
    Injector(client()).packet(forgery.packet(vrrp));
    ASSERT_TRUE(wait_until([&] { return alpha_carpd().refused("lan", "vrrp2") > 0; }, 10s));
    const Found found = find_at_alpha("vrrp-same-id");
    EXPECT_THAT(found.text, HasSubstr("192.0.2.9 speaks VRRP with the id 1"));
    EXPECT_THAT(found.codes, ElementsAre("vrrp-same-id"));
}

TEST_F(Doctor, NamesWhoIsNoPeer) {
    Group group;
    group.peers = {"192.0.2.9"};
    ASSERT_TRUE(start(alpha(), group).wait_state("lan", "master"));
    start(beta(), Group{}.with_skew(kPoorSkew));
    ASSERT_TRUE(wait_until([&] { return alpha_carpd().refused("lan", "unknown_peer") > 0; }, 10s));
    EXPECT_THAT(find_at_alpha("adverts-refused").text, HasSubstr("192.0.2.2 are refused as unknown_peer"));
}

// ---- the LAN

TEST_F(Doctor, NamesAnotherMasterThatDoesNotHear) {
    start_pair(Group{});
    drop_at_switch(alpha(), "ip protocol 112");
    ASSERT_TRUE(beta_carpd().wait_state("lan", "master"));
    ASSERT_TRUE(wait_until([&] { return alpha_carpd().group("lan").at("hears_rival") == true; }, 10s));
    EXPECT_THAT(find_at_alpha("two-masters").text, HasSubstr("192.0.2.2 advertises as MASTER, too"));
    // Which hears nothing, and finds out all the same.
    EXPECT_THAT(find_at_beta("unheard-master").text, HasSubstr("Another host answers for 192.0.2.100"));
}

TEST_F(Doctor, FindsAMasterThatItDoesNotHearInIpv6) {
    Group group = both_families();
    group.addresses = {"2001:db8::100/64"};
    start_pair(group);
    drop_at_switch(alpha(), "ip6 nexthdr 112");
    ASSERT_TRUE(beta_carpd().wait_state("lan", "master"));
    EXPECT_THAT(find_at_beta("unheard-master").text, HasSubstr("Another host answers for 2001:db8::100"));
}

TEST_F(Doctor, NamesTheMacOfADuplicateAddress) {
    start_pair(both_families());
    client().ip("address add 192.0.2.100/32 dev eth0\naddress add 2001:db8::100/128 dev eth0 nodad");
    const std::string mac = client().mac().to_string();
    for (const Found& found : {find_at_alpha("duplicate-address"), find_at_beta("duplicate-address")}) {
        EXPECT_THAT(found.codes, ElementsAre("duplicate-address", "duplicate-address"));
        EXPECT_THAT(found.text, AllOf(HasSubstr("192.0.2.100"), HasSubstr(mac)));
    }
}

TEST_F(Doctor, FindsAMasterThatDoesNotAnswer) {
    start_pair(Group{});
    drop_at_switch(alpha(), "ether type arp");
    EXPECT_THAT(find_at_beta("address-unanswered").text,
                HasSubstr("192.0.2.1 advertises as MASTER, but nobody answers for 192.0.2.100"));
}

TEST_F(Doctor, FindsThatForeignMacsAreKeptBack) {
    start_pair(Group{});
    drop_at_switch(beta(), fmt::format("ether saddr != {}", beta().mac().to_string()));
    const Found found = find(beta(), beta_carpd(), "foreign-macs-filtered", {"--foreign-macs"});
    EXPECT_THAT(found.codes, ElementsAre("foreign-macs-filtered"));
    EXPECT_THAT(found.text, HasSubstr("192.0.2.1 answers to eth0's own MAC"));
}

TEST_F(Doctor, FindsInIpv6WhetherForeignMacsPass) {
    Group group = slow({});
    group.addresses = {"2001:db8::100/64"};
    start_pair(group);
    expect_healthy(doctor(beta(), beta_carpd(), {"--foreign-macs"}));
    drop_at_switch(beta(), fmt::format("ether saddr != {}", beta().mac().to_string()));
    const Found found = find(beta(), beta_carpd(), "foreign-macs-filtered", {"--foreign-macs"});
    EXPECT_THAT(found.codes, ElementsAre("foreign-macs-filtered"));
    EXPECT_THAT(found.text, AllOf(HasSubstr("fe80::"), HasSubstr("answers to eth0's own MAC")));
}

// A master that is heard in one family is alive: nothing happens but that it is said.
TEST_F(Doctor, FindsThatAFamilyIsKeptBack) {
    const auto unheard = [&](const nlohmann::json& family) {
        return wait_until([&] { return beta_carpd().group("lan").at("unheard_family") == family; }, 10s);
    };
    start_pair(both_families());
    drop_at_switch(alpha(), "ip6 nexthdr 112");
    ASSERT_TRUE(unheard("ipv6"));
    const Found found = find_at_beta("family-unheard");
    EXPECT_THAT(found.codes, ElementsAre("family-unheard"));
    EXPECT_THAT(found.text, HasSubstr("The master, 192.0.2.1, is heard in IPv4 only."));
    let_pass(alpha());
    ASSERT_TRUE(unheard(nullptr));
    drop_at_switch(alpha(), "ip protocol 112");
    ASSERT_TRUE(unheard("ipv4"));
    EXPECT_THAT(beta_carpd().log(), AllOf(HasSubstr("the master 192.0.2.1 is heard in IPv4 only"),
                                          HasSubstr("is heard in both families again")));
    EXPECT_EQ(beta_carpd().transitions("lan"), 1u);  // INIT, BACKUP
    alpha().power_off();
    EXPECT_TRUE(beta_carpd().wait_state("lan", "master"));
}

// A switch that passed IPv6 multicast at first, and nobody asks who wants it.
TEST_F(Doctor, NamesSnoopingWithoutAQuerier) {
    make_forgetful();
    start_pair(slow(both_families()));
    const auto has_lost_ipv6 = [&] {
        const auto hosts = alpha_carpd().group("lan").at("hosts");
        return hosts.size() == 1 && hosts[0].at("ipv6_age_ms").is_number() &&
               hosts[0].at("ipv6_age_ms") > 16'000 && hosts[0].at("ipv4_age_ms") < 16'000;
    };
    ASSERT_TRUE(wait_until(has_lost_ipv6, 60s, 200ms)) << alpha_carpd().group("lan");
    const Found found = find_at_alpha("no-querier");
    EXPECT_THAT(found.text, AllOf(HasSubstr("but what it sends to ff02::12 has not come here for 1"),
                                  HasSubstr("eth0 has never heard an MLD query")));
    EXPECT_THAT(found.codes, Contains("no-querier"));
    EXPECT_THAT(find_at_beta("no-querier").codes, Contains("no-querier"));
}

// The same is missing, and the switch isn't to blame.
TEST_F(Doctor, BlamesNoSwitchWhereAQuerierIsHeard) {
    lab().make_snooping();
    start_pair(slow(both_families()));
    const auto ipv6_age = [&] {
        const auto hosts = alpha_carpd().group("lan").at("hosts");
        return hosts.empty() || hosts[0].at("ipv6_age_ms").is_null()
                   ? -1.0
                   : hosts[0].at("ipv6_age_ms").get<double>();
    };
    ASSERT_TRUE(wait_until([&] { return ipv6_age() >= 0; }, 20s));
    drop_at_switch(beta(), "ip6 nexthdr 112");
    ASSERT_TRUE(wait_until([&] { return ipv6_age() > 16'000; }, 40s, 200ms));
    EXPECT_THAT(find_at_alpha("no-querier").codes, Not(Contains("no-querier")));
}

TEST_F(Doctor, FindsAPeerThatIsSilent) {
    Group group;
    group.peers = {"192.0.2.2", "192.0.2.222"};
    ASSERT_TRUE(start(alpha(), group).wait_state("lan", "master"));
    const Found found = find_at_alpha("peer-silent");
    EXPECT_THAT(found.codes, ElementsAre("peer-silent"));
    EXPECT_THAT(found.text, HasSubstr("192.0.2.222"));
}

// ---- the host

TEST_F(Doctor, FindsAPulledCableAndAMissingInterface) {
    start(alpha(), Group{}.text() +
                       "[[group]]\nname = \"other\"\ninterface = \"nosuch0\"\nvhid = 2\naddresses = "
                       "[\"192.0.2.101/24\"]\npassword = \"s3cret\"\n");
    ASSERT_TRUE(alpha_carpd().wait_state("lan", "master"));
    alpha().cut();
    ASSERT_TRUE(alpha_carpd().wait_state("lan", "init"));
    EXPECT_THAT(find_at_alpha("link-down").codes, ElementsAre("link-down", "interface-missing"));
}

TEST_F(Doctor, FindsAnInterfaceWithoutAnAddressOfItsOwn) {
    start_pair(both_families());
    beta().set("net/ipv6/conf/eth0/disable_ipv6", "1");
    ASSERT_TRUE(wait_until([&] { return beta_carpd().group("lan").at("source_ipv6").is_null(); }, 10s));
    EXPECT_THAT(find_at_beta("no-own-address").text, HasSubstr("no link-local IPv6 address of its own"));
}

TEST_F(Doctor, FindsAnAddressThatSomebodyElseHasSet) {
    start_pair(Group{});
    beta().ip("address add 192.0.2.100/24 dev eth0");
    EXPECT_THAT(find_at_beta("address-static").text, HasSubstr("192.0.2.100 stands on eth0"));
}

TEST_F(Doctor, FindsAFilterThatDropsWhatIsSent) {
    start_pair(Group{});
    run_checked({{"nft", "-f", "-"},
                 &alpha().space(),
                 "table netdev strict { chain out { type filter hook egress device \"eth0\" priority 0; "
                 "ip protocol 112 drop; }\n}\n"});
    ASSERT_TRUE(beta_carpd().wait_state("lan", "master"));
    const Found found = find_at_alpha("carp-blocked");
    EXPECT_THAT(found.text, AllOf(HasSubstr("netdev strict out"), HasSubstr("at the hook egress")));
}

// Its tables are modules that not every kernel has, so a script stands for the program.
TEST_F(Doctor, FindsAFilterOfTheOlderIptables) {
    start_pair(slow(Group{}));
    const std::string program = lab().folder() + "/iptables-legacy-save";
    std::ofstream(program) << "#!/bin/sh\nprintf '*filter\\n-A OUTPUT -p vrrp -j DROP\\nCOMMIT\\n'\n";
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    const Result result = alpha().run({"env", "PATH=" + lab().folder() + ":/usr/sbin:/usr/bin:/sbin:/bin",
                                       carpctl_program(), "-s", alpha_carpd().socket(), "doctor"});
    EXPECT_THAT(result.output, AllOf(HasSubstr("FAULT carp-blocked\n  Rule 1 of OUTPUT in the table filter"),
                                     HasSubstr("`iptables-legacy -t filter -D OUTPUT 1`")));
}

TEST_F(Doctor, FindsSettingsThatSomebodyChanged) {
    start_pair(Group{});
    beta().set("net/ipv4/conf/eth0/arp_ignore", "0");
    EXPECT_THAT(find_at_beta("arp-ignore-off").codes, ElementsAre("arp-ignore-off"));
}

TEST_F(Doctor, FindsThatTheNetworkWasNotTold) {
    alpha().set("net/ipv4/igmp_max_memberships", "0");
    ASSERT_TRUE(start(alpha(), Group{}).wait_state("lan", "master"));
    EXPECT_THAT(find_at_alpha("multicast-not-joined").codes, ElementsAre("multicast-not-joined"));
}

TEST_F(Doctor, FindsThatThereIsNoGate) {
    dataplane_ = "macvlan";
    start_pair(Group{});
    alpha_carpd().write_config("dataplane = \"auto\"\n" + Group{}.text());  // what it fell back from
    EXPECT_THAT(find_at_alpha("no-gate").codes, ElementsAre("no-gate"));
}

// ---- carpd

TEST_F(Doctor, FindsAHostThatStoodStill) {
    start_pair(slow(Group{}));
    const auto sent = [&] {
        return alpha_carpd().group("lan").at("counters").at("advertisements_sent_ipv4").get<int>();
    };
    const int before = sent();
    ASSERT_TRUE(wait_until([&] { return sent() > before; }, 10s));
    const pid_t engine = alpha_carpd().engine_pid();
    kill(engine, SIGSTOP);
    std::this_thread::sleep_for(
        1900ms);  // the fault: less than its lease of 3 s, and 0.9 s more than an interval
    kill(engine, SIGCONT);
    EXPECT_THAT(find_at_alpha("late-timers").codes, ElementsAre("late-timers"));
}

TEST_F(Doctor, FindsAnEngineThatDied) {
    start_pair(Group{});
    kill(beta_carpd().engine_pid(), SIGKILL);
    ASSERT_TRUE(wait_until(
        [&] {
            try {
                return beta_carpd().status().at("restarts") == 1 && has_heard(beta_carpd());
            } catch (const std::runtime_error&) {
                return false;
            }
        },
        10s));
    EXPECT_THAT(find_at_beta("engine-restarted").codes, ElementsAre("engine-restarted"));
}

TEST_F(Doctor, FindsAFileThatIsNotWhatRuns) {
    start_pair(Group{});
    beta_carpd().write_config("dataplane = \"auto\"\n" + Group{}.with_skew(kAlmostPoorSkew).text());
    EXPECT_THAT(find_at_beta("config-not-loaded").text, HasSubstr("advskew of the group lan differ there"));
    beta_carpd().write_config("nonsense = 1\n");
    EXPECT_THAT(find_at_beta("config-invalid").text, HasSubstr("nonsense"));
}

TEST_F(Doctor, FindsAPasswordThatEverybodyCanRead) {
    start_pair(Group{});
    ASSERT_EQ(chmod(beta_carpd().config_file().c_str(), 0644), 0);
    EXPECT_THAT(find_at_beta("config-warning").codes, ElementsAre("config-warning"));
}

TEST_F(Doctor, FindsHooksAndChecksThatFail) {
    start(alpha(), Group{}.text() +
                       "[[hook]]\ncommand = [\"/bin/false\"]\n[[track]]\nname = \"flag\"\nfile = "
                       "\"/nonexistent/flag\"\ndemote = 10\n");
    ASSERT_TRUE(wait_until([&] { return alpha_carpd().status().at("hooks").at("failed") > 0; }, 10s));
    EXPECT_THAT(find_at_alpha("check-fails").codes, ElementsAre("hooks-fail", "check-fails"));
}

TEST_F(Doctor, SaysWhatItCouldNotTest) {
    start_pair(slow(Group{}));
    const Result result = alpha().run(
        {carpctl_program(), "-s", alpha_carpd().socket(), "doctor", "--config", "/nonexistent/carpd.toml"});
    EXPECT_EQ(
        result.output,
        "Not tested: the configuration (/nonexistent/carpd.toml: No such file or directory); name it with "
        "--config.\nNothing wrong was found with 1 group.\n");
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_EQ(doctor(alpha(), alpha_carpd(), {"nosuch"}).exit_code, 1);
    EXPECT_EQ(alpha_carpd().stop(), 0);
    EXPECT_EQ(alpha_doctor().exit_code, 3);
}

}  // namespace
}  // namespace carpd::lab
