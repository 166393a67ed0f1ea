// Every kind of packet that must be refused is counted under its name, and changes nothing.
#include <fmt/format.h>

#include <fstream>
#include <functional>
#include <random>

#include "netns_test.h"
#include "wire/checksum.h"

namespace carpd::lab {
namespace {

using Packet = std::vector<std::uint8_t>;

// Authentic, but from a host nobody configured; every refusal below is one change away from it. It is worse
// than the master, so that it would be heard without consequence.
Forgery authentic() {
    return {.vhid = 1, .addresses = {kVip4, kVip6}, .password = "s3cret", .advbase = 1, .advskew = 200};
}

constexpr std::size_t kHeader = 20;  // of an IPv4 packet without options

// Changes a byte of the advertisement and makes its checksum right again.
Packet with_advertisement_byte(std::size_t offset, std::uint8_t value) {
    Packet packet = authentic().packet();
    packet[kHeader + offset] = value;
    fix_advertisement_checksum(std::span(packet).subspan(kHeader));
    return packet;
}

Packet with_header_byte(std::size_t offset, std::uint8_t value) {
    Packet packet = authentic().packet();
    packet[offset] = value;
    fix_ip_checksum(packet);
    return packet;
}

// A VRRP advertisement of `version` with `count` addresses.
Packet vrrp(std::uint8_t version, std::uint8_t count) {
    Packet body = {static_cast<std::uint8_t>(version << 4 | 1), 1, 100, count, 0, 1, 0, 0};
    body.resize(8 + count * 4u + (version == 2 ? 8 : 0));
    ByteWriter(std::span(body).subspan(6)).u16(checksum(body));
    return authentic().packet(body);
}

struct Refusal {
    const char* reason;
    const char* name;
    std::function<Packet()> packet;
};

const Refusal kRefusals[] = {
    {"bad_ip_header", "WrongHeaderChecksum",
     [] {
         auto p = authentic().packet();
         p[10] ^= 1;
         return p;
     }},
    {"bad_ip_header", "HeaderBeyondTheEnd", [] { return with_header_byte(0, 0x4f); }},
    {"bad_ip_header", "TotalLengthBeyondTheEnd", [] { return with_header_byte(3, 200); }},
    {"bad_destination", "OtherGroup",
     [] {
         auto f = authentic();
         f.destination = "224.0.0.19";
         return f.packet();
     }},
    {"bad_ttl", "PassedARouter", [] { return with_header_byte(8, 254); }},
    {"vrrp2", "Vrrp2", [] { return vrrp(2, 1); }},
    {"vrrp2", "Vrrp2OfFiveAddresses", [] { return vrrp(2, 5); }},
    {"vrrp2", "Vrrp2OfSevenAddresses", [] { return vrrp(2, 7); }},
    {"vrrp3", "Vrrp3", [] { return vrrp(3, 1); }},
    {"bad_length", "ShortByOne",
     [] {
         const auto a = authentic().advertisement();
         return authentic().packet(Bytes(a).first(35));
     }},
    {"bad_length", "Empty", [] { return authentic().packet(Bytes()); }},
    {"bad_version", "Version1", [] { return with_advertisement_byte(0, 0x11); }},
    {"bad_checksum", "WrongChecksum",
     [] {
         auto p = authentic().packet();
         p[kHeader + 6] ^= 1;
         return p;
     }},
    {"bad_type", "Type2", [] { return with_advertisement_byte(0, 0x22); }},
    {"bad_authlen", "Authlen0", [] { return with_advertisement_byte(3, 0); }},
    {"bad_vhid", "OtherVhid", [] { return with_advertisement_byte(1, 2); }},
    {"bad_vhid", "Vhid0", [] { return with_advertisement_byte(1, 0); }},
    {"bad_digest", "WrongPassword",
     [] {
         auto f = authentic();
         f.password = "guess";
         return f.packet();
     }},
    {"bad_digest", "OtherAddressList",
     [] {
         auto f = authentic();
         f.addresses = {kVip4};
         return f.packet();
     }},
    {"bad_digest", "ChangedCounter", [] { return with_advertisement_byte(15, 0); }},
};

class Refused : public NetnsTest, public testing::WithParamInterface<Refusal> {};

TEST_P(Refused, IsCountedUnderItsNameAndChangesNothing) {
    three_hosts();
    Carpd& carpd = start(alpha(), Group{.addresses = {"192.0.2.100/24", "2001:db8::100/64"}});
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    const std::uint64_t changes = carpd.transitions("lan");
    const std::string reason = GetParam().reason;
    const auto before = carpd.refused("lan", reason);
    Injector(client()).packet(GetParam().packet());
    EXPECT_TRUE(wait_until([&] { return carpd.refused("lan", reason) == before + 1; }, 5s))
        << carpd.status().dump(1);
    EXPECT_EQ(carpd.group("lan").at("counters").at("advertisements_received_ipv4"), 0);
    EXPECT_EQ(carpd.state("lan"), "master");
    EXPECT_EQ(carpd.transitions("lan"), changes);
}

INSTANTIATE_TEST_SUITE_P(, Refused, testing::ValuesIn(kRefusals),
                         [](const auto& test) { return std::string(test.param.name); });

class Refusals : public NetnsTest {};

// The packet all refusals are made from is accepted.
TEST_F(Refusals, TheAuthenticOneIsNot) {
    three_hosts();
    Carpd& carpd = start(alpha(), Group{.addresses = {"192.0.2.100/24", "2001:db8::100/64"}});
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    Injector injector(client());
    injector.packet(authentic().packet());
    Forgery ipv6 = authentic();
    ipv6.source = "fe80::77";
    injector.packet(ipv6.packet());
    const auto accepted = [&](const char* counter) {
        return carpd.group("lan").at("counters").at(counter) == 1;
    };
    EXPECT_TRUE(wait_until([&] { return accepted("advertisements_received_ipv4"); }, 5s))
        << carpd.status().dump(1);
    EXPECT_TRUE(wait_until([&] { return accepted("advertisements_received_ipv6"); }, 5s))
        << carpd.status().dump(1);
}

TEST_F(Refusals, BadInterface) {
    three_hosts();
    alpha().attach("eth1", 1, {"198.51.100.1/24"});
    Host& stranger = lab().add_host("stranger");
    stranger.attach("eth0", 1, {"198.51.100.2/24"});
    Carpd& carpd = start(alpha(), Group{});
    // Nobody there asks the card for CARP's group, so it comes as a broadcast.
    Forgery forgery = authentic();
    forgery.destination = "255.255.255.255";
    Injector(stranger).packet(forgery.packet());
    EXPECT_TRUE(wait_until([&] { return carpd.refused("lan", "bad_interface") == 1; }, 5s))
        << carpd.status().dump(1);
}

TEST_F(Refusals, BadFamily) {
    three_hosts();
    Carpd& carpd = start(alpha(), Group{});  // IPv4 only
    Forgery ipv6{.addresses = {kVip4}, .password = "s3cret", .source = "fe80::77"};
    Injector(client()).packet(ipv6.packet());
    EXPECT_TRUE(wait_until([&] { return carpd.refused("lan", "bad_family") == 1; }, 5s))
        << carpd.status().dump(1);
}

TEST_F(Refusals, UnknownPeer) {
    three_hosts();
    Carpd& carpd = start(alpha(), Group{.peers = {"192.0.2.2"}});
    Forgery forgery = authentic();
    forgery.destination = "192.0.2.1";
    Injector(client()).packet(forgery.packet());
    EXPECT_TRUE(wait_until([&] { return carpd.refused("lan", "unknown_peer") == 1; }, 5s))
        << carpd.status().dump(1);
}

// An advertisement of ours that comes back, looped or replayed; both copies.
TEST_F(Refusals, OwnAdvert) {
    three_hosts();
    Capture capture(alpha());
    Carpd& carpd = start(alpha(), Group{.addresses = {"192.0.2.100/24", "2001:db8::100/64"}});
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    ASSERT_TRUE(wait_until([&] { return capture.sent(&CapturedFrame::is_advertisement).size() >= 2; }, 5s));
    const auto own = capture.sent(&CapturedFrame::is_advertisement);
    Injector injector(client());
    for (int i : {0, 1}) {
        // From another MAC, or the switch would turn the virtual one away from alpha.
        injector.packet(own[static_cast<std::size_t>(i)].payload());
        EXPECT_TRUE(wait_until(
            [&] { return carpd.refused("lan", "own_advert") == static_cast<unsigned>(i + 1); }, 5s));
    }
    EXPECT_EQ(carpd.state("lan"), "master");
}

// Padding to Ethernet's minimum and bytes behind the 36th are no reason to refuse.
TEST_F(Refusals, TrailingBytesAreNot) {
    three_hosts();
    Carpd& carpd = start(alpha(), Group{.addresses = {"192.0.2.100/24", "2001:db8::100/64"}});
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    const AdvertisementBytes advertisement = authentic().advertisement();
    Packet longer(advertisement.begin(), advertisement.end());
    longer.resize(50, 0xaa);
    Injector(client()).packet(authentic().packet(longer));
    const auto accepted = [&] {
        return carpd.group("lan").at("counters").at("advertisements_received_ipv4") == 1;
    };
    EXPECT_TRUE(wait_until(accepted, 5s)) << carpd.status().dump(1);
}

// keepalived speaks VRRP under the same protocol number; here even with our vhid as its router id.
TEST_F(Refusals, KeepalivedIsOnlyNoise) {
    if (run({{"sh", "-c", "command -v keepalived"}}).exit_code != 0)
        GTEST_SKIP() << "keepalived is not installed";
    three_hosts();
    start_pair(Group{});
    const std::uint64_t changes = alpha_carpd().transitions("lan") + beta_carpd().transitions("lan");
    const std::string folder = lab().folder();
    for (const std::string version : {"2", "3"}) {
        const std::string config = folder + "/keepalived" + version;
        std::ofstream(config)
            << "global_defs {\n vrrp_version " << version << "\n}\n"
            << "vrrp_instance noise {\n interface eth0\n state MASTER\n virtual_router_id 1\n"
            << " priority 255\n advert_int 1\n virtual_ipaddress {\n  192.0.2.201/24\n }\n}\n";
        const Process keepalived =
            client().spawn({"keepalived", "--dont-fork", "--log-console", "--vrrp", "-f", config, "-p",
                            config + ".pid", "-r", config + ".vrrp.pid"});
        const std::string reason = "vrrp" + version;
        EXPECT_TRUE(wait_until([&] { return beta_carpd().refused("lan", reason) > 0; }, 15s))
            << keepalived.output() << keepalived.errors();
        client().space().kill_all();
    }
    EXPECT_EQ(alpha_carpd().transitions("lan") + beta_carpd().transitions("lan"), changes);
}

// Two seconds of garbage as fast as a host can send it: the master stays, the backup hears it through, and
// the log stays short.
TEST_F(Refusals, AFloodOfGarbageDoesNotEndMastership) {
    three_hosts();
    start_pair(Group{.addresses = {"192.0.2.100/24", "2001:db8::100/64"}}, 150);
    const std::uint64_t changes = alpha_carpd().transitions("lan") + beta_carpd().transitions("lan");
    const Probe probe(client(), kVip4, 5ms);
    ASSERT_TRUE(probe.wait_answer(&alpha(), 5s));
    Forgery stranger = authentic();
    stranger.password = "guess";  // with the right one, a changed advskew would be an authentic better master
    Injector injector(client());
    std::mt19937 random(1);
    std::uint64_t sent = 0;
    for (const Time until = Clock::now() + 2s; Clock::now() < until;) {
        Packet packet = stranger.packet();
        for (int i = 0; i < 3; ++i) packet[kHeader + random() % 36] = static_cast<std::uint8_t>(random());
        if (sent % 4 != 0) fix_advertisement_checksum(std::span(packet).subspan(kHeader));
        for (int i = 0; i < 20; ++i, ++sent) injector.packet(packet);
    }
    EXPECT_EQ(alpha_carpd().state("lan"), "master");
    EXPECT_EQ(beta_carpd().state("lan"), "backup");
    EXPECT_EQ(alpha_carpd().transitions("lan") + beta_carpd().transitions("lan"), changes);
    EXPECT_TRUE(probe.wait_answer(&alpha(), 5s));
    const std::string log = alpha_carpd().log();
    EXPECT_LT(std::count(log.begin(), log.end(), '\n'), 100) << log.substr(0, 4000);
    fmt::print("{} packets\n", sent);
}

}  // namespace
}  // namespace carpd::lab
