#include "wire/sync_datagram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/captures/document.h"

namespace carpd {
namespace {

using captures::example;
using testing::ElementsAreArray;
using Buffer = std::vector<std::uint8_t>;

template <class T>
Buffer encoded(const T& value) {
    Buffer buffer(256);
    buffer.resize(encode(value, buffer));
    return buffer;
}

Buffer region(RegionKind kind, const Buffer& contents) {
    Buffer body(100);
    RegionWriter writer(body);
    std::copy(contents.begin(), contents.end(), writer.room().begin());
    writer.add(kind, contents.size());
    body.resize(writer.size());
    return body;
}

Buffer with_tag(Buffer header) {
    header.resize(header.size() + Aead::kTagSize);
    return header;
}

StreamNonce documented_nonce() {
    StreamNonce nonce;
    for (std::size_t i = 0; i < nonce.size(); ++i) nonce[i] = static_cast<std::uint8_t>(0x40 + i);
    return nonce;
}

SyncHello documented_hello() {
    SyncHello hello{
        .name = HostName::from("fw1").value(), .conntrack_max = 262144, .wall_clock_ms = 1700000000000};
    for (std::size_t i = 0; i < 16; ++i) hello.challenge[i] = static_cast<std::uint8_t>(0x10 + i);
    return hello;
}

// docs/protocol/sync.md §2.5.
TEST(SyncDatagram, HeadersAndHelloAsDocumented) {
    const std::string text = captures::document("sync.md");
    const SyncHeader hello{SyncKind::hello, 0xa1a2a3a4a5a6a7a8, 1, documented_nonce()};
    const SyncHeader data{SyncKind::data, 0xa1a2a3a4a5a6a7a8, 2, {}};
    EXPECT_THAT(encoded(hello), ElementsAreArray(example(text, "hello header")));
    EXPECT_THAT(encoded(data), ElementsAreArray(example(text, "data header")));
    EXPECT_EQ(decode_sync_header(with_tag(encoded(hello))).value(), hello);
    EXPECT_EQ(decode_sync_header(with_tag(encoded(data))).value(), data);
    EXPECT_THAT(encoded(documented_hello()), ElementsAreArray(example(text, "hello body")));
    EXPECT_EQ(decode_hello(example(text, "hello body")), documented_hello());
}

TEST(SyncDatagram, RegionsAsDocumented) {
    const std::string text = captures::document("sync.md");
    const SyncAck ack{0xb1b2b3b4b5b6b7b8, 7, {5}, 1};
    EXPECT_THAT(region(RegionKind::ack, encoded(ack)), ElementsAreArray(example(text, "data body")));
    EXPECT_EQ(decode_ack(encoded(ack)), ack);
    const SyncStatus status{.master = true, .complete = true, .term = 3, .owned = 100000, .waiting = 12};
    EXPECT_THAT(region(RegionKind::status, encoded(status)), ElementsAreArray(example(text, "STATUS")));
    EXPECT_EQ(decode_status(encoded(status)), status);
    const SyncStatus defers{.defers = true};
    EXPECT_EQ(encoded(defers)[0], 16);
    EXPECT_EQ(decode_status(encoded(defers)), defers);

    Buffer contents(10);
    const std::uint64_t digest = 0x0123456789abcdef;
    encode_digests(1023, {&digest, 1}, contents);
    EXPECT_THAT(region(RegionKind::digests, contents), ElementsAreArray(example(text, "DIGESTS")));
    const auto digests = decode_digests(contents);
    EXPECT_EQ(digests->first, 1023);
    ASSERT_EQ(digests->size(), 1u);
    EXPECT_EQ((*digests)[0], digest);

    const std::uint16_t buckets[] = {5, 1023};
    contents.resize(encode_ask(buckets, contents));
    EXPECT_THAT(region(RegionKind::ask, contents), ElementsAreArray(example(text, "ASK")));
    const auto ask = decode_ask(contents);
    ASSERT_EQ(ask->size(), 2u);
    EXPECT_EQ((*ask)[1], 1023);
    EXPECT_TRUE(decode_ask({})->all());
}

TEST(SyncDatagram, RefusesHeadersByName) {
    const auto refusal = [](Buffer datagram) { return decode_sync_header(datagram).error(); };
    const Buffer data = with_tag(encoded(SyncHeader{SyncKind::data, 1, 1, {}}));
    for (std::size_t size = 0; size < data.size(); ++size)
        EXPECT_EQ(refusal(Buffer(data.begin(), data.begin() + static_cast<int>(size))), SyncDrop::too_short);
    Buffer changed = data;
    changed[1] = 1;
    EXPECT_EQ(refusal(changed), SyncDrop::too_short) << "no room for a hello's nonce";
    changed[1] = 3;
    EXPECT_EQ(refusal(changed), SyncDrop::bad_kind);
    changed[0] = 2;
    EXPECT_EQ(refusal(changed), SyncDrop::bad_version);
}

TEST(SyncDatagram, RefusesWhatIsNoHello) {
    const Buffer whole = encoded(documented_hello());
    for (std::size_t size = 0; size < whole.size(); ++size)
        EXPECT_FALSE(decode_hello(Bytes(whole).first(size))) << size;
    Buffer longer = whole;
    longer.push_back(7);
    EXPECT_EQ(decode_hello(longer), documented_hello()) << "of a later version";
    const auto with = [&](std::size_t place, std::uint8_t byte) {
        Buffer changed = whole;
        changed[place] = byte;
        return decode_hello(changed).has_value();
    };
    EXPECT_FALSE(with(0, 0)) << "version 0";
    EXPECT_FALSE(with(0, 2)) << "from 2 to 1";
    EXPECT_TRUE(with(1, 9));
    EXPECT_FALSE(with(46, 0)) << "no name";
    EXPECT_FALSE(with(46, 4)) << "a name that reaches too far";
    EXPECT_FALSE(with(47, '\n'));
}

TEST(HostName, IsShortUtf8WithoutControlCharacters) {
    for (const char* good : {"a", "fw 1", "füße", "防火墙", "\U0001f525"})
        EXPECT_EQ(HostName::from(good)->view(), good);
    EXPECT_TRUE(HostName::from(std::string(64, 'x')));
    for (const char* bad : {"", "\x01", "\x7f", "a\x1b[2J", "\x80", "\xc3", "\xc0\xaf", "\xc2\x85",
                            "\xe0\x80\xaf", "\xed\xa0\x80", "\xf0\x80\x80\xaf", "\xf4\x90\x80\x80", "\xff"})
        EXPECT_FALSE(HostName::from(bad)) << testing::PrintToString(bad);
    EXPECT_FALSE(HostName::from(std::string(65, 'x')));
    EXPECT_FALSE(HostName::from(std::string("a\0b", 3)));
}

TEST(Regions, OneAfterTheOther) {
    Buffer body(12);
    RegionWriter writer(body);
    EXPECT_EQ(writer.room().size(), 9u);
    writer.room()[0] = 7;
    writer.add(RegionKind::flows, 1);
    writer.add(static_cast<RegionKind>(200), 5);
    EXPECT_EQ(writer.size(), 12u);
    EXPECT_TRUE(writer.room().empty());

    Bytes rest(body);
    const auto first = next_region(rest), second = next_region(rest);
    EXPECT_EQ(first->kind, RegionKind::flows);
    EXPECT_THAT(first->contents, ElementsAreArray({7}));
    EXPECT_EQ(second->contents.size(), 5u);
    EXPECT_TRUE(rest.empty());
    EXPECT_FALSE(next_region(rest));

    rest = Bytes(body).first(11);
    next_region(rest);
    EXPECT_FALSE(next_region(rest)) << "cut short";
    EXPECT_EQ(rest.size(), 7u) << "and left where it is";
}

TEST(Regions, RefuseWhatTheyCannotHold) {
    EXPECT_FALSE(decode_ack(Buffer(15)));
    EXPECT_FALSE(decode_ack(Buffer(17)));
    EXPECT_TRUE(decode_ack(Buffer(80)));
    EXPECT_FALSE(decode_ack(Buffer(88)));
    EXPECT_FALSE(decode_status(Buffer(24)));
    EXPECT_TRUE(decode_status(Buffer(30))) << "of a later version";
    EXPECT_FALSE(decode_digests(Buffer{}));
    EXPECT_FALSE(decode_digests(Buffer(9)));
    EXPECT_FALSE(decode_digests(Buffer{0x04, 0x00, 0, 0, 0, 0, 0, 0, 0, 0})) << "bucket 1024";
    EXPECT_FALSE(decode_ask(Buffer(3)));
    EXPECT_FALSE(decode_ask(Buffer{0x04, 0x00}));
}

TEST(SyncAck, CoversWhatItSays) {
    const SyncAck ack{1, 200, {1, 1ull << 63}, 2};
    EXPECT_TRUE(ack.covers(200) && ack.covers(199) && ack.covers(200 - 128));
    for (const PacketNumber number : {201u, 198u, 136u, 135u, 71u, 0u})
        EXPECT_FALSE(ack.covers(number)) << number;
    EXPECT_FALSE(ack.covers(~PacketNumber{0}));
}

}  // namespace
}  // namespace carpd
