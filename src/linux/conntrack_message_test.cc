#include "linux/conntrack_message.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <vector>

#include "linux/conntrack_test_flows.h"

namespace carpd {
namespace {

using Buffer = std::vector<std::uint8_t>;
using Kind = FlowEvent::Kind;

Buffer created(const Flow& flow) {
    Buffer buffer(kLongestConntrackMessage);
    buffer.resize(put_create(flow, 1, buffer));
    return buffer;
}

TEST(ConntrackMessage, ReadsWhatItWrites) {
    for (const auto& [name, flow] : test_flows()) {
        SCOPED_TRACE(name);
        const auto event = parse_flow(created(flow));
        ASSERT_TRUE(event.has_value());
        EXPECT_EQ(event->kind, Kind::created);
        Flow expected = flow;
        expected.identity.reply = flow.identity.original.inverse();  // translation is another attribute
        EXPECT_EQ(event->flow, expected);
    }
}

TEST(ConntrackMessage, MessagesFollowEachOther) {
    Buffer buffer(3 * kLongestConntrackMessage);
    const auto flows = test_flows();
    std::size_t size = 0;
    const auto rest = [&] { return std::span(buffer).subspan(size); };
    size += put_create(flows[0].flow, 1, rest());
    size += put_remove(flows[1].flow.identity.original, 0, 2, rest());
    size += put_create(flows[2].flow, 3, rest());
    Bytes bytes = Bytes(buffer).first(size);
    const auto first = next_message(bytes), second = next_message(bytes), third = next_message(bytes);
    ASSERT_TRUE(first && second && third);
    EXPECT_FALSE(next_message(bytes));
    EXPECT_EQ(parse_flow(*first)->flow.identity.original, flows[0].flow.identity.original);
    EXPECT_EQ(parse_flow(*second).error(), ConntrackRefusal::incomplete);  // it has one tuple
    EXPECT_EQ(parse_flow(*third)->flow.identity.original, flows[2].flow.identity.original);
}

TEST(ConntrackMessage, TheLongestFits) {
    Flow flow = test_flow("tcp expected 6").flow;
    flow.identity.reply.source = ip_of("2001:db8::77");
    flow.identity.reply.destination = ip_of("2001:db8::78");
    flow.identity.zone = 1;
    flow.identity.helper = {'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o'};
    flow.state.labels.fill(1);
    flow.state.sequence = {{{1, 2, 3}, {4, 5, 6}}};
    const std::size_t size = created(flow).size();
    EXPECT_GT(size, 480u);
    EXPECT_LE(size, kLongestConntrackMessage);
}

// Every cut of a message is refused, or is the flow without what was cut off.
TEST(ConntrackMessage, RefusesWhatIsCut) {
    const Buffer whole = created(test_flow("tcp translated 4").flow);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const Buffer cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_EQ(parse_flow(cut).error(), ConntrackRefusal::truncated);
        Bytes bytes(cut);
        EXPECT_FALSE(next_message(bytes));
    }
}

TEST(ConntrackMessage, NamesWhatItRefuses) {
    const Buffer good = created(test_flow("udp 4").flow);
    const auto refusal = [&](std::size_t place, std::uint8_t value) {
        Buffer bad = good;
        bad[place] = value;
        const auto event = parse_flow(bad);
        return event ? std::string("none") : std::string(to_string(event.error()));
    };
    EXPECT_EQ(refusal(0, 12), "truncated");  // nlmsg_len
    EXPECT_EQ(refusal(4, 9), "not_a_flow");  // nlmsg_type, of the subsystem
    EXPECT_EQ(refusal(5, 2), "malformed");   // the subsystem: expectations, of which it is none
    EXPECT_EQ(refusal(5, 3), "not_a_flow");  // another
    EXPECT_EQ(refusal(16, 7), "unknown_family");
    EXPECT_EQ(refusal(16, 10), "malformed");    // IPv4 addresses in an IPv6 flow
    EXPECT_EQ(refusal(20, 3), "malformed");     // an attribute shorter than its header
    EXPECT_EQ(refusal(21, 0xff), "malformed");  // or longer than the message
    EXPECT_EQ(refusal(22, 20), "incomplete");   // no CTA_TUPLE_ORIG
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < kConntrackRefusals; ++i)
        names.insert(to_string(static_cast<ConntrackRefusal>(i)));
    EXPECT_EQ(names.size(), kConntrackRefusals);
}

// CTA_TUPLE_ZONE: what `ct original zone set 1` makes.
TEST(ConntrackMessage, RefusesZonesOfOneDirection) {
    Buffer message = created(test_flow("udp 4").flow);
    const std::uint8_t zone[] = {6, 0, 3, 0, 0, 1, 0, 0};
    const std::uint16_t old_length = static_cast<std::uint16_t>(message[20] | message[21] << 8);
    message.insert(message.begin() + 20 + old_length, std::begin(zone), std::end(zone));
    message[20] = static_cast<std::uint8_t>(old_length + sizeof zone);
    message[0] = static_cast<std::uint8_t>(message[0] + sizeof zone);
    EXPECT_EQ(parse_flow(message).error(), ConntrackRefusal::one_way_zone);
}

// What an entry's flags say of numbers that only its own kernel has doesn't leave this host.
TEST(ConntrackMessage, LeavesOutWhatAnotherHostCannotUse) {
    Flow flow = test_flow("tcp 4").flow;
    std::get<TcpState>(flow.state.protocol).flags[0] = 0xff;
    flow.state.status |= 0x4000 | 0x8000 | 0x10;  // offloaded, translated
    const auto event = parse_flow(created(flow));
    EXPECT_EQ(std::get<TcpState>(event->flow.state.protocol).flags[0], kReplicatedTcpFlags);
    EXPECT_EQ(event->flow.state.status & 0xc010, 0u);
}

// Each direction of it, however the owner's entry was made.
TEST(ConntrackMessage, WritesTcpAsLiberal) {
    Flow flow = test_flow("tcp 4").flow;
    std::get<TcpState>(flow.state.protocol).flags[0] = std::get<TcpState>(flow.state.protocol).flags[1] = 1;
    const Buffer message = created(flow);
    for (const auto attribute :
         {std::uint8_t{4}, std::uint8_t{5}}) {  // CTA_PROTOINFO_TCP_FLAGS_ORIGINAL and _REPLY
        const Buffer wanted = {6, 0, attribute, 0, 0x01 | 0x08, kReplicatedTcpFlags | 0x08};
        EXPECT_NE(std::search(message.begin(), message.end(), wanted.begin(), wanted.end()), message.end())
            << int{attribute};
    }
}

}  // namespace
}  // namespace carpd
