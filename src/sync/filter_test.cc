#include "sync/filter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/random.h"
#include "sync/sample_flows.h"

namespace carpd {
namespace {

IpAddress ip(std::string_view text) {
    return *IpAddress::parse(text);
}
InterfaceAddress net(std::string_view text, std::uint8_t length) {
    return {ip(text), length};
}

// A UDP flow that nothing translates.
Flow flow(std::string_view from, std::string_view to, std::uint8_t protocol = 17) {
    Flow flow;
    flow.identity.original = {ip(from), ip(to), protocol, 1000, 53};
    flow.identity.reply = flow.identity.original.inverse();
    return flow;
}

const FlowFilter& everything() {
    static const FlowFilter filter({}, {}, {}, {});
    return filter;
}

TEST(FlowFilter, TellsWhatPassesThroughThisHost) {
    EXPECT_TRUE(everything().tells(flow("10.0.0.1", "198.51.100.7")));
    EXPECT_TRUE(everything().tells(flow("2001:db8::1", "2001:db8:1::1")));
    EXPECT_TRUE(everything().tells(flow("10.0.0.1", "198.51.100.7", 50)));
}

TEST(FlowFilter, TellsNothingThatIsNotWorthIt) {
    Flow tcp{sample_identity(0), sample_state(0)};
    EXPECT_TRUE(everything().tells(tcp));
    std::get<TcpState>(tcp.state.protocol).state = 1;  // SYN_SENT
    EXPECT_FALSE(everything().tells(tcp));
    const FlowFilter unanswered({}, {}, {}, {}, true);
    EXPECT_TRUE(unanswered.tells(tcp));
    tcp.state.protocol = {};  // nobody knows its state
    EXPECT_FALSE(unanswered.tells(tcp));
}

TEST(FlowFilter, TellsTcpFromAWantedStateOn) {
    constexpr std::uint8_t kSynReceived = 2, kEstablished = 3;
    const FlowFilter filter({}, {}, {}, std::array{kEstablished});
    Flow tcp{sample_identity(0), sample_state(0)};
    auto& state = std::get<TcpState>(tcp.state.protocol).state;
    state = kSynReceived;
    EXPECT_FALSE(filter.tells(tcp));
    state = kEstablished;
    EXPECT_TRUE(filter.tells(tcp));
    state = kSynReceived;
    tcp.state.labels[0] = 1;  // which no later event tells
    EXPECT_TRUE(filter.tells(tcp));
    EXPECT_TRUE(filter.tells(flow("10.0.0.1", "198.51.100.7", 17)));
}

TEST(FlowFilter, TellsOnlyWantedProtocolsAndZones) {
    const FlowFilter filter({}, std::array<std::uint8_t, 2>{17, 255}, std::array<std::uint16_t, 2>{5, 0}, {});
    Flow udp = flow("10.0.0.1", "198.51.100.7"), other = flow("10.0.0.1", "198.51.100.7", 255);
    EXPECT_TRUE(filter.tells(udp));
    EXPECT_TRUE(filter.tells(other));
    EXPECT_FALSE(filter.tells(flow("10.0.0.1", "198.51.100.7", 1)));
    udp.identity.zone = 5;
    EXPECT_TRUE(filter.tells(udp));
    udp.identity.zone = 4;
    EXPECT_FALSE(filter.tells(udp));
    EXPECT_TRUE(everything().tells(udp));
}

TEST(FlowFilter, TellsNoFlowThatEveryHostHasForItself) {
    for (const auto& [from, to] : {std::pair("127.0.0.1", "127.255.255.255"),
                                   {"10.0.0.1", "224.0.0.18"},
                                   {"10.0.0.1", "239.255.255.250"},
                                   {"0.0.0.0", "255.255.255.255"},
                                   {"::1", "::1"},
                                   {"2001:db8::1", "ff02::1"}})
        EXPECT_FALSE(everything().tells(flow(from, to))) << to;
    for (const char* near : {"126.255.255.255", "128.0.0.0", "223.255.255.255", "255.255.255.254"})
        EXPECT_TRUE(everything().tells(flow("10.0.0.1", near))) << near;
    for (const char* near : {"::", "::2", "feff::", "::ffff:127.0.0.1"})
        EXPECT_TRUE(everything().tells(flow("2001:db8::1", near))) << near;
}

TEST(FlowFilter, TellsNoFlowOfAnOwnAddressInAnyPlace) {
    FlowFilter filter({}, {}, {}, {});
    filter.set_own(std::array{ip("192.0.2.1"), ip("192.0.2.255"), ip("2001:db8::1")});
    EXPECT_FALSE(filter.tells(flow("192.0.2.1", "198.51.100.7")));
    EXPECT_FALSE(filter.tells(flow("10.0.0.1", "192.0.2.1")));
    EXPECT_FALSE(filter.tells(flow("10.0.0.1", "192.0.2.255")));
    EXPECT_FALSE(filter.tells(flow("2001:db8:1::1", "2001:db8::1")));
    EXPECT_TRUE(filter.tells(flow("10.0.0.1", "192.0.2.100"))) << "a shared address";

    Flow masqueraded = flow("10.0.0.1", "198.51.100.7");
    masqueraded.identity.reply.destination = ip("192.0.2.1");
    EXPECT_FALSE(filter.tells(masqueraded));
    masqueraded.identity.reply.destination = ip("192.0.2.100");
    EXPECT_TRUE(filter.tells(masqueraded));
    Flow redirected = flow("10.0.0.1", "198.51.100.7");
    redirected.identity.reply.source = ip("192.0.2.1");
    EXPECT_FALSE(filter.tells(redirected));
}

TEST(FlowFilter, OwnAddressesAreThoseThatWereSaidLast) {
    FlowFilter filter({}, {}, {}, {});
    filter.set_own(std::array{ip("192.0.2.1")});
    filter.set_own(std::array{ip("192.0.2.2")});
    EXPECT_TRUE(filter.tells(flow("10.0.0.1", "192.0.2.1")));
    EXPECT_FALSE(filter.tells(flow("10.0.0.1", "192.0.2.2")));
    EXPECT_FALSE(filter.tells(flow("10.0.0.1", "127.0.0.1")));
}

TEST(FlowFilter, IgnoresPrefixesAlsoWithinEachOther) {
    FlowFilter filter(
        std::array{net("10.1.2.0", 24), net("10.1.0.0", 16), net("10.1.0.0", 24), net("2001:db8::", 32)}, {},
        {}, {});
    filter.set_own(std::array{ip("10.1.2.3"), ip("10.2.0.1")});
    for (const char* ignored : {"10.1.0.0", "10.1.2.3", "10.1.2.4", "10.1.255.255", "10.2.0.1"})
        EXPECT_FALSE(filter.tells(flow("192.0.2.7", ignored))) << ignored;
    for (const char* told : {"10.0.255.255", "10.2.0.0", "10.2.0.2", "0.0.0.0"})
        EXPECT_TRUE(filter.tells(flow("192.0.2.7", told))) << told;
    EXPECT_FALSE(filter.tells(flow("2001:db8:ffff::1", "2001:db9::")));
    EXPECT_TRUE(filter.tells(flow("2001:db7:ffff::1", "2001:db9::")));
}

TEST(FlowFilter, AFamilyCanBeIgnored) {
    const FlowFilter filter(std::array{net("0.0.0.0", 0)}, {}, {}, {});
    EXPECT_FALSE(filter.tells(flow("10.0.0.1", "198.51.100.7")));
    EXPECT_TRUE(filter.tells(flow("2001:db8::1", "2001:db8:1::1")));
}

// Against a look at each prefix, in a space small enough to meet them.
TEST(FlowFilter, FindsAnAddressAmongManyPrefixes) {
    Random random(7);
    const auto near = [&random] {
        const std::uint8_t bytes[] = {10, 0, static_cast<std::uint8_t>(random.next() % 4),
                                      static_cast<std::uint8_t>(random.next() % 256)};
        return IpAddress::from_bytes(bytes);
    };
    for (int round = 0; round < 200; ++round) {
        std::vector<IpAddress> own(random.next() % 8);
        for (IpAddress& address : own) address = near();
        std::vector<InterfaceAddress> ignored;
        for (std::uint64_t i = random.next() % 8; i > 0; --i) {
            const auto length = static_cast<std::uint8_t>(22 + random.next() % 11);
            std::array<std::uint8_t, 4> bytes{};
            const IpAddress address = near();
            for (unsigned bit = 0; bit < length; ++bit)
                bytes[bit / 8] |= static_cast<std::uint8_t>(address.bytes()[bit / 8] & (0x80 >> bit % 8));
            ignored.push_back({IpAddress::from_bytes(bytes), length});
        }
        FlowFilter filter(ignored, {}, {}, {});
        filter.set_own(own);
        for (int i = 0; i < 50; ++i) {
            Flow through = flow("198.51.100.7", "203.0.113.9");
            const IpAddress address = near();
            through.identity.original.destination = through.identity.reply.source = address;
            const auto has = [&address](const InterfaceAddress& prefix) {
                return address.shares_prefix(prefix.address, prefix.prefix_length);
            };
            const bool excluded = std::any_of(ignored.begin(), ignored.end(), has) ||
                                  std::find(own.begin(), own.end(), address) != own.end();
            EXPECT_EQ(filter.tells(through), !excluded) << address.to_string();
        }
    }
}

}  // namespace
}  // namespace carpd
