// Captures as a host's text, each made of what peers would send.
#include "carpctl/decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "carp/authenticator.h"
#include "wire/checksum.h"
#include "wire/ip_packet.h"

namespace carpd {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using Json = nlohmann::ordered_json;
using Packet = std::vector<std::uint8_t>;

constexpr std::int64_t kMillisecond = 1'000'000;
// 2026-11-27 12:00:00
constexpr std::int64_t kNoon = 1'795'780'800'000 * kMillisecond;

IpAddress ip(const std::string& text) {
    return IpAddress::parse(text).value();
}

GroupConfig group_of(const std::string& name, std::uint8_t vhid, const std::vector<const char*>& addresses,
                     std::uint8_t advskew = 100) {
    GroupConfig group;
    group.name = name;
    group.interface = "eth0";
    group.vhid = Vhid{vhid};
    group.advskew = AdvSkew{advskew};
    group.key = {'s', '3', 'c', 'r', 'e', 't'};
    for (const char* text : addresses) group.addresses.push_back({ip(text), 24});
    return group;
}

class DecodeTest : public testing::Test {
 protected:
    DecodeTest() {
        setenv("TZ", "UTC", 1);
        tzset();
        add(CaptureBlock::section());
        add(CaptureBlock::interface("eth0", LinkType::raw));
        add(CaptureBlock::interface("eth9", LinkType::raw));
    }

    // What a host that is configured as `as` says.
    Packet advertisement(const std::string& from, const GroupConfig& as) {
        Advertisement a;
        a.vhid = as.vhid.value;
        a.advbase = as.advbase.seconds;
        a.advskew = as.advskew.value;
        a.counter = ++counter_;
        a.digest = Authenticator(as.key, as.vhid, as.addresses).sign(a.counter);
        return packet(from, a);
    }
    Packet bow_out(const std::string& from, GroupConfig as) {
        as.advbase = AdvBase{255};
        as.advskew = AdvSkew{255};
        return advertisement(from, as);
    }
    static Packet packet(const std::string& from, const Advertisement& a) {
        const IpAddress source = ip(from);
        const AdvertisementPacket p(source, carp_multicast_group(source.family()), encode(a));
        return {p.bytes().begin(), p.bytes().end()};
    }

    void add(const CaptureBlock& block) {
        file_.insert(file_.end(), block.bytes().begin(), block.bytes().end());
    }
    // `at`: milliseconds after noon.
    void frame(std::int64_t at, const Packet& packet, FrameDirection direction = FrameDirection::in,
               std::uint32_t interface = 0) {
        add(CaptureBlock::packet(interface, kNoon + at * kMillisecond, direction, packet));
    }
    // A packet every second, from the second `first` up to `last`.
    void every_second(int first, int last, const std::string& from, const GroupConfig& as,
                      FrameDirection direction = FrameDirection::in) {
        for (int second = first; second <= last; ++second)
            frame(second * 1000, advertisement(from, as), direction);
    }

    std::vector<Json> decode(const DecodeOptions& options = {}) {
        std::vector<Json> all;
        Decoder decoder(share(groups_), options, [&](const Json& json) { all.push_back(json); });
        fault_ = decoder.decode(file_);
        return all;
    }
    std::vector<std::string> text(bool explains = false, const DecodeOptions& options = {}) {
        DecodeText lines(explains);
        std::vector<std::string> all;
        for (const Json& json : decode(options)) all.push_back(lines.line(json));
        return all;
    }
    // Those that aren't packets.
    std::vector<std::string> changes(const DecodeOptions& options = {}) {
        DecodeText lines(false);
        std::vector<std::string> all;
        for (const Json& json : decode(options))
            if (json.at("event") != "packet" && json.at("event") != "summary")
                all.push_back(lines.line(json));
        return all;
    }

    std::vector<GroupConfig> groups_{group_of("lan", 7, {"192.0.2.100", "192.0.2.101"})};
    const GroupConfig better_ = group_of("lan", 7, {"192.0.2.100", "192.0.2.101"}, 0);
    std::optional<CaptureFault> fault_;

 private:
    std::uint64_t counter_ = 0;
    std::vector<std::uint8_t> file_;
};

TEST_F(DecodeTest, APacketThatIsRight) {
    frame(0, advertisement("192.0.2.1", better_));
    EXPECT_THAT(
        text(true),
        ElementsAre("12:00:00.000  eth0  192.0.2.1 > 224.0.0.18  vhid 7 advbase 1 advskew 0 demotion 0 "
                    "counter 0000000000000001  ok\n"
                    "              lan: stays BACKUP: the master advertises more often",
                    "1 packet of protocol 112, none refused"));
    const Json json = decode().front();
    EXPECT_EQ(json.at("time"), "2026-11-27T12:00:00.000+00:00");
    EXPECT_EQ(json.at("group"), "lan");
    EXPECT_EQ(json.at("state"), "backup");
    EXPECT_TRUE(json.at("refused").is_null());
}

TEST_F(DecodeTest, AMasterThatFallsSilentAndComesBack) {
    every_second(0, 2, "192.0.2.1", better_);
    frame(8000, advertisement("192.0.2.1", better_));
    EXPECT_THAT(changes(),
                ElementsAre("12:00:05.390  lan: BACKUP -> MASTER (master timed out), after 5.3 s in BACKUP",
                            "12:00:08.000  lan: MASTER -> BACKUP (more frequent advertisement received) from "
                            "192.0.2.1 (advbase 1 advskew 0), after 2.6 s in MASTER"));
}

TEST_F(DecodeTest, ABowOut) {
    every_second(0, 2, "192.0.2.1", better_);
    frame(2500, bow_out("192.0.2.1", better_));
    EXPECT_THAT(changes(),
                ElementsAre("12:00:02.500  lan: BACKUP -> MASTER (master bowed out) from 192.0.2.1, "
                            "after 2.5 s in BACKUP"));
    EXPECT_THAT(text(),
                testing::Contains(HasSubstr("vhid 7 bow-out demotion 0 counter 0000000000000004  ok")));
}

TEST_F(DecodeTest, WhyNothingChanges) {
    const GroupConfig worse = group_of("lan", 7, {"192.0.2.100", "192.0.2.101"}, 200);
    frame(0, advertisement("192.0.2.1", worse));
    EXPECT_THAT(text(true).front(),
                HasSubstr("lan: stays BACKUP: this host is the better one, but preempt is off"));
    every_second(10, 11, "192.0.2.1", worse);
    EXPECT_THAT(text(true), testing::Contains(HasSubstr("lan: stays MASTER: less frequent advertisement")));
}

TEST_F(DecodeTest, TheHostsOwnAdvertisementsMakeItMaster) {
    every_second(0, 5, "192.0.2.2", groups_.front(), FrameDirection::out);
    frame(5100, advertisement("192.0.2.1", better_));
    EXPECT_THAT(changes(),
                ElementsAre("12:00:00.000  lan: MASTER as the capture begins",
                            "12:00:05.100  lan: MASTER -> BACKUP (more frequent advertisement received) "
                            "from 192.0.2.1 (advbase 1 advskew 0), after 5.1 s in MASTER"));
    EXPECT_THAT(text().back(), "7 packets of protocol 112, 6 of them this host's, none refused");
}

TEST_F(DecodeTest, ATieIsDecidedByTheHostsOwnAddress) {
    frame(0, advertisement("192.0.2.2", groups_.front()));
    frame(100, advertisement("192.0.2.3", groups_.front()));
    frame(200, advertisement("192.0.2.1", groups_.front()));
    EXPECT_THAT(
        changes({.self = {ip("192.0.2.2")}}),
        ElementsAre("12:00:00.000  lan: MASTER as the capture begins",
                    HasSubstr("12:00:00.200  lan: MASTER -> BACKUP (lost a tie to an equal advertisement)")));
}

TEST_F(DecodeTest, ADigestThatLacksAnAddress) {
    const GroupConfig lacks = group_of("lan", 7, {"192.0.2.100"});
    every_second(0, 1, "192.0.2.1", lacks);
    EXPECT_THAT(text(),
                ElementsAre(AllOf(HasSubstr("  bad_digest\n              the sender's list of addresses "
                                            "lacks 192.0.2.101")),
                            AllOf(HasSubstr("  bad_digest"), Not(HasSubstr("lacks"))),
                            "2 packets of protocol 112; refused: bad_digest 2"));
    for (const Json& json : decode()) {
        if (json.at("event") != "packet") continue;
        EXPECT_EQ(json.at("key"), "own");
        EXPECT_EQ(json.at("missing"), Json({"192.0.2.101"}));
        EXPECT_EQ(json.at("extra"), Json::array());
    }
}

TEST_F(DecodeTest, ADigestOfAFamilyThatOursHasNot) {
    const GroupConfig both = group_of("lan", 7, {"192.0.2.100", "192.0.2.101", "2001:db8::100"});
    frame(0, advertisement("192.0.2.1", both));
    frame(1, advertisement("fe80::1", both));
    EXPECT_THAT(text(),
                ElementsAre(HasSubstr("bad_digest\n              it comes by IPv6, too: the sender's list "
                                      "has IPv6 addresses, and ours has none"),
                            HasSubstr("bad_family"), HasSubstr("refused: bad_family 1, bad_digest 1")));
}

TEST_F(DecodeTest, AnotherVhidOfTheSameGroup) {
    frame(0, advertisement("192.0.2.1", group_of("lan", 17, {"192.0.2.100", "192.0.2.101"})));
    frame(1, advertisement("192.0.2.1", group_of("other", 17, {"192.0.2.55"})));
    EXPECT_THAT(text(),
                ElementsAre(HasSubstr("bad_vhid\n              it has the key and the addresses of the group "
                                      "lan, whose vhid is 7 in this configuration"),
                            HasSubstr("a vhid that isn't configured here"),
                            "2 packets of protocol 112; refused: bad_vhid 2"));
}

TEST_F(DecodeTest, WhatTheCaptureCutOffIsNotRefused) {
    const Packet whole = advertisement("192.0.2.1", better_);
    Packet record(16);  // a snap length of 40 bytes
    std::vector<std::uint8_t> file = {0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4,  0, 0, 0, 0,
                                      0,    0,    0,    0,    0, 0, 0, 40, 0, 0, 0, 101};
    record[11] = 40;
    record[15] = static_cast<std::uint8_t>(whole.size());
    file.insert(file.end(), record.begin(), record.end());
    file.insert(file.end(), whole.begin(), whole.begin() + 40);
    std::vector<Json> all;
    Decoder decoder(share(groups_), {}, [&](const Json& json) { all.push_back(json); });
    EXPECT_FALSE(decoder.decode(file));
    EXPECT_EQ(all.at(0).at("cut"), true);
    EXPECT_TRUE(all.at(0).at("refused").is_null());
    EXPECT_THAT(DecodeText(false).line(all.at(0)), HasSubstr("cut off by the capture"));
    EXPECT_EQ(DecodeText(false).line(all.at(1)),
              "1 packet of protocol 112, 1 of them cut off by the capture, none refused");
}

// So both hosts become MASTER.
TEST_F(DecodeTest, ADigestOfAnotherPassword) {
    GroupConfig stranger = groups_.front();
    stranger.key[0] = 'S';
    every_second(0, 5, "192.0.2.1", stranger);
    EXPECT_THAT(text(), AllOf(testing::Contains(HasSubstr("most likely the password differs")).Times(1),
                              testing::Contains(HasSubstr("lan: BACKUP -> MASTER (master timed out)"))));
}

TEST_F(DecodeTest, DamagedAdvertisementsShowWhatTheySay) {
    Packet damaged = advertisement("192.0.2.1", better_), routed = advertisement("192.0.2.1", better_);
    damaged[20 + 2] = 50;
    routed[8] = 64;
    routed[10] = routed[11] = 0;
    ByteWriter(std::span(routed).subspan(10)).u16(checksum(Bytes(routed).first(20)));
    frame(0, damaged);
    frame(10, routed);
    EXPECT_THAT(text(),
                ElementsAre(AllOf(HasSubstr("vhid 7 advbase 1 advskew 50"), HasSubstr("bad_checksum")),
                            AllOf(HasSubstr("vhid 7 advbase 1 advskew 0"), HasSubstr("ttl 64  bad_ttl")),
                            "2 packets of protocol 112; refused: bad_ttl 1, bad_checksum 1"));
}

TEST_F(DecodeTest, VrrpIsToldFromCarp) {
    for (const std::uint8_t version : Packet{2, 3}) {
        Packet packet = advertisement("192.0.2.9", better_);
        Packet body = {static_cast<std::uint8_t>(version << 4 | 1), 7, 150, 1, 0, 100, 0, 0, 192, 0, 2, 100};
        if (version == 2) body.resize(body.size() + 8);
        packet.resize(20);
        packet.insert(packet.end(), body.begin(), body.end());
        packet[3] = static_cast<std::uint8_t>(packet.size());
        packet[10] = packet[11] = 0;
        ByteWriter(std::span(packet).subspan(10)).u16(checksum(Bytes(packet).first(20)));
        frame(version, packet);
    }
    EXPECT_THAT(text(), ElementsAre(HasSubstr("192.0.2.9 > 224.0.0.18  VRRPv2 vrid 7 priority 150  vrrp2"),
                                    HasSubstr("192.0.2.9 > 224.0.0.18  VRRPv3 vrid 7 priority 150  vrrp3"),
                                    "2 packets of protocol 112; refused: vrrp2 1, vrrp3 1"));
    EXPECT_EQ(decode().at(0).at("interval_ms"), 100'000);
    EXPECT_EQ(decode().at(1).at("interval_ms"), 1000);
}

// What carpd's hosts tell each other, and CARP knows nothing of (docs/protocol/beacon.md).
TEST_F(DecodeTest, BeaconsAreToldFromAdvertisements) {
    groups_[0].beacons = true;
    Beacon said;
    said.host = 1;
    said.vhid = 7;
    said.state = 1;
    said.sequence = 5;
    said.advbase = 1;
    said.advskew = 20;
    said.add({});
    said.set_name("fw2");
    const auto beacon = [](const Beacon& what, const Key& key) {
        const BeaconPacket p(ip("192.0.2.1"), carp_multicast_group(Family::ipv4), what, HmacSha1(key));
        return Packet(p.bytes().begin(), p.bytes().end());
    };
    frame(0, beacon(said, groups_[0].key));
    frame(1000, beacon(said, Key{'x'}));
    Beacon stray = said;
    stray.vhid = 9;
    frame(2000, beacon(stray, groups_[0].key));
    frame(3000, beacon(said, groups_[0].key), FrameDirection::out);
    Packet damaged = beacon(said, groups_[0].key);
    damaged[60] ^= 1;
    frame(3200, damaged);
    const auto lines = text(true);
    EXPECT_THAT(lines[0], testing::EndsWith("192.0.2.1 > 224.0.0.18  beacon of fw2: vhid 7 BACKUP advbase 1 "
                                            "advskew 20 demotion 0, hears 1 host  ok"));
    EXPECT_THAT(lines[1], HasSubstr("bad_digest"));
    EXPECT_THAT(lines[2], HasSubstr("bad_vhid"));
    EXPECT_THAT(lines[3], HasSubstr("ok, sent by this host"));
    EXPECT_THAT(lines[4], HasSubstr("bad_checksum"));
}

TEST_F(DecodeTest, AnInterfaceWithoutGroups) {
    frame(0, advertisement("192.0.2.1", better_), FrameDirection::in, 1);
    EXPECT_THAT(text().front(), AllOf(HasSubstr("eth9"), HasSubstr("bad_interface")));
    EXPECT_THAT(text(false, {.interface = "eth0"}).front(), AllOf(HasSubstr("eth0"), HasSubstr("  ok")));
}

TEST_F(DecodeTest, WhatABridgesPortHeardIsSaidOnce) {
    const Packet packet = advertisement("192.0.2.1", better_);
    frame(0, packet, FrameDirection::in, 1);
    frame(0, packet);
    EXPECT_THAT(text(), ElementsAre(AllOf(HasSubstr("  eth0  "), HasSubstr("  ok")),
                                    "1 packet of protocol 112, 1 more heard twice, none refused"));
}

TEST_F(DecodeTest, ALongGapBeginsAnewAndTimeNeverGoesBack) {
    frame(0, advertisement("192.0.2.1", better_));
    frame(3'600'000, advertisement("192.0.2.1", better_));
    frame(1000, advertisement("192.0.2.1", better_));
    frame(3'601'000, advertisement("192.0.2.1", better_));
    EXPECT_THAT(changes(), ElementsAre("13:00:00.000  a long gap: from here on as if it began"));
}

TEST_F(DecodeTest, GroupsThatTheCaptureDoesNotShowAreNotSpokenOf) {
    groups_.push_back(group_of("dmz", 8, {"198.51.100.1"}));
    every_second(0, 9, "192.0.2.1", better_);
    EXPECT_THAT(changes(), IsEmpty());
}

}  // namespace
}  // namespace carpd
