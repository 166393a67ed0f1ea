// The address on the host: who may answer for it, from which MAC, and what stays behind.
#include <fmt/format.h>

#include "netns_test.h"

namespace carpd::lab {
namespace {

class DataPlane : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (!IsSkipped()) three_hosts();
    }
    const Group both_{.addresses = {"192.0.2.100/24", "2001:db8::100/64"}};

    // Everything in a host's network stack that carpd might leave there.
    static std::string state_of(Host& host) {
        std::string state;
        for (const std::vector<std::string>& argv : std::vector<std::vector<std::string>>{
                 {"ip", "-br", "link"},
                 {"ip", "-br", "address"},
                 {"ip", "rule"},
                 {"ip", "-6", "rule"},
                 {"ip", "route", "show", "table", "all"},
                 {"ip", "-6", "route", "show", "table", "all"},
                 {"sysctl", "net.ipv4.conf.eth0.arp_ignore", "net.ipv4.conf.eth0.arp_announce",
                  "net.ipv4.conf.eth0.rp_filter"},
                 {"tc", "qdisc", "show", "dev", "eth0"}})
            state += host.run(argv).output;
        return state;
    }
};

struct Way {
    const char *name, *mac, *dataplane;
};

class DataPlaneMac : public DataPlane, public testing::WithParamInterface<Way> {
 protected:
    void SetUp() override {
        DataPlane::SetUp();
        dataplane_ = GetParam().dataplane;
    }
    Group group() const {
        Group result = both_;
        result.mac = GetParam().mac;
        return result;
    }
    bool is_virtual() const { return std::string(GetParam().mac) == "virtual"; }
};

// What the MASTER says of the address, and sends from it, bears the group's MAC.
TEST_P(DataPlaneMac, MasterSpeaksFromItsMac) {
    Capture capture(alpha(), Capture::What::everything);
    Carpd& carpd = start(alpha(), group());
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    EXPECT_TRUE(pings(client(), kVip4));
    EXPECT_TRUE(pings(client(), kVip6));
    const Probe ipv4(client(), kVip4, 5ms), ipv6(client(), kVip6, 5ms);
    EXPECT_TRUE(ipv4.wait_answer(&alpha(), 5s));
    EXPECT_TRUE(ipv6.wait_answer(&alpha(), 5s));

    const MacAddress expected = is_virtual() ? kVirtualMac : alpha().mac();
    const IpAddress vip4 = *IpAddress::parse(kVip4), vip6 = *IpAddress::parse(kVip6);
    int from_address = 0, claims4 = 0, claims6 = 0;
    for (const CapturedFrame& frame : capture.frames()) {
        if (!frame.sent) continue;
        const bool from = frame.ip_source() == vip4 || frame.ip_source() == vip6;
        claims4 += frame.claims(vip4);
        claims6 += frame.claims(vip6);
        from_address += from;
        if (from || frame.claims(vip4) || frame.claims(vip6)) {
            EXPECT_EQ(frame.source(), expected);
        }
    }
    EXPECT_GT(from_address, 4);
    EXPECT_GE(claims4, 2);
    EXPECT_GE(claims6, 1);
    client().ip("neigh flush all");
    pings(client(), kVip4);
    pings(client(), kVip6);
    const std::string neighbours = client().run({"ip", "neigh", "show"}).output;
    for (const char* vip : {kVip4, kVip6})
        EXPECT_THAT(neighbours,
                    testing::HasSubstr(fmt::format("{} dev eth0 lladdr {}", vip, expected.to_string())));
}

// The takeover is announced at once: both forms of gratuitous ARP, and a neighbour advertisement.
TEST_P(DataPlaneMac, TakeoverIsAnnounced) {
    start_pair(group());
    Capture capture(beta());
    const Time cut = Clock::now();
    alpha().power_off();
    ASSERT_TRUE(beta_carpd().wait_state("lan", "master"));
    const MacAddress expected = is_virtual() ? kVirtualMac : beta().mac();
    const auto announced = [&](std::uint16_t operation) {
        for (const CapturedFrame& frame : capture.frames())
            if (frame.sent && frame.time > cut && frame.claims_by_arp(*IpAddress::parse(kVip4)) &&
                read_u16(frame.payload(), 6) == operation && frame.source() == expected)
                return true;
        return false;
    };
    EXPECT_TRUE(wait_until([&] { return announced(1); }, 5s));
    EXPECT_TRUE(wait_until([&] { return announced(2); }, 5s));
    const auto advertised = [&] {
        for (const CapturedFrame& frame : capture.frames())
            if (frame.sent && frame.claims_by_neighbor_advertisement(*IpAddress::parse(kVip6)) &&
                frame.source() == expected)
                return true;
        return false;
    };
    EXPECT_TRUE(wait_until(advertised, 5s));
}

// A BACKUP answers neither ARP, nor neighbour solicitations, nor packets that reach it, and sends no frame
// from the virtual MAC.
TEST_P(DataPlaneMac, BackupIsSilent) {
    Capture capture(beta(), Capture::What::everything);
    start_pair(group());
    client().ip("neigh flush all");
    EXPECT_TRUE(pings(client(), kVip4));
    EXPECT_TRUE(pings(client(), kVip6));
    for (const char* vip : {kVip4, kVip6})
        client().ip(fmt::format("neigh replace {} lladdr {} dev eth0", vip, beta().mac().to_string()));
    EXPECT_FALSE(pings(client(), kVip4));
    EXPECT_FALSE(pings(client(), kVip6));
    for (const CapturedFrame& frame : capture.frames()) {
        if (!frame.sent) continue;
        EXPECT_NE(frame.source(), kVirtualMac);
        EXPECT_FALSE(frame.claims(*IpAddress::parse(kVip4)) || frame.claims(*IpAddress::parse(kVip6)));
        EXPECT_FALSE(frame.is_advertisement());
    }
    EXPECT_EQ(beta_carpd().state("lan"), "backup");
}

// A BACKUP's own programs reach the master under the address, not themselves.
TEST_P(DataPlaneMac, BackupReachesTheMasterUnderTheAddress) {
    start_pair(group());
    EXPECT_TRUE(pings(beta(), kVip4));
    EXPECT_TRUE(pings(beta(), kVip6));
    const Probe probe(beta(), kVip4, 5ms);
    EXPECT_TRUE(probe.wait_answer(&alpha(), 5s));
}

TEST_P(DataPlaneMac, OrderlyStopLeavesNothing) {
    const std::string before = state_of(alpha());
    Carpd& carpd = start(alpha(), group());
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    EXPECT_NE(state_of(alpha()), before);
    EXPECT_EQ(carpd.stop(), 0);
    EXPECT_EQ(state_of(alpha()), before);
}

// A killed run's address stays; the next run removes all of it at its start, whatever it is configured for.
TEST_P(DataPlaneMac, LeftoversOfAKilledRunAreRemoved) {
    const std::string before = state_of(alpha());
    Carpd& first = start(alpha(), group());
    ASSERT_TRUE(first.wait_state("lan", "master"));
    first.kill();
    ASSERT_THAT(alpha().run({"ip", "address"}).output, testing::HasSubstr(kVip4));
    Group other{.name = "other", .vhid = 9, .addresses = {"192.0.2.200/24"}};
    Carpd& second = start(alpha(), other.with_skew(250));  // BACKUP for 2.9 s
    const std::string after = alpha().run({"ip", "address"}).output;
    EXPECT_THAT(after, testing::Not(testing::HasSubstr(kVip4)));
    EXPECT_THAT(after, testing::Not(testing::HasSubstr(kVip6)));
    EXPECT_FALSE(pings(client(), kVip4));
    EXPECT_EQ(second.stop(), 0);
    EXPECT_EQ(state_of(alpha()), before);
}

INSTANTIATE_TEST_SUITE_P(, DataPlaneMac,
                         testing::Values(Way{"VirtualMac", "virtual", "bpf"},
                                         Way{"InterfaceMac", "interface", "bpf"},
                                         Way{"Macvlan", "virtual", "macvlan"}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_F(DataPlane, AnInterfaceThatVanishesAndReturnsIsPickedUp) {
    start_pair(both_.with_skew(kAlmostPoorSkew));
    alpha().detach("eth0");
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "init"));
    EXPECT_TRUE(
        wait_until([&] { return alpha_carpd().group("lan").at("cause") == "interface_missing"; }, 5s));
    EXPECT_TRUE(beta_carpd().wait_state("lan", "master"));
    alpha().attach("eth0", 0, {"192.0.2.1/24", "2001:db8::1/64"});
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "backup"));
    EXPECT_TRUE(wait_until([&] { return has_heard(alpha_carpd(), "lan", kPoorSkew); }, 5s));
    beta().power_off();
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "master"));
    const Probe ipv4(client(), kVip4, 5ms), ipv6(client(), kVip6, 5ms);
    EXPECT_TRUE(ipv4.wait_answer(&alpha(), 5s));
    EXPECT_TRUE(ipv6.wait_answer(&alpha(), 5s));
}

TEST_F(DataPlane, AGroupWaitsInInitForItsInterface) {
    Carpd& carpd = start(alpha(), Group{.interface = "eth7"});
    EXPECT_EQ(carpd.state("lan"), "init");
    EXPECT_EQ(carpd.group("lan").at("cause"), "interface_missing");
    EXPECT_THAT(carpd.log(), testing::HasSubstr("eth7"));
    alpha().attach("eth7", 1, {"198.51.100.1/24"});
    EXPECT_TRUE(carpd.wait_state("lan", "master"));
}

// Addresses are added on one host, then on the other. In between neither understands the other, as with every
// CARP; but nobody leaves MASTER because of its own change, and it heals by itself.
TEST_F(DataPlane, AnAddressIsAddedOnOneHostAfterTheOther) {
    start_pair(both_);
    Group longer = both_;
    longer.addresses.push_back("192.0.2.101/24");
    const std::uint64_t changes = alpha_carpd().transitions("lan");
    const Probe probe(client(), "192.0.2.101", 5ms);
    alpha_carpd().reload(longer.text());
    EXPECT_TRUE(probe.wait_answer(&alpha(), 5s));
    EXPECT_TRUE(wait_until([&] { return beta_carpd().refused("lan", "bad_digest") > 0; }, 5s));
    beta_carpd().reload(longer.with_skew(kPoorSkew).text());
    EXPECT_TRUE(wait_until(
        [&] { return alpha_carpd().state("lan") == "master" && beta_carpd().state("lan") == "backup"; },
        10s));
    EXPECT_EQ(alpha_carpd().transitions("lan"), changes);
    EXPECT_TRUE(probe.wait_answer(&alpha(), 5s));
}

// Somebody takes the address off the host by hand.
TEST_F(DataPlane, AnAddressRemovedByHandComesBack) {
    Carpd& carpd = start(alpha(), Group{});
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    const std::string shown = alpha().run({"ip", "-4", "-o", "address", "show", "to", kVip4}).output;
    ASSERT_THAT(shown, testing::HasSubstr(kVip4));
    const std::string device = shown.substr(3, shown.find(' ', 3) - 3);
    const std::string bare = device.substr(0, device.find('@'));
    alpha().run({"ip", "address", "flush", "dev", bare, "to", kVip4});
    EXPECT_TRUE(wait_until([&] { return pings(client(), kVip4); }, 5s));
    EXPECT_EQ(carpd.state("lan"), "master");
}

// An independent decoder finds every advertisement well-formed and its checksum right; and finds one that
// isn't.
TEST_F(DataPlane, TcpdumpVerifiesTheAdvertisements) {
    Capture capture(alpha());
    Carpd& carpd = start(alpha(), both_);
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    EXPECT_EQ(carpd.stop(), 0);  // a bow-out, too
    const std::string text = decode_with_tcpdump(capture.write_pcap());
    EXPECT_THAT(text, testing::HasSubstr(fmt::format(
                          "CARPv2-advertise 36: vhid=1 advbase=0 advskew={} authlen=7", kGoodSkew)));
    EXPECT_THAT(text, testing::HasSubstr("CARPv2-advertise 36: vhid=1 advbase=255 advskew=255 authlen=7"));
    EXPECT_THAT(text, testing::HasSubstr("192.0.2.1 > 224.0.0.18"));
    EXPECT_THAT(text, testing::HasSubstr("> ff02::12"));
    EXPECT_THAT(text, testing::HasSubstr("ttl 255"));
    EXPECT_THAT(text, testing::HasSubstr("hlim 255"));
    EXPECT_THAT(text, testing::Not(testing::HasSubstr("bad carp cksum")));
    EXPECT_THAT(text, testing::Not(testing::HasSubstr("bad cksum")));

    Capture other(client());
    auto packet = Forgery{}.packet();
    packet.back() ^= 1;
    Injector(client()).packet(packet);
    EXPECT_THAT(decode_with_tcpdump(other.write_pcap()), testing::HasSubstr("bad carp cksum"));
}

}  // namespace
}  // namespace carpd::lab
