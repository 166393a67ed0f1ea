// Hosts whose [sync] lists no peers find each other.
#include <fmt/format.h>

#include <set>

#include "netns_test.h"

namespace carpd::lab {
namespace {

class SyncFinding : public NetnsTest {
 protected:
    using Addresses = std::set<std::string>;

    void SetUp() override {
        NetnsTest::SetUp();
        if (IsSkipped()) return;
        three_hosts();
        for (Host* host : {&alpha(), &beta(), &client()}) {
            attach(*host, address(*host));
            track_connections(*host);
        }
    }
    static std::string address(const Host& host) { return fmt::format("fe80::{}", host.number() + 1); }
    // With a link-local address and no other, which it has at once.
    static void attach(Host& host, const std::string& address) {
        host.attach("sync0", 1, {});
        ASSERT_EQ(host.run({"ip", "-6", "addr", "flush", "dev", "sync0"}).exit_code, 0);
        ASSERT_EQ(host.run({"ip", "addr", "add", address + "/64", "dev", "sync0", "nodad"}).exit_code, 0);
    }

    static std::string section(const Host& host, const std::string& key = kKey,
                               const std::string& name = {}) {
        return fmt::format("[sync]\nname = \"{}\"\ninterface = \"sync0\"\nkey-hex = \"{}\"\n",
                           name.empty() ? host.name() : name, key);
    }
    Carpd& start_on(Host& host, int skew, const std::string& key = kKey) {
        return start(host, section(host, key) + group_.with_skew(skew).text());
    }
    // alpha MASTER, and two backups.
    void start_three() {
        start_on(alpha(), kGoodSkew);
        ASSERT_TRUE(alpha_carpd().wait_state("lan", "master"));
        start_on(beta(), kPoorSkew);
        start_on(client(), kPoorSkew + 20);
    }

    static nlohmann::json sync(const Carpd& carpd) {
        try {
            return ask(carpd.socket() + ".sync", {{"command", "status"}});
        } catch (const std::exception&) {
            return {{"peers", nlohmann::json::array()}, {"finding", {{"refused", nullptr}}}};
        }
    }
    static Addresses peers(const Carpd& carpd, bool up) {
        Addresses addresses;
        const auto status = sync(carpd);
        for (const auto& peer : status["peers"])
            if (peer.at("up") == up) addresses.insert(peer.at("address"));
        return addresses;
    }
    static testing::AssertionResult wait_up(const Carpd& carpd, const Addresses& addresses) {
        if (wait_until([&] { return peers(carpd, true) == addresses; }, 10s))
            return testing::AssertionSuccess();
        return testing::AssertionFailure() << sync(carpd)["peers"].dump() << "\n" << carpd.log();
    }
    static void begin_flow(Host& host, int port) {
        EXPECT_EQ(host.run({"conntrack", "-I", "-p", "tcp", "-s", "203.0.113.1", "-d", "198.51.100.7",
                            "--sport", std::to_string(port), "--dport", "443", "--state", "ESTABLISHED", "-u",
                            "ASSURED,SEEN_REPLY", "-t", "100"})
                      .exit_code,
                  0);
    }
    static bool wait_flows(Host& host, int count) {
        return wait_until(
            [&] {
                return count_in(host.run({"conntrack", "-L"}).output, "src=203.0.113.1") == count;
            },
            10s);
    }

    Group group_;
};

TEST_F(SyncFinding, ThreeHostsFindEachOther) {
    start_three();
    Carpd &a = alpha_carpd(), &b = beta_carpd();
    EXPECT_TRUE(wait_up(a, {address(beta()), address(client())}));
    EXPECT_TRUE(wait_up(b, {address(alpha()), address(client())}));
    begin_flow(alpha(), 1);
    EXPECT_TRUE(wait_flows(beta(), 1));
    EXPECT_TRUE(wait_flows(client(), 1));
    const std::string status = b.carpctl({"sync", "status"}).output;
    EXPECT_THAT(status, testing::HasSubstr("found by multicast: ff12::ca:3781 on sync0, UDP port 3781"));
    EXPECT_THAT(status, testing::HasSubstr(address(client())));

    client().power_off();
    EXPECT_TRUE(wait_up(a, {address(beta())}));
    EXPECT_EQ(peers(a, false), Addresses{address(client())}) << "it is remembered";
}

TEST_F(SyncFinding, AHostThatStartsAnewIsFoundAnew) {
    start_three();
    Carpd& a = alpha_carpd();
    EXPECT_TRUE(wait_up(a, {address(beta()), address(client())}));
    begin_flow(alpha(), 1);
    ASSERT_TRUE(wait_flows(beta(), 1));
    const pid_t before = sync(beta_carpd())["pid"];
    kill(before, SIGKILL);
    EXPECT_TRUE(wait_until([&] { return sync(beta_carpd()).value("pid", before) != before; }, 10s));
    EXPECT_TRUE(wait_up(beta_carpd(), {address(alpha()), address(client())}));
    EXPECT_TRUE(wait_up(a, {address(beta()), address(client())}));
    EXPECT_EQ(sync(a)["peers"].size(), 2u);
    EXPECT_TRUE(wait_until(
        [&] {
            return count_in(beta_carpd().carpctl({"sync", "flows"}).output, "203.0.113.1:") == 1;
        },
        10s))
        << "it is told again, whoever is MASTER by now";
}

// With another address: as a machine whose card was changed.
TEST_F(SyncFinding, AnInterfaceThatGoesAndComesIsLookedOnAgain) {
    start_three();
    Carpd &a = alpha_carpd(), &b = beta_carpd();
    EXPECT_TRUE(wait_up(a, {address(beta()), address(client())}));
    beta().detach("sync0");
    EXPECT_TRUE(wait_up(a, {address(client())}));
    attach(beta(), "fe80::77");
    EXPECT_TRUE(wait_up(b, {address(alpha()), address(client())}));
    EXPECT_TRUE(wait_up(a, {"fe80::77", address(client())}));
    EXPECT_EQ(sync(a)["peers"].size(), 2u) << "it has its old place";
}

TEST_F(SyncFinding, AnotherKeyAndTheSameNameAreRefusedByName) {
    start_on(alpha(), kGoodSkew);
    Carpd& a = alpha_carpd();
    ASSERT_TRUE(a.wait_state("lan", "master"));
    EXPECT_THAT(a.carpctl({"sync", "status"}).output,
                testing::HasSubstr("no peer is found yet: hellos go to "));
    Carpd& b = start_on(beta(), kPoorSkew, kOtherKey);
    const auto why = [](const Carpd& carpd) {
        const auto refused = sync(carpd)["finding"]["refused"];
        return refused.is_null() ? ""
                                 : fmt::format("{} {}", refused["address"].get<std::string>(),
                                               refused["why"].get<std::string>());
    };
    const auto wait_why = [&](const Carpd& carpd, const std::string& part) {
        return wait_until([&] { return why(carpd).find(part) != std::string::npos; }, 10s);
    };
    EXPECT_TRUE(wait_why(a, address(beta()) + " its datagrams are sealed with another key")) << why(a);
    EXPECT_TRUE(wait_why(b, address(alpha()) + " its datagrams are sealed with another key")) << why(b);
    EXPECT_GT(sync(a)["finding"]["counters"]["dropped"]["bad_seal"], 0);
    EXPECT_EQ(count_in(a.log(), "fe80::2 can't become a peer"), 1) << a.log();
    EXPECT_THAT(a.carpctl({"sync", "status"}).output, testing::HasSubstr("fe80::2 can't become a peer"));
    b.apply(section(beta(), kKey, alpha().name()) + group_.with_skew(kPoorSkew).text());
    EXPECT_TRUE(wait_why(a, "it is called 'alpha', as this host is")) << why(a);
    EXPECT_EQ(sync(a)["peers"].size(), 0u);
    b.apply(section(beta()) + group_.with_skew(kPoorSkew).text());
    EXPECT_TRUE(wait_up(a, {address(beta())}));
}

TEST_F(SyncFinding, WithoutIpv6ThereIsAnErrorThatSaysWhatToDo) {
    ASSERT_EQ(alpha().run({"sysctl", "-w", "net.ipv6.conf.sync0.disable_ipv6=1"}).exit_code, 0);
    start_on(beta(), kPoorSkew);
    Carpd& a = start_on(alpha(), kGoodSkew);
    EXPECT_TRUE(wait_until([&] { return count_in(a.log(), "can't look for peers on sync0") == 1; }, 10s))
        << a.log();
    EXPECT_THAT(a.log(), testing::HasSubstr("without IPv6, list the peers in [sync]"));
    EXPECT_THAT(a.carpctl({"sync", "status"}).output, testing::HasSubstr("nobody can be looked for: "));
    ASSERT_EQ(alpha().run({"sysctl", "-w", "net.ipv6.conf.sync0.disable_ipv6=0"}).exit_code, 0);
    ASSERT_EQ(
        alpha().run({"ip", "addr", "replace", address(alpha()) + "/64", "dev", "sync0", "nodad"}).exit_code,
        0);
    EXPECT_TRUE(wait_until([&] { return peers(a, true) == Addresses{address(beta())}; }, 10s)) << a.log();
    EXPECT_EQ(sync(a)["finding"]["send_error"], nullptr);
}

TEST_F(SyncFinding, WhoHasConfiguredPeersIsNotFound) {
    start_on(alpha(), kGoodSkew);
    Carpd& b =
        start(beta(), section(beta()) + "peers = [\"10.9.0.9\"]\n" + group_.with_skew(kPoorSkew).text());
    Carpd& c = start_on(client(), kPoorSkew + 20);
    EXPECT_TRUE(wait_up(c, {address(alpha())}));
    EXPECT_EQ(sync(b)["finding"], nullptr);
    EXPECT_EQ(sync(b)["peers"].size(), 1u);
}

}  // namespace
}  // namespace carpd::lab
