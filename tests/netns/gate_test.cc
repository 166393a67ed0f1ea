// The gate: the kernel ends a mastership that nobody renews, and the virtual MAC works without a device of
// its own, whatever kind the interface is.
#include <fmt/format.h>

#include <fstream>
#include <thread>

#include "netns_test.h"

namespace carpd::lab {
namespace {

class GateTest : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (IsSkipped()) return;
        dataplane_ = "bpf";
        three_hosts();
    }
    const Group both_{.addresses = {"192.0.2.100/24", "2001:db8::100/64"}};

    // Whether the client finds the address when it must ask for it, and when it knows already.
    bool answers(const char* address) {
        client().ip(fmt::format("neigh flush to {} dev eth0", address));
        return pings(client(), address);
    }
    bool answers_known(const char* address, const MacAddress& mac) {
        client().ip(fmt::format("neigh replace {} lladdr {} dev eth0", address, mac.to_string()));
        return pings(client(), address);
    }
    // The frames that the host sent since `from` in the name of a shared address.
    static int said(Capture& capture, Time from) {
        const IpAddress vip4 = *IpAddress::parse(kVip4), vip6 = *IpAddress::parse(kVip6);
        int count = 0;
        for (const CapturedFrame& frame : capture.frames())
            count += frame.sent && frame.time > from &&
                     (frame.source() == kVirtualMac || frame.claims(vip4) || frame.claims(vip6) ||
                      frame.ip_source() == vip4 || frame.ip_source() == vip6);
        return count;
    }
    std::string filters() { return alpha().run({"tc", "filter", "show", "dev", "eth0", "ingress"}).output; }
    std::string add_others_filter() {
        alpha().run({"tc", "qdisc", "add", "dev", "eth0", "clsact"});
        alpha().run({"tc", "filter", "add", "dev", "eth0", "ingress", "prio", "7", "bpf", "bytecode",
                     "1,6 0 0 0", "flowid", "1:1"});
        return filters();
    }
    static bool has_gate(Host& host, const std::string& interface = "eth0") {
        const auto stands = [&](Direction direction, const char* name) {
            const auto programs = programs_at(host, interface, direction);
            return !programs.empty() && programs.front() == name;
        };
        return stands(Direction::ingress, "carpd_gate_in") && stands(Direction::egress, "carpd_gate_out");
    }
};

class GateLease : public GateTest, public testing::WithParamInterface<const char*> {};

// Killed with all its helpers, or just stopped by a signal: at the end of its lease the host is silent for
// the addresses that it still has, even when asked.
TEST_P(GateLease, EndsWithoutTheProcess) {
    Group group = both_;
    group.mac = GetParam();
    const MacAddress mac = group.mac == "virtual" ? kVirtualMac : alpha().mac();
    for (const int signal : {SIGSTOP, SIGKILL}) {
        Carpd& carpd = start(alpha(), group);
        ASSERT_TRUE(carpd.wait_state("lan", "master"));
        ASSERT_TRUE(answers(kVip4) && answers(kVip6));
        Capture capture(alpha(), Capture::What::everything);
        carpd.process().signal_group(signal);
        const Time lapsed = Clock::now() + lease_length(AdvBase{0}, AdvSkew{kGoodSkew}) + 1ms;
        std::this_thread::sleep_until(lapsed);
        EXPECT_THAT(alpha().run({"ip", "address"}).output, testing::HasSubstr(kVip4));
        for (const char* vip : {kVip4, kVip6}) {
            EXPECT_FALSE(answers(vip));
            EXPECT_FALSE(answers_known(vip, mac));
        }
        EXPECT_FALSE(pings(alpha(), "192.0.2.9", kVip4));
        EXPECT_FALSE(pings(alpha(), "2001:db8::9", kVip6));
        EXPECT_EQ(said(capture, lapsed), 0);
        EXPECT_TRUE(pings(client(), "192.0.2.1"));
        client().ip("neigh flush all");
        if (signal == SIGKILL) continue;
        carpd.process().signal_group(SIGCONT);
        EXPECT_TRUE(carpd.wait_state("lan", "master"));
        EXPECT_TRUE(wait_until([&] { return answers(kVip4) && answers(kVip6); }, 5s));
        EXPECT_EQ(carpd.stop(), 0);
    }
    // The next run removes all that the killed one left.
    Carpd& next = start(alpha(), Group{.name = "other", .vhid = 9, .addresses = {"192.0.2.200/24"}});
    EXPECT_THAT(next.log(), testing::HasSubstr("removed the BPF gate from eth0, left by an earlier run"));
    EXPECT_EQ(next.stop(), 0);
    EXPECT_THAT(alpha().run({"ip", "address"}).output, testing::Not(testing::HasSubstr(kVip4)));
    EXPECT_FALSE(has_gate(alpha()));
}

INSTANTIATE_TEST_SUITE_P(, GateLease, testing::Values("virtual", "interface"),
                         [](const auto& test) { return std::string(test.param) + "Mac"; });

// With the default timers: silent before the first backup may take over.
TEST_F(GateTest, LapsesWithinThreeSecondsAtAdvbase1) {
    Group group = both_;
    group.advbase = 1;
    group.advskew = 0;
    Carpd& carpd = start(alpha(), group);
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    const Probe ipv4(client(), kVip4, 5ms), ipv6(client(), kVip6, 5ms);
    ASSERT_TRUE(ipv4.wait_answer(&alpha(), 5s) && ipv6.wait_answer(&alpha(), 5s));
    Capture capture(alpha(), Capture::What::everything);
    const Time killed = Clock::now();
    carpd.kill();
    for (const Probe* probe : {&ipv4, &ipv6}) {
        EXPECT_TRUE(wait_until([&] { return probe->outage(killed - 300ms).lost > 20; }, 10s));
        Time last = killed;
        for (const Request& request : probe->requests(killed))
            if (request.by != Request::kNobody) last = std::max(last, request.answered);
        EXPECT_LT(last - killed, 3s) << "no answer later than the earliest takeover";
        EXPECT_GT(last - killed, 1700ms)
            << "but until the lease was over: the last advertisement was not older than 1 s";
    }
    EXPECT_EQ(said(capture, killed + 3s), 0);
}

TEST_F(GateTest, ClientsFindTheVirtualMac) {
    Carpd& carpd = start(alpha(), both_);
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    Capture capture(alpha(), Capture::What::everything);
    EXPECT_TRUE(answers(kVip4));
    EXPECT_TRUE(answers(kVip6));
    const std::string neighbours = client().run({"ip", "neigh"}).output;
    for (const char* vip : {kVip4, kVip6})
        EXPECT_THAT(neighbours,
                    testing::HasSubstr(fmt::format("{} dev eth0 lladdr {}", vip, kVirtualMac.to_string())));
    // Both ways: the host's own packets from the address as well.
    EXPECT_TRUE(pings(alpha(), "192.0.2.9", kVip4));
    EXPECT_TRUE(pings(alpha(), "2001:db8::9", kVip6));
    for (const CapturedFrame& frame : capture.frames()) {
        if (frame.sent && frame.ip_source() == *IpAddress::parse(kVip4)) {
            EXPECT_EQ(frame.source(), kVirtualMac);
        }
    }
    EXPECT_EQ(carpd.group("lan").at("dataplane"), "bpf");
    EXPECT_GT(carpd.group("lan").at("lease_remaining_ms").get<int>(), 0);
    EXPECT_THAT(carpd.carpctl({"status", "lan"}).output,
                testing::HasSubstr("BPF gate: the kernel enforces the lease"));
}

// The same address, checked for by duplicate address detection: it must fail there.
TEST_F(GateTest, DefendsItsAddressAgainstDuplicates) {
    Carpd& carpd = start(alpha(), both_);
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    client().set("net/ipv6/conf/eth0/accept_dad", "1");
    client().ip("address add 2001:db8::100/64 dev eth0");
    EXPECT_TRUE(wait_until(
        [&] {
            return client()
                       .run({"ip", "-6", "address", "show", "dev", "eth0", "dadfailed"})
                       .output.find(kVip6) != std::string::npos;
        },
        10s));
}

// Neighbours learn from every answer whether the host is a router; it may change any time.
TEST_F(GateTest, AnswersSayWhetherTheHostIsARouter) {
    Carpd& carpd = start(alpha(), both_);
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    const auto shown_as_router = [&] {
        return answers(kVip6) &&
               client().run({"ip", "-6", "neigh", "show", "to", kVip6}).output.find("router") !=
                   std::string::npos;
    };
    EXPECT_FALSE(shown_as_router());
    alpha().set("net/ipv6/conf/all/forwarding", "1");
    EXPECT_TRUE(wait_until(shown_as_router, 5s));
    alpha().set("net/ipv6/conf/all/forwarding", "0");
    EXPECT_TRUE(wait_until([&] { return !shown_as_router(); }, 5s));
}

TEST_F(GateTest, WorksWithStrictReversePathFilter) {
    alpha().set("net/ipv4/conf/all/rp_filter", "1");
    alpha().set("net/ipv4/conf/eth0/rp_filter", "1");
    start_pair(both_);
    EXPECT_TRUE(answers(kVip4));
    EXPECT_TRUE(answers("192.0.2.1"));
}

TEST_F(GateTest, WorksOnABridge) {
    alpha().ip(
        "link add br0 type bridge\nlink set br0 up\naddress flush dev eth0\nlink set eth0 master br0\n"
        "address add 192.0.2.1/24 dev br0\naddress add 2001:db8::1/64 dev br0 nodad\n");
    Group group = both_;
    group.interface = "br0";
    ASSERT_TRUE(start(alpha(), group).wait_state("lan", "master"));
    ASSERT_TRUE(start(beta(), both_.with_skew(kPoorSkew)).wait_state("lan", "backup"));
    EXPECT_TRUE(answers(kVip4));
    EXPECT_TRUE(answers(kVip6));
    EXPECT_TRUE(has_gate(alpha(), "br0"));

    // What beta advertises comes by the bridge's port, too, where it is nobody's business.
    EXPECT_EQ(alpha_carpd().carpctl({"state", "lan", "backup"}).exit_code, 0);
    ASSERT_TRUE(beta_carpd().wait_state("lan", "master"));
    ASSERT_TRUE(wait_until([&] { return has_heard(alpha_carpd()); }, 5s));
    EXPECT_EQ(alpha_carpd().refused("lan", "bad_interface"), 0u);
}

TEST_F(GateTest, WorksOnAVlan) {
    if (alpha()
            .run({"ip", "link", "add", "link", "eth0", "name", "lan7", "type", "vlan", "id", "7"})
            .exit_code != 0)
        GTEST_SKIP() << "this kernel has no VLANs (8021q)";
    alpha().ip("link del lan7");
    for (Host* host : {&alpha(), &beta(), &client()})
        host->ip(fmt::format(
            "link add link eth0 name lan7 type vlan id 7\nlink set lan7 up\n"
            "address add 198.51.100.{0}/24 dev lan7\naddress add 2001:db8:7::{0}/64 dev lan7 nodad\n",
            host->number() + 1));
    Group group = both_;
    group.interface = "lan7";
    group.addresses = {"198.51.100.100/24", "2001:db8:7::100/64"};
    // Another one on the untagged network, with the same virtual MAC.
    Group untagged{.name = "untagged"};
    start(alpha(), group.text() + untagged.text());
    ASSERT_TRUE(alpha_carpd().wait_state("lan", "master"));
    ASSERT_TRUE(alpha_carpd().wait_state("untagged", "master"));
    EXPECT_TRUE(wait_until([&] { return pings(client(), "198.51.100.100"); }, 5s));
    EXPECT_TRUE(pings(client(), "2001:db8:7::100"));
    EXPECT_TRUE(answers(kVip4));
    EXPECT_EQ(alpha_carpd().carpctl({"state", "lan", "backup"}).exit_code, 0);
}

// A link-local address stands on the interface itself, and what the kernel says of it by itself is corrected.
TEST_F(GateTest, SharesALinkLocalAddress) {
    Group group = both_;
    group.addresses = {"2001:db8::100/64", "fe80::100/64"};
    start_pair(group);
    Capture capture(alpha(), Capture::What::everything);
    EXPECT_TRUE(wait_until([&] { return pings(client(), "fe80::100%eth0"); }, 5s));
    client().ip("neigh flush dev eth0");
    EXPECT_TRUE(pings(client(), "fe80::100%eth0"));
    alpha().ip("neigh flush dev eth0");
    EXPECT_TRUE(pings(client(), "fe80::100%eth0"));
    EXPECT_TRUE(pings(client(), kVip6));
    EXPECT_THAT(client().run({"ip", "neigh", "show", "to", "fe80::100"}).output,
                testing::HasSubstr(kVirtualMac.to_string()));
    int from_address = 0;
    for (const CapturedFrame& frame : capture.frames()) {
        if (!frame.sent || frame.ip_source() != *IpAddress::parse("fe80::100")) continue;
        ++from_address;
        EXPECT_EQ(frame.source(), kVirtualMac);
        // Nothing in it tells the interface's own MAC.
        const auto own = alpha().mac().bytes;
        EXPECT_EQ(std::search(frame.bytes.begin(), frame.bytes.end(), own.begin(), own.end()),
                  frame.bytes.end());
    }
    EXPECT_GT(from_address, 0);
    EXPECT_THAT(decode_with_tcpdump(capture.write_pcap()),
                testing::Not(testing::HasSubstr("bad icmp6 cksum")));
}

TEST_F(GateTest, IsPutBackWhereSomebodyRemovedIt) {
    start_pair(both_);
    for (Host* host : {&alpha(), &beta()}) {
        const Carpd& carpd = host == &alpha() ? alpha_carpd() : beta_carpd();
        EXPECT_TRUE(take_gate(*host, "eth0"));
        EXPECT_TRUE(wait_until([&] { return has_gate(*host); }, 10s));
        EXPECT_TRUE(wait_until(
            [&] { return carpd.log().find("somebody else removed what it had on") != std::string::npos; },
            5s));
    }
    EXPECT_TRUE(answers(kVip4));
    EXPECT_TRUE(answers(kVip6));
    EXPECT_EQ(alpha_carpd().state("lan"), "master");
}

// Who may load it, but not see what an earlier run left, has it as filters of clsact, as on older kernels.
TEST_F(GateTest, WithoutCapSysAdminItStandsBesideOthersFilters) {
    const std::string before = add_others_filter();
    ASSERT_THAT(before, testing::HasSubstr("pref 7 bpf"));
    const std::string file = lab().folder() + "/filters.toml";
    std::ofstream(file) << fmt::format("control = \"{}/filters.sock\"\ndataplane = \"bpf\"\n{}",
                                       lab().folder(), both_.text());
    Process carpd = alpha().spawn({"setpriv", "--bounding-set=-sys_admin", carpd_program(), "-f", file});
    EXPECT_TRUE(wait_until([&] { return answers(kVip4); }, 5s)) << carpd.errors();
    EXPECT_THAT(filters(), testing::HasSubstr("carpd:"));
    EXPECT_FALSE(has_gate(alpha()));
    carpd.signal_group(SIGKILL);
    carpd.wait(5s);
    EXPECT_THAT(filters(), testing::HasSubstr("carpd:"));
    // One that may do all removes it, and stands at tcx.
    Carpd& next = start(alpha(), both_);
    ASSERT_TRUE(next.wait_state("lan", "master"));
    EXPECT_EQ(filters(), before);
    EXPECT_TRUE(has_gate(alpha()));
    EXPECT_TRUE(answers(kVip4));
}

TEST_F(GateTest, LeavesOthersFiltersAlone) {
    const std::string before = add_others_filter();
    ASSERT_THAT(before, testing::HasSubstr("pref 7 bpf"));
    Carpd& carpd = start(alpha(), both_);
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    EXPECT_EQ(filters(), before);
    carpd.kill();
    EXPECT_EQ(start(alpha(), both_).stop(), 0);
    EXPECT_EQ(filters(), before);
}

// Without the right to load it: what "bpf" refuses to start for is a warning with "auto".
TEST_F(GateTest, FallsBackToMacvlan) {
    for (const char* dataplane : {"bpf", "auto"}) {
        const std::string socket = lab().folder() + "/fallback.sock";
        const std::string file = lab().folder() + "/fallback.toml";
        std::ofstream(file) << fmt::format("control = \"{}\"\ndataplane = \"{}\"\n{}", socket, dataplane,
                                           both_.text());
        Process carpd = alpha().spawn(
            {"setpriv", "--bounding-set=-sys_admin,-bpf,-perfmon", carpd_program(), "-f", file});
        if (std::string(dataplane) == "bpf") {
            EXPECT_EQ(carpd.wait(5s), 4) << carpd.errors();
            EXPECT_THAT(carpd.errors(), testing::HasSubstr("carpd needs CAP_BPF"));
            continue;
        }
        const auto status = [&] { return ask(socket, {{"command", "status"}}).at("groups").at(0); };
        ASSERT_TRUE(wait_until([&] { return carpd.errors().find("runs 1 group") != std::string::npos; }, 5s))
            << carpd.errors();
        EXPECT_EQ(status().at("dataplane"), "macvlan");
        EXPECT_THAT(carpd.errors(), testing::HasSubstr("macvlan devices serve instead"));
        EXPECT_TRUE(wait_until([&] { return status().at("state") == "master"; }, 5s));
        EXPECT_TRUE(wait_until([&] { return answers(kVip4); }, 5s));
        carpd.signal(SIGTERM);
        EXPECT_EQ(carpd.wait(5s), 0);
    }
}

}  // namespace
}  // namespace carpd::lab
