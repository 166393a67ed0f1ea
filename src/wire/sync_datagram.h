// The datagrams of state synchronisation as values and as bytes (docs/protocol/sync.md §2): the header, which
// stands in the clear, the body of a hello, and the regions that the body of data consists of. Everything
// behind a header is read only once the seal was opened; sync/channel.h does that.
//
// Decoders take any bytes and allocate nothing. Encoders return the number of bytes written; `out` has room
// for the longest.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/expected.h"
#include "crypto/aead.h"

namespace carpd {

// Why a received datagram was refused. Every refusal has exactly one of these, and each is a counter under
// its own name; a refused datagram changes nothing else (§2.3).
enum class SyncDrop : std::uint8_t {
    too_short,       // no room for a header and a tag
    bad_version,     // of the header; or a hello whose range of versions doesn't meet ours
    bad_kind,        // neither hello nor data
    own_datagram,    // our own stream, reflected
    unknown_stream,  // data of a stream that isn't accepted
    replayed,        // its number was received before, or lies below the window
    bad_epoch,       // its number lies more than one epoch from what was received
    hello_flood,     // a hello of an unknown stream, when too many of those were tried lately
    bad_seal,        // another key made it, or it was forged or damaged
    bad_body,        // authentic, but no hello, or no regions
    same_name,       // a hello of a host that has our name: our own of an earlier start, or a twin
    other_name,      // a hello of a host that has another name than the peer, which is alive
    unanswered,      // a hello that doesn't answer our challenge: a peer's first one, or an old one
};
inline constexpr std::size_t kSyncDropCount = 13;

constexpr std::string_view to_string(SyncDrop drop) {
    constexpr std::array<std::string_view, kSyncDropCount> kNames = {
        "too_short",   "bad_version", "bad_kind", "own_datagram", "unknown_stream", "replayed",  "bad_epoch",
        "hello_flood", "bad_seal",    "bad_body", "same_name",    "other_name",     "unanswered"};
    return kNames[static_cast<std::size_t>(drop)];
}

// ---- the header

inline constexpr std::uint8_t kSyncVersion = 1;

// A sender's numbering towards one receiver. 0 is none.
using StreamId = std::uint64_t;
using StreamNonce = std::array<std::uint8_t, 24>;
using PacketNumber = std::uint64_t;

enum class SyncKind : std::uint8_t { hello = 1, data = 2 };

inline constexpr std::size_t kDataHeaderSize = 20, kHelloHeaderSize = kDataHeaderSize + sizeof(StreamNonce);
// What a datagram of data has besides its regions.
inline constexpr std::size_t kDataOverhead = kDataHeaderSize + Aead::kTagSize;

struct SyncHeader {
    SyncKind kind = SyncKind::data;
    StreamId stream = 0;
    PacketNumber number = 0;
    StreamNonce nonce{};  // a hello's

    constexpr std::size_t size() const {
        return kind == SyncKind::hello ? kHelloHeaderSize : kDataHeaderSize;
    }
    bool operator==(const SyncHeader&) const = default;
};

std::size_t encode(const SyncHeader& header, std::span<std::uint8_t> out);
// Of a datagram in which at least a tag follows. too_short, bad_version, bad_kind.
Expected<SyncHeader, SyncDrop> decode_sync_header(Bytes datagram);

// ---- hello

// A host's name in the cluster: 1 to 64 bytes of UTF-8 without control characters, kept in place.
class HostName {
 public:
    static constexpr std::size_t kLongest = 64;
    HostName() = default;  // none
    static std::optional<HostName> from(std::string_view text);

    std::string_view view() const { return {text_.data(), size_}; }
    bool operator==(const HostName&) const = default;

 private:
    std::array<char, kLongest> text_{};
    std::uint8_t size_ = 0;
};

using Challenge = std::array<std::uint8_t, 16>;

struct SyncHello {
    std::uint8_t version_min = kSyncVersion, version_max = kSyncVersion;
    std::uint32_t capabilities = 0;  // of later versions
    Challenge challenge{};
    Challenge answer{};     // the challenge heard from the peer; zeros: none yet
    StreamId accepted = 0;  // the peer's stream that the sender accepts; 0: none
    HostName name;
    std::uint32_t conntrack_max = 0;  // of the sender's kernel
    std::uint64_t wall_clock_ms = 0;  // since 1970, by the sender's clock
    bool operator==(const SyncHello&) const = default;
};
inline constexpr std::size_t kLongestHello = 59 + HostName::kLongest;

std::size_t encode(const SyncHello& hello, std::span<std::uint8_t> out);
// What follows a hello is of later versions and ignored. Nothing if the bytes begin with none.
std::optional<SyncHello> decode_hello(Bytes body);

// ---- regions

enum class RegionKind : std::uint8_t { flows = 1, ack = 2, status = 3, digests = 4, ask = 5 };
inline constexpr std::size_t kRegionHeaderSize = 3;

// Of any kind, also of one that RegionKind doesn't know, which is to be skipped.
struct Region {
    RegionKind kind;
    Bytes contents;  // part of the body
};
// Takes the first region off `body`. Nothing when the body is used up, or holds no whole region.
std::optional<Region> next_region(Bytes& body);

// Writes regions one after the other into a body.
class RegionWriter {
 public:
    explicit RegionWriter(std::span<std::uint8_t> body) : body_(body) {}

    // Room for the contents of one more region; none if not even its header fits.
    std::span<std::uint8_t> room() const;
    // Makes what was written to the first `size` bytes of room() a region.
    void add(RegionKind kind, std::size_t size);
    std::size_t size() const { return size_; }

 private:
    std::span<std::uint8_t> body_;
    std::size_t size_ = 0;
};

// What was received of a stream.
struct SyncAck {
    static constexpr std::size_t kMaxWords = 8;

    StreamId stream = 0;
    PacketNumber highest = 0;
    // Bit i of word w: number highest - 1 - i - 64 w was received. Words from word_count on are zero.
    std::array<std::uint64_t, kMaxWords> words{};
    std::uint8_t word_count = 0;

    bool covers(PacketNumber number) const {
        if (number >= highest) return number == highest;
        const PacketNumber distance = highest - 1 - number;
        return distance < 64 * kMaxWords && words[distance / 64] >> distance % 64 & 1;
    }
    bool operator==(const SyncAck&) const = default;
};
inline constexpr std::size_t kLongestAck = 16 + 8 * SyncAck::kMaxWords;

std::size_t encode(const SyncAck& ack, std::span<std::uint8_t> out);
std::optional<SyncAck> decode_ack(Bytes contents);

struct SyncStatus {
    bool master = false;    // of one group at least
    bool complete = false;  // the peer has all (rule B1)
    bool overrun = false;   // kernel events were lost, and what they said isn't known yet
    bool leaving = false;   // stops in order
    bool defers = false;    // packets wait for acknowledgements (rule F3)
    std::uint64_t term = 0;
    std::uint32_t owned = 0;    // flows
    std::uint32_t waiting = 0;  // of them those whose newest state the peer hasn't acknowledged
    std::uint64_t lost_events = 0;
    bool operator==(const SyncStatus&) const = default;
};
inline constexpr std::size_t kStatusSize = 25;

std::size_t encode(const SyncStatus& status, std::span<std::uint8_t> out);
std::optional<SyncStatus> decode_status(Bytes contents);

inline constexpr std::size_t kBuckets = 1024;

// The digests of buckets first, first + 1, ... as they lie in the region.
struct SyncDigests {
    std::uint16_t first = 0;
    Bytes bytes;

    std::size_t size() const { return bytes.size() / 8; }
    std::uint64_t operator[](std::size_t i) const { return read_u64(bytes, 8 * i); }
};
// `out` has room for 2 bytes and 8 for each digest.
std::size_t encode_digests(std::uint16_t first, std::span<const std::uint64_t> digests,
                           std::span<std::uint8_t> out);
std::optional<SyncDigests> decode_digests(Bytes contents);

// Buckets to be sent again, as they lie in the region; none named: all.
struct SyncAsk {
    Bytes bytes;

    bool all() const { return bytes.empty(); }
    std::size_t size() const { return bytes.size() / 2; }
    std::uint16_t operator[](std::size_t i) const { return read_u16(bytes, 2 * i); }
};
// `out` has room for 2 bytes for each bucket.
std::size_t encode_ask(std::span<const std::uint16_t> buckets, std::span<std::uint8_t> out);
std::optional<SyncAsk> decode_ask(Bytes contents);

}  // namespace carpd
