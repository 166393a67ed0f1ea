#include "wire/sync_datagram.h"

#include <algorithm>

namespace carpd {

namespace {

std::uint32_t read_u32(Bytes bytes, std::size_t offset) {
    return static_cast<std::uint32_t>(read_u16(bytes, offset)) << 16 | read_u16(bytes, offset + 2);
}

template <class Array>
Array read_array(Bytes bytes, std::size_t offset) {
    Array array;
    const Bytes from = bytes.subspan(offset, array.size());
    std::copy(from.begin(), from.end(), array.begin());
    return array;
}

// The length of the UTF-8 character that `text` begins with, in its shortest form; 0: none does, or a control
// character.
std::size_t character(std::string_view text) {
    const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const std::uint8_t lead = at(0);
    if (lead < 0x80) return lead >= ' ' && lead != 0x7f ? 1 : 0;
    const std::size_t size = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (size == 0 || size > text.size()) return 0;
    for (std::size_t i = 1; i < size; ++i)
        if ((at(i) & 0xc0) != 0x80) return 0;
    const bool too_long = (lead == 0xe0 && at(1) < 0xa0) || (lead == 0xf0 && at(1) < 0x90);
    const bool surrogate = lead == 0xed && at(1) >= 0xa0, too_great = lead == 0xf4 && at(1) >= 0x90;
    const bool control = lead == 0xc2 && at(1) < 0xa0;
    return too_long || surrogate || too_great || control ? 0 : size;
}

}  // namespace

// ---- the header

std::size_t encode(const SyncHeader& header, std::span<std::uint8_t> out) {
    ByteWriter writer(out);
    writer.u8(kSyncVersion);
    writer.u8(static_cast<std::uint8_t>(header.kind));
    writer.u16(0);
    writer.u64(header.stream);
    writer.u64(header.number);
    if (header.kind == SyncKind::hello) writer.bytes(header.nonce);
    return writer.size();
}

Expected<SyncHeader, SyncDrop> decode_sync_header(Bytes datagram) {
    if (datagram.size() < kDataOverhead) return Unexpected{SyncDrop::too_short};
    if (datagram[0] != kSyncVersion) return Unexpected{SyncDrop::bad_version};
    if (datagram[1] != static_cast<std::uint8_t>(SyncKind::hello) &&
        datagram[1] != static_cast<std::uint8_t>(SyncKind::data))
        return Unexpected{SyncDrop::bad_kind};
    SyncHeader header;
    header.kind = static_cast<SyncKind>(datagram[1]);
    if (datagram.size() < header.size() + Aead::kTagSize) return Unexpected{SyncDrop::too_short};
    header.stream = read_u64(datagram, 4);
    header.number = read_u64(datagram, 12);
    if (header.kind == SyncKind::hello) header.nonce = read_array<StreamNonce>(datagram, kDataHeaderSize);
    return header;
}

// ---- hello

std::optional<HostName> HostName::from(std::string_view text) {
    if (text.empty() || text.size() > kLongest) return std::nullopt;
    HostName name;
    std::copy(text.begin(), text.end(), name.text_.begin());
    name.size_ = static_cast<std::uint8_t>(text.size());
    while (!text.empty()) {
        const std::size_t size = character(text);
        if (size == 0) return std::nullopt;
        text.remove_prefix(size);
    }
    return name;
}

std::size_t encode(const SyncHello& hello, std::span<std::uint8_t> out) {
    ByteWriter writer(out);
    writer.u8(hello.version_min);
    writer.u8(hello.version_max);
    writer.u32(hello.capabilities);
    writer.bytes(hello.challenge);
    writer.bytes(hello.answer);
    writer.u64(hello.accepted);
    writer.u8(static_cast<std::uint8_t>(hello.name.view().size()));
    for (const char c : hello.name.view()) writer.u8(static_cast<std::uint8_t>(c));
    writer.u32(hello.conntrack_max);
    writer.u64(hello.wall_clock_ms);
    return writer.size();
}

std::optional<SyncHello> decode_hello(Bytes body) {
    constexpr std::size_t kName = 47, kAfterName = 12;
    if (body.size() < kName + kAfterName) return std::nullopt;
    const std::size_t name_size = body[kName - 1];
    if (body.size() < kName + name_size + kAfterName) return std::nullopt;
    const auto name = HostName::from({reinterpret_cast<const char*>(body.data()) + kName, name_size});
    if (!name || body[0] == 0 || body[0] > body[1]) return std::nullopt;
    return SyncHello{.version_min = body[0],
                     .version_max = body[1],
                     .capabilities = read_u32(body, 2),
                     .challenge = read_array<Challenge>(body, 6),
                     .answer = read_array<Challenge>(body, 22),
                     .accepted = read_u64(body, 38),
                     .name = *name,
                     .conntrack_max = read_u32(body, kName + name_size),
                     .wall_clock_ms = read_u64(body, kName + name_size + 4)};
}

// ---- regions

std::optional<Region> next_region(Bytes& body) {
    if (body.size() < kRegionHeaderSize) return std::nullopt;
    const std::size_t size = read_u16(body, 1);
    if (size > body.size() - kRegionHeaderSize) return std::nullopt;
    const Region region{static_cast<RegionKind>(body[0]), body.subspan(kRegionHeaderSize, size)};
    body = body.subspan(kRegionHeaderSize + size);
    return region;
}

std::span<std::uint8_t> RegionWriter::room() const {
    const std::size_t left = body_.size() - size_;
    if (left < kRegionHeaderSize) return {};
    const auto room = body_.subspan(size_ + kRegionHeaderSize);
    return room.first(std::min<std::size_t>(room.size(), 0xffff));
}

void RegionWriter::add(RegionKind kind, std::size_t size) {
    CARPD_ASSERT(body_.size() - size_ >= kRegionHeaderSize && size <= room().size());
    ByteWriter writer(body_.subspan(size_));
    writer.u8(static_cast<std::uint8_t>(kind));
    writer.u16(static_cast<std::uint16_t>(size));
    size_ += kRegionHeaderSize + size;
}

std::size_t encode(const SyncAck& ack, std::span<std::uint8_t> out) {
    ByteWriter writer(out);
    writer.u64(ack.stream);
    writer.u64(ack.highest);
    for (std::size_t i = 0; i < ack.word_count; ++i) writer.u64(ack.words[i]);
    return writer.size();
}

std::optional<SyncAck> decode_ack(Bytes contents) {
    if (contents.size() < 16 || contents.size() > kLongestAck || contents.size() % 8) return std::nullopt;
    SyncAck ack;
    ack.stream = read_u64(contents, 0);
    ack.highest = read_u64(contents, 8);
    ack.word_count = static_cast<std::uint8_t>(contents.size() / 8 - 2);
    for (std::size_t i = 0; i < ack.word_count; ++i) ack.words[i] = read_u64(contents, 16 + 8 * i);
    return ack;
}

namespace {

enum StatusFlag : std::uint8_t {
    kMasterFlag = 1,
    kCompleteFlag = 2,
    kOverrunFlag = 4,
    kLeavingFlag = 8,
    kDefersFlag = 16
};

}  // namespace

std::size_t encode(const SyncStatus& status, std::span<std::uint8_t> out) {
    ByteWriter writer(out);
    writer.u8(
        static_cast<std::uint8_t>((status.master ? kMasterFlag : 0) | (status.complete ? kCompleteFlag : 0) |
                                  (status.overrun ? kOverrunFlag : 0) | (status.leaving ? kLeavingFlag : 0) |
                                  (status.defers ? kDefersFlag : 0)));
    writer.u64(status.term);
    writer.u32(status.owned);
    writer.u32(status.waiting);
    writer.u64(status.lost_events);
    return writer.size();
}

std::optional<SyncStatus> decode_status(Bytes contents) {
    if (contents.size() < kStatusSize) return std::nullopt;
    return SyncStatus{.master = (contents[0] & kMasterFlag) != 0,
                      .complete = (contents[0] & kCompleteFlag) != 0,
                      .overrun = (contents[0] & kOverrunFlag) != 0,
                      .leaving = (contents[0] & kLeavingFlag) != 0,
                      .defers = (contents[0] & kDefersFlag) != 0,
                      .term = read_u64(contents, 1),
                      .owned = read_u32(contents, 9),
                      .waiting = read_u32(contents, 13),
                      .lost_events = read_u64(contents, 17)};
}

std::size_t encode_digests(std::uint16_t first, std::span<const std::uint64_t> digests,
                           std::span<std::uint8_t> out) {
    ByteWriter writer(out);
    writer.u16(first);
    for (const std::uint64_t digest : digests) writer.u64(digest);
    return writer.size();
}

std::optional<SyncDigests> decode_digests(Bytes contents) {
    if (contents.size() < 2 || contents.size() % 8 != 2) return std::nullopt;
    const SyncDigests digests{read_u16(contents, 0), contents.subspan(2)};
    if (digests.first + digests.size() > kBuckets) return std::nullopt;
    return digests;
}

std::size_t encode_ask(std::span<const std::uint16_t> buckets, std::span<std::uint8_t> out) {
    ByteWriter writer(out);
    for (const std::uint16_t bucket : buckets) writer.u16(bucket);
    return writer.size();
}

std::optional<SyncAsk> decode_ask(Bytes contents) {
    if (contents.size() % 2) return std::nullopt;
    const SyncAsk ask{contents};
    for (std::size_t i = 0; i < ask.size(); ++i)
        if (ask[i] >= kBuckets) return std::nullopt;
    return ask;
}

}  // namespace carpd
