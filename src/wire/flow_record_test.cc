#include "wire/flow_record.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"

namespace carpd {
namespace {

using Buffer = std::vector<std::uint8_t>;

template <class T>
Buffer encoded(const T& value) {
    Buffer buffer(256);
    buffer.resize(encode(value, buffer));
    return buffer;
}

IpAddress ip(const char* text) {
    return IpAddress::parse(text).value();
}

FlowIdentity tcp4() {
    FlowIdentity identity;
    identity.original = {ip("192.0.2.9"), ip("198.51.100.7"), 6, 40000, 443};
    identity.reply = identity.original.inverse();
    return identity;
}

// The examples of docs/protocol/sync.md §3.
TEST(FlowRecord, EncodesAsDocumented) {
    EXPECT_EQ(encoded(tcp4()), (Buffer{0x00, 0x06, 192, 0, 2, 9, 198, 51, 100, 7, 0x9c, 0x40, 0x01, 0xbb}));

    FlowIdentity masqueraded = tcp4();
    masqueraded.reply.destination = ip("203.0.113.1");
    masqueraded.reply.second = 1024;
    EXPECT_EQ(encoded(masqueraded), (Buffer{0x02, 0x06, 192,  0,    2,   9, 198, 51, 100,  7,   0x9c,
                                            0x40, 0x01, 0xbb, 0x0a, 203, 0, 113, 1,  0x04, 0x00}));

    FlowState established;
    established.status = 0xe;
    established.timeout = 432000;
    established.protocol = TcpState{3, {7, 8}, {0x23, 0x23}};
    EXPECT_EQ(encoded(established), (Buffer{0x08, 0x0e, 0x80, 0xaf, 0x1a, 0x03, 0x78, 0x23, 0x23}));

    EXPECT_EQ(encoded(RecordHeader{RecordKind::full, 300}), (Buffer{0xb2, 0x09}));

    // A server's data connection, back to where a client behind a translation said that it listens (PORT).
    FlowIdentity expected;
    expected.master = FlowTuple{ip("10.0.0.9"), ip("198.51.100.9"), 6, 40000, 21};
    expected.original = {ip("198.51.100.9"), ip("198.51.100.100"), 6, 0, 50001};
    expected.reply = expected.original.inverse();
    expected.mask = {ip("255.255.255.255"), 0};
    expected.helper = {'f', 't', 'p'};
    EXPECT_EQ(encoded(expected),
              (Buffer{0x38, 0x06, 198,  51,   100,  9,    198,  51,   100, 100, 0x00, 0x00, 0xc3,
                      0x51, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x06, 10,  0,   0,    9,    198,
                      51,   100,  9,    0x9c, 0x40, 0x00, 0x15, 3,    'f', 't', 'p'}));
    FlowState waiting;
    waiting.timeout = 300;
    waiting.protocol =
        ExpectationState{0, 0, ExpectedTranslation{1, ip("0.0.0.0"), 50000}, {"nat-follow-master"}};
    EXPECT_EQ(encoded(waiting),
              (Buffer{0x40, 0xac, 0x02, 0x00, 0x00, 0x03, 0,   0,   0,   0,   0xc3, 0x50, 17,  'n', 'a',
                      't',  '-',  'f',  'o',  'l',  'l',  'o', 'w', '-', 'm', 'a',  's',  't', 'e', 'r'}));
}

FlowTuple any_tuple(Random& random, Family family) {
    constexpr std::uint8_t kProtocols[] = {1, 6, 17, 33, 47, 50, 58, 132, 136};
    const auto address = [&] {
        std::uint8_t bytes[16];
        for (std::uint8_t& b : bytes) b = static_cast<std::uint8_t>(random.next());
        return IpAddress::from_bytes(Bytes(bytes).first(family == Family::ipv4 ? 4 : 16));
    };
    FlowTuple tuple{address(), address(), kProtocols[random.next() % std::size(kProtocols)]};
    if (tuple.has_numbers()) {
        tuple.first = static_cast<std::uint16_t>(random.next());
        tuple.second = static_cast<std::uint16_t>(random.next());
    }
    return tuple;
}

FlowIdentity any_identity(Random& random) {
    const Family family = random.next() % 2 ? Family::ipv4 : Family::ipv6;
    FlowIdentity identity;
    identity.original = any_tuple(random, family);
    identity.reply = identity.original.inverse();
    const FlowTuple other = any_tuple(random, family);
    if (random.next() % 2) identity.reply.source = other.source;
    if (random.next() % 2) identity.reply.destination = other.destination;
    if (random.next() % 2 && identity.original.has_numbers()) identity.reply.second = other.second;
    if (random.next() % 2) identity.zone = static_cast<std::uint16_t>(random.next());
    if (random.next() % 2) identity.master = any_tuple(random, family);
    if (random.next() % 2) identity.helper = {'f', 't', 'p'};
    if (identity.master && random.next() % 2) {
        identity.reply = identity.original.inverse();
        identity.mask = {any_tuple(random, family).source};
        if (identity.original.has_numbers()) identity.mask->first = static_cast<std::uint16_t>(random.next());
    }
    return identity;
}

FlowState any_expectation_state(Random& random) {
    FlowState state;
    state.timeout = static_cast<std::uint32_t>(random.next());
    ExpectationState expectation;
    expectation.flags = static_cast<std::uint8_t>(random.next() % 4);
    expectation.expect_class = static_cast<std::uint8_t>(random.next());
    if (random.next() % 2)
        expectation.translation = {static_cast<std::uint8_t>(random.next() % 2),
                                   any_tuple(random, random.next() % 2 ? Family::ipv4 : Family::ipv6).source,
                                   static_cast<std::uint16_t>(random.next())};
    if (random.next() % 2) expectation.function = {"abcdefghijklmnopqrstuvw"};
    state.protocol = expectation;
    return state;
}

FlowState any_state(Random& random) {
    if (random.next() % 4 == 0) return any_expectation_state(random);
    FlowState state;
    state.status = static_cast<std::uint32_t>(random.next()) & FlowState::kReplicatedStatus;
    state.timeout = static_cast<std::uint32_t>(random.next());
    if (random.next() % 2) state.mark = static_cast<std::uint32_t>(random.next());
    if (random.next() % 2) state.labels.fill(static_cast<std::uint8_t>(random.next()));
    if (random.next() % 2) state.sequence.emplace()[1] = {7, 8, static_cast<std::uint32_t>(random.next())};
    switch (random.next() % 4) {
        case 0: break;
        case 1: state.protocol = TcpState{3, {14, 0}, {1, 2}}; break;
        case 2: state.protocol = SctpState{4, {static_cast<std::uint32_t>(random.next()), 1}}; break;
        case 3: state.protocol = DccpState{5, 1, random.next()}; break;
    }
    return state;
}

TEST(FlowRecord, ReadsWhatItWrote) {
    Random random(1);
    for (int i = 0; i < 20000; ++i) {
        const FlowIdentity identity = any_identity(random);
        const FlowState state = any_state(random);
        Buffer both = encoded(identity);
        EXPECT_LE(both.size(), kLongestIdentity);
        const Buffer second = encoded(state);
        EXPECT_LE(second.size(), kLongestState);
        both.insert(both.end(), second.begin(), second.end());
        Bytes bytes(both);
        EXPECT_EQ(decode_identity(bytes), identity);
        EXPECT_EQ(decode_state(bytes), state);
        EXPECT_TRUE(bytes.empty());
    }
}

TEST(FlowRecord, RefusesWhatIsCutShort) {
    Random random(2);
    for (int i = 0; i < 300; ++i) {
        const Buffer identity = encoded(any_identity(random)), state = encoded(any_state(random));
        for (std::size_t size = 0; size < identity.size(); ++size) {
            Bytes bytes = Bytes(identity).first(size);
            EXPECT_FALSE(decode_identity(bytes)) << size;
            EXPECT_EQ(bytes.size(), size);
        }
        for (std::size_t size = 0; size < state.size(); ++size) {
            Bytes bytes = Bytes(state).first(size);
            EXPECT_FALSE(decode_state(bytes)) << size;
        }
    }
}

// Otherwise two hosts could hold the same flow and disagree about its digest.
TEST(FlowRecord, RefusesASecondEncodingOfTheSame) {
    const auto identity = [](Buffer buffer) {
        Bytes bytes(buffer);
        return decode_identity(bytes).has_value();
    };
    const auto state = [](Buffer buffer) {
        Bytes bytes(buffer);
        return decode_state(bytes).has_value();
    };
    EXPECT_FALSE(identity({0x02, 50, 1, 2, 3, 4, 5, 6, 7, 8, 0x00})) << "translated to itself";
    EXPECT_FALSE(identity({0x02, 50, 1, 2, 3, 4, 5, 6, 7, 8, 0x01, 5, 6, 7, 8})) << "the source as it was";
    EXPECT_FALSE(identity({0x02, 50, 1, 2, 3, 4, 5, 6, 7, 8, 0x04, 0, 1})) << "a port of a protocol without";
    EXPECT_FALSE(identity({0x04, 50, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0})) << "zone 0";
    EXPECT_FALSE(identity({0x10, 50, 1, 2, 3, 4, 5, 6, 7, 8, 0})) << "no name";
    EXPECT_FALSE(identity({0x40, 50, 1, 2, 3, 4, 5, 6, 7, 8})) << "unknown shape";
    EXPECT_FALSE(identity({0x20, 50, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0})) << "expected by nobody";
    EXPECT_FALSE(
        identity({0x2a, 50, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 1, 9, 9, 9, 9, 50, 1, 2, 3, 4, 5, 6, 7, 8}))
        << "an expectation with a reply of its own";
    EXPECT_TRUE(identity({0x28, 50, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 50, 1, 2, 3, 4, 5, 6, 7, 8}));
    EXPECT_FALSE(state({0x01, 0x0e, 0x00, 0, 0, 0, 0})) << "mark 0";
    EXPECT_FALSE(state({0x00, 0x0e, 0x80, 0x00})) << "a number longer than necessary";
    EXPECT_FALSE(state({0x00, 0x10, 0x00})) << "a status that isn't replicated";
    EXPECT_FALSE(state({0x18, 0x0e, 0x00, 3, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0})) << "two protocols";
    EXPECT_FALSE(state({0x08, 0x0e, 0x00, 3, 0xf0, 0, 0})) << "a window scale of 15";
    EXPECT_TRUE(state({0x08, 0x0e, 0x00, 3, 0xe0, 0, 0}));
    EXPECT_TRUE(state({0x40, 0x05, 3, 0, 0, 0}));
    EXPECT_FALSE(state({0x41, 0x05, 0, 0, 0, 1, 3, 0, 0, 0})) << "an expectation with a mark";
    EXPECT_FALSE(state({0x40, 0x05, 4, 0, 0, 0})) << "a flag that isn't replicated";
    EXPECT_FALSE(state({0x40, 0x05, 3, 0, 2, 0})) << "the direction of no translation";
    EXPECT_FALSE(state({0x40, 0x05, 3, 0, 9, 0, 0, 0, 0, 0, 0, 0})) << "an unknown kind of translation";
    EXPECT_FALSE(state({0x40, 0x05, 3,   0,   0,   24,  'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i',
                        'j',  'k',  'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x'}))
        << "a name that is too long";
}

TEST(FlowRecord, RefusesRecordsOfUnknownKind) {
    const Buffer three{0x03}, long_slot{0xff, 0xff, 0xff, 0xff, 0x1f}, last{0xfe, 0xff, 0xff, 0xff, 0x0f};
    Bytes bytes(three);
    EXPECT_FALSE(decode_record_header(bytes));
    bytes = long_slot;
    EXPECT_FALSE(decode_record_header(bytes));
    bytes = last;
    EXPECT_EQ(decode_record_header(bytes), (RecordHeader{RecordKind::full, kMaxSlots - 1}));
}

// What is expected, and the flow that fulfils it, are there at a time.
TEST(FlowRecord, NamesAnExpectationOtherwiseThanItsFlow) {
    const auto name = [](const FlowIdentity& identity) {
        Buffer buffer(kLongestFlowName);
        buffer.resize(put_flow_name(encoded(identity), buffer));
        return buffer;
    };
    Random random(4);
    for (int i = 0; i < 1000; ++i) {
        FlowIdentity flow = any_identity(random);
        flow.reply = flow.original.inverse();
        flow.mask.reset();
        FlowIdentity expectation = flow;
        if (!expectation.master) expectation.master = flow.original;
        expectation.mask = {IpAddress::any(flow.original.source.family())};
        EXPECT_FALSE(is_expectation(encoded(flow)));
        EXPECT_TRUE(is_expectation(encoded(expectation)));
        Buffer wanted = name(flow);
        wanted[0] |= 32;
        EXPECT_EQ(name(expectation), wanted);
    }
}

TEST(Flow, TheInverseOfAnAnswerIsItsRequest) {
    const FlowTuple ping{ip("192.0.2.9"), ip("198.51.100.7"), 1, 77, 8 << 8};
    EXPECT_EQ(ping.inverse(), (FlowTuple{ip("198.51.100.7"), ip("192.0.2.9"), 1, 77, 0}));
    const FlowTuple ping6{ip("2001:db8::9"), ip("2001:db8::7"), 58, 77, 128 << 8};
    EXPECT_EQ(ping6.inverse().second, 129 << 8);
    Random random(3);
    for (int i = 0; i < 1000; ++i) {
        const FlowTuple tuple = any_tuple(random, Family::ipv4);
        EXPECT_EQ(tuple.inverse().inverse(), tuple);
    }
}

}  // namespace
}  // namespace carpd
