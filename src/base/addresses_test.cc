#include "base/addresses.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace carpd {
namespace {

IpAddress ip(std::string_view text) {
    auto address = IpAddress::parse(text);
    EXPECT_TRUE(address) << text;
    return address.value_or(IpAddress());
}

TEST(IpAddress, TextGoesThereAndBack) {
    for (const char* text : {"0.0.0.0", "192.0.2.100", "255.255.255.255", "::", "::1", "2001:db8::10",
                             "fe80::200:5eff:fe00:12a", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"})
        EXPECT_EQ(ip(text).to_string(), text);
    EXPECT_EQ(ip("2001:DB8:0:0::10").to_string(), "2001:db8::10");
}

TEST(IpAddress, RefusesWhatIsNone) {
    constexpr std::string_view kNone[] = {"",
                                          "1",
                                          "1.2.3",
                                          "1.2.3.4.5",
                                          "256.1.1.1",
                                          "1.2.3.4/24",
                                          " 1.2.3.4",
                                          "1.2.3.4 ",
                                          "host",
                                          ":::",
                                          "fe80::1%eth0",
                                          "2001:db8::1::2",
                                          "12345::",
                                          std::string_view("1.2.3.4\0x", 9)};
    for (std::string_view text : kNone) EXPECT_FALSE(IpAddress::parse(text)) << text;
}

TEST(IpAddress, BytesAreInNetworkOrder) {
    const IpAddress four = ip("192.0.2.100");
    EXPECT_EQ(four.bytes().size(), 4u);
    EXPECT_EQ(four.bytes()[0], 192);
    EXPECT_EQ(four.bytes()[3], 100);
    const IpAddress six = ip("2001:db8::10");
    EXPECT_EQ(six.bytes().size(), 16u);
    EXPECT_EQ(six.bytes()[0], 0x20);
    EXPECT_EQ(six.bytes()[15], 0x10);
    EXPECT_EQ(IpAddress::from_bytes(six.bytes()), six);
}

TEST(IpAddress, OrderedByFamilyThenAsUnsignedNumbers) {
    const std::vector<IpAddress> ascending = {ip("0.0.0.0"),         ip("10.0.0.3"),        ip("10.0.0.254"),
                                              ip("127.255.255.255"), ip("128.0.0.0"),       ip("192.0.1.200"),
                                              ip("192.0.2.1"),       ip("255.255.255.255"), ip("::"),
                                              ip("2001:db8::10"),    ip("2001:db8::1:2"),   ip("fe80::1")};
    for (std::size_t i = 0; i < ascending.size(); ++i)
        for (std::size_t j = 0; j < ascending.size(); ++j)
            EXPECT_EQ(ascending[i] < ascending[j], i < j)
                << ascending[i].to_string() << " " << ascending[j].to_string();
}

TEST(IpAddress, Kinds) {
    EXPECT_TRUE(ip("224.0.0.18").is_multicast());
    EXPECT_TRUE(ip("239.255.255.255").is_multicast());
    EXPECT_FALSE(ip("223.255.255.255").is_multicast());
    EXPECT_FALSE(ip("240.0.0.0").is_multicast());
    EXPECT_TRUE(ip("ff02::12").is_multicast());
    EXPECT_FALSE(ip("fe80::12").is_multicast());

    EXPECT_TRUE(ip("fe80::1").is_link_local());
    EXPECT_TRUE(ip("febf::1").is_link_local());
    EXPECT_FALSE(ip("fec0::1").is_link_local());
    EXPECT_FALSE(ip("169.254.1.1").is_link_local());

    EXPECT_TRUE(ip("127.1.2.3").is_loopback());
    EXPECT_TRUE(ip("::1").is_loopback());
    EXPECT_FALSE(ip("::2").is_loopback());

    EXPECT_TRUE(IpAddress::any(Family::ipv4).is_unspecified());
    EXPECT_TRUE(IpAddress::any(Family::ipv6).is_unspecified());
    EXPECT_NE(IpAddress::any(Family::ipv4), IpAddress::any(Family::ipv6));
    EXPECT_FALSE(ip("0.0.0.1").is_unspecified());
}

TEST(IpAddress, SharesPrefix) {
    EXPECT_TRUE(ip("192.0.2.1").shares_prefix(ip("192.0.2.200"), 24));
    EXPECT_TRUE(ip("192.0.2.1").shares_prefix(ip("192.0.3.1"), 23));
    EXPECT_FALSE(ip("192.0.2.1").shares_prefix(ip("192.0.3.1"), 24));
    EXPECT_TRUE(ip("192.0.2.1").shares_prefix(ip("192.0.2.1"), 32));
    EXPECT_FALSE(ip("192.0.2.1").shares_prefix(ip("192.0.2.0"), 32));
    EXPECT_TRUE(ip("1.1.1.1").shares_prefix(ip("254.1.1.1"), 0));
    EXPECT_TRUE(ip("2001:db8::1").shares_prefix(ip("2001:db8::ffff"), 64));
    EXPECT_FALSE(ip("2001:db8::1").shares_prefix(ip("2001:db8::2"), 127));
    EXPECT_FALSE(ip("0.0.0.0").shares_prefix(ip("::"), 0));
}

TEST(InterfaceAddress, Text) {
    EXPECT_EQ((InterfaceAddress{ip("192.0.2.100"), 24}).to_string(), "192.0.2.100/24");
    EXPECT_EQ((InterfaceAddress{ip("2001:db8::100"), 64}).to_string(), "2001:db8::100/64");
}

TEST(MacAddress, Text) {
    EXPECT_EQ((MacAddress{{0x00, 0x00, 0x5e, 0x00, 0x01, 0xaf}}).to_string(), "00:00:5e:00:01:af");
}

TEST(MacAddress, IsSixBytesWithColonsBetweenThem) {
    const MacAddress mac{{0x52, 0x54, 0x00, 0xab, 0xCD, 0xff}};
    EXPECT_EQ(MacAddress::parse("52:54:00:ab:cd:ff"), mac);
    EXPECT_EQ(MacAddress::parse("52:54:00:AB:CD:FF"), mac);
    EXPECT_EQ(MacAddress::parse(mac.to_string()), mac);
    for (const char* wrong : {"", "52:54:00:ab:cd", "52:54:00:ab:cd:ff:00", "52-54-00-ab-cd-ff",
                              "5254.00ab.cdff", "52:54:00:ab:cd:fg", "2:54:00:ab:cd:ff:", "+2:54:00:ab:cd:ff",
                              "52:54:00:ab:cd: f", "0x:54:00:ab:cd:ff"})
        EXPECT_EQ(MacAddress::parse(wrong), std::nullopt) << wrong;
}

}  // namespace
}  // namespace carpd
