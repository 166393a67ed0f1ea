// What one host and one peer say to each other, sealed: who the peer is, whether it is there, and regions in
// numbered datagrams (docs/protocol/sync.md §2, rules K1 to K10 and N8). What the regions hold is the
// caller's business; that they come from the peer, once, and not from an old recording, is this one's.
//
// Each host numbers what it sends to the other: a stream. It begins at random with each start of the host,
// and its keys with it. A host accepts the peer's stream after a hello in it that answers a challenge which
// only this host has sent; so each direction is opened by one question and its answer, and lost hellos only
// delay it. A channel is up while we accept a stream of the peer, heard of it within `dead_after`, and the
// peer said that it accepts ours.
//
// The driver calls receive() with each datagram from the peer's address and on_timer() at next_deadline(),
// and after either sends a hello if one is due. Once it is up, it seals a datagram often enough that the peer
// hears something well within its `dead_after`. Nothing of a refused datagram stays but a counter (and, of
// hellos in unknown streams, the work spent on them, which is limited; rule K5).
//
// Random bytes come from the driver: streams must never come twice under one key, also after a restart, and
// challenges must not be guessed. Memory is some 60 KiB at most, tables for AES-GCM; nothing is allocated but
// when a stream is met and when its epoch or a configured key changes.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "base/expected.h"
#include "base/time.h"
#include "sync/rate_limit.h"
#include "sync/replay_window.h"
#include "sync/stream_keys.h"
#include "wire/sync_datagram.h"

namespace carpd {

struct ChannelConfig {
    HostName name;                                      // ours
    Duration dead_after = std::chrono::seconds(1);      // a peer that is silent for so long is down (K8)
    PacketNumber packets_per_epoch = kPacketsPerEpoch;  // the same on every host
};

// We send with the first and accept both, so that a key can be changed on one host after the other.
struct SyncKeys {
    Secret first;
    std::optional<Secret> second;
    bool operator==(const SyncKeys&) const = default;
};

// What a hello says besides.
struct HostFacts {
    std::uint32_t conntrack_max = 0;
    std::uint64_t wall_clock_ms = 0;
};

struct ChannelCounters {
    std::uint64_t hellos_received = 0, data_received = 0;  // in accepted streams
    std::uint64_t hellos_sent = 0, data_sent = 0;
    std::uint64_t streams_accepted = 0;  // also when it is the same again
    std::uint64_t downs = 0;             // times it was up and isn't any more
    std::array<std::uint64_t, kSyncDropCount> dropped{};

    std::uint64_t operator[](SyncDrop drop) const { return dropped[static_cast<std::size_t>(drop)]; }
    bool operator==(const ChannelCounters&) const = default;
};

class Channel {
 public:
    // Fills a span with bytes that nobody can guess.
    using FillRandom = std::function<void(std::span<std::uint8_t>)>;

    Channel(Instant now, const ChannelConfig& config, const SyncKeys& keys, FillRandom fill_random);

    // ---- receiving

    // What the peer sent in the stream that we accept.
    struct Received {
        SyncKind kind;
        PacketNumber number;
        Bytes body;  // regions, opened where they lay; of a hello, nothing
    };
    // Opens `datagram` in place. A refusal leaves it as it was unless its seal was right.
    Expected<Received, SyncDrop> receive(Instant now, std::span<std::uint8_t> datagram);

    // At next_deadline() or later.
    void on_timer(Instant now);
    // Of on_timer, write_hello and take_ack.
    Instant next_deadline() const;

    // ---- sending

    bool hello_due(Instant now) const;
    // At any time, but meant for when it is due. `out` has room for kLongestHelloDatagram.
    std::size_t write_hello(Instant now, const HostFacts& facts, std::span<std::uint8_t> out);

    // The number that the next datagram gets.
    PacketNumber next_number() const { return next_number_; }
    // Where regions go in a datagram of data.
    static std::span<std::uint8_t> body_of(std::span<std::uint8_t> datagram);
    // Seals the first `body_size` bytes of body_of(datagram); returns the size of the whole.
    std::size_t seal_data(std::span<std::uint8_t> datagram, std::size_t body_size);

    // Whether data was received since the last take_ack(), and when at the latest the peer wants to know (N8;
    // kNever: it doesn't, or couldn't hear it).
    bool has_ack() const { return unacknowledged_; }
    Instant ack_deadline() const { return up_ ? ack_at_ : kNever; }
    // What was received of peer_stream(), which is not 0, for an ACK that leaves now.
    SyncAck take_ack();
    // Whether the peer wants to know at once (F3), until it is another stream's.
    void set_peer_waits(bool waits) { peer_waits_ = waits; }

    // ---- state

    bool is_up() const { return up_; }
    // Up or down, and with this stream of the peer, since then.
    Instant since() const { return since_; }
    // Something authentic of the peer; of no use while we accept no stream of it.
    Instant heard_at() const { return heard_at_; }
    StreamId stream() const { return stream_; }
    // The one that we accept; 0: none. Another one than before means that the peer was started anew.
    StreamId peer_stream() const { return peer_ ? peer_->stream : 0; }
    // The last hello of the peer, which says its name; null: we accept no stream.
    const SyncHello* peer() const { return peer_ ? &peer_->hello : nullptr; }
    // The last authentic hello that was refused as bad_version, same_name or other_name, or null.
    const SyncHello* misfit() const { return misfit_ ? &*misfit_ : nullptr; }
    const ChannelCounters& counters() const { return counters_; }
    // The last datagram that was refused.
    struct Refusal {
        SyncDrop reason;
        Instant at;
    };
    const std::optional<Refusal>& last_refusal() const { return refusal_; }

    // The stream goes on under other keys. A peer that sends with neither of them is down.
    void set_keys(Instant now, const SyncKeys& keys);
    // As if the peer were dead: the caller knows that another channel's peer has this one's name (K9).
    void forget_peer(Instant now);

 private:
    using BothKeys = std::array<std::unique_ptr<StreamKeys>, 2>;  // of SyncKeys; null: there is no second

    // The stream that we accept.
    struct Peer {
        StreamId stream;
        StreamNonce nonce;
        BothKeys keys;
        std::size_t key;  // that it used last
        ReplayWindow window;
        PacketNumber hello_number;  // of the hello
        SyncHello hello;
    };
    // A stream whose hellos are authentic, but were no answer so far: a peer that just started, or a replay.
    struct Stranger {
        StreamId stream;
        StreamNonce nonce;
        std::unique_ptr<StreamKeys> keys;
        std::size_t key;
        PacketNumber number;  // of its last hello
        Challenge challenge;
    };
    using Judged = Expected<Received, SyncDrop>;

    Judged judge(Instant now, std::span<std::uint8_t> datagram);
    Judged judge_data(Instant now, const SyncHeader& header, std::span<std::uint8_t> datagram);
    Judged judge_peer_hello(Instant now, const SyncHeader& header, std::span<std::uint8_t> datagram);
    Judged judge_other_hello(Instant now, const SyncHeader& header, std::span<std::uint8_t> datagram);
    bool opens(const SyncHeader& header, std::span<std::uint8_t> datagram);
    std::optional<Stranger> meet(const SyncHeader& header, std::span<std::uint8_t> datagram) const;
    Expected<SyncHello, SyncDrop> read_hello(Bytes body);
    bool answers(const SyncHello& hello) const;
    void accept(Instant now, Stranger stranger, const SyncHello& hello);
    void note_hello(Instant now, const SyncHello& hello);
    void note_data(Instant now, PacketNumber number, bool holds_flows);

    Challenge next_answer();
    void draw_challenge(Instant now);
    void expire(Instant now);
    void lose_peer(Instant now);
    void update_up(Instant now);
    std::uint64_t epoch_of(PacketNumber number) const { return (number - 1) / config_.packets_per_epoch; }
    const Secret* configured(std::size_t key) const;
    std::unique_ptr<StreamKeys> derive(std::size_t key, StreamId stream, const StreamNonce& nonce) const;

    ChannelConfig config_;
    SyncKeys keys_;
    FillRandom fill_random_;

    StreamId stream_ = 0;  // ours
    StreamNonce nonce_{};
    std::unique_ptr<StreamKeys> own_keys_;
    PacketNumber next_number_ = 1;

    Challenge challenge_{};
    std::optional<Challenge> challenge_before_;  // right, too
    Instant challenge_at_{};

    std::optional<Peer> peer_;
    bool peer_accepts_ = false;
    Instant heard_at_{};
    std::optional<Stranger> stranger_;
    bool stranger_waits_ = false;     // for a hello that answers it
    bool answered_stranger_ = false;  // with our last hello
    std::optional<SyncHello> misfit_;

    bool up_ = false;
    Instant since_;
    Instant hello_at_;
    RateLimit hello_limit_, try_limit_;

    bool peer_waits_ = false;
    bool unacknowledged_ = false;
    int flows_unacknowledged_ = 0;  // datagrams that hold some
    Instant ack_at_ = kNever;
    ChannelCounters counters_;
    std::optional<Refusal> refusal_;
};

inline constexpr std::size_t kLongestHelloDatagram = kHelloHeaderSize + kLongestHello + Aead::kTagSize;

}  // namespace carpd
