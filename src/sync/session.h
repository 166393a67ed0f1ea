// All between this host and one peer: the channel, what the peer has to be told (outbox), what it told
// (inbox), and which datagram leaves when. Part of SyncHost (sync/host.h), which owns it and decides what
// records and statuses mean; the rules are those of docs/protocol/sync.md.
//
// A session lasts from the time the channel is up until it is down or the peer begins another stream. With
// each one both hosts begin anew: the outbox queues everything, the inbox keeps what it had apart until the
// peer has said it again or is complete.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <span>

#include "sync/channel.h"
#include "sync/inbox.h"
#include "sync/outbox.h"

namespace carpd {

class SyncSession {
 public:
    // The least size of a buffer for transmit().
    static constexpr std::size_t kLeastDatagram = 1200;

    // `own` holds what this host owns, and outlives it.
    SyncSession(Instant now, const ChannelConfig& config, const SyncKeys& keys,
                Channel::FillRandom fill_random, FlowTable& own, const SipKey& table_key);

    // ---- what comes

    // After each call of the channel: whether a session ended, and with it what the peer said of itself. What
    // it owned then is in inbox().previous().
    bool watch(Instant now);
    void on_ack(Instant now, const SyncAck& ack);
    void on_digests(PacketNumber number, const SyncDigests& digests);
    void on_ask(Instant now, const SyncAsk& ask);
    // False: a later one came before, and this one counts for nothing.
    bool on_status(PacketNumber number, const SyncStatus& status);
    Change on_record(PacketNumber number, const Record& record);

    // ---- what leaves

    // The next datagram that is due, or 0; `says` is completed with what concerns this peer. `out` has
    // kLeastDatagram bytes at least.
    std::size_t transmit(Instant now, SyncStatus says, const HostFacts& facts, std::span<std::uint8_t> out);
    // STATUS is due at once: something of it has changed. So that it is there before the records that hang on
    // it, it is in every datagram for a while.
    void hurry_status(Instant now);
    // Digests are due at once: what we own was looked over.
    void hurry_digests(Instant now) { digests_at_ = now; }
    // Asks the peer for all that it owns, until it has acknowledged that. If `missing`, every bucket counts
    // as differing until a digest is equal.
    void ask_all(Instant now, bool missing);
    void on_timer(Instant now);
    Instant next_deadline() const;

    // ---- state

    bool is_up() const { return channel_.is_up(); }
    // Of the peer in this session, or nothing.
    const std::optional<SyncStatus>& said() const { return said_; }
    // The first datagram whose STATUS said the term that said() has.
    PacketNumber term_since() const { return term_since_; }
    // The peer has all that we own; `known`: we know it ourselves.
    bool has_all(bool known) const { return known && outbox_.is_complete(); }
    // We have all that the peer owns, as far as digests tell.
    bool heard_all() const { return says_complete() && !inbox_.previous(); }
    bool says_complete() const { return said_ && said_->complete; }
    std::size_t differing_buckets() const { return differs_.count(); }

    Channel& channel() { return channel_; }
    const Channel& channel() const { return channel_; }
    Outbox& outbox() { return outbox_; }
    const Outbox& outbox() const { return outbox_; }
    Inbox& inbox() { return inbox_; }
    const Inbox& inbox() const { return inbox_; }

 private:
    // What begins anew with a session: the channel counts both.
    struct Mark {
        std::uint64_t streams_accepted = 0, downs = 0;
        bool operator==(const Mark&) const = default;
    };

    bool digests_wait() const { return next_bucket_ < kBuckets; }
    bool data_is_due(Instant now) const;
    void put_status(Instant now, SyncStatus says, RegionWriter& regions);
    void put_ack(RegionWriter& regions);
    void put_asks(Instant now, RegionWriter& regions);
    void put_digests(RegionWriter& regions);
    void put_flows(Instant now, RegionWriter& regions);

    const FlowTable& own_;
    Channel channel_;
    Outbox outbox_;
    Inbox inbox_;
    bool inbox_used_ = false;  // since its last restart
    Mark mark_;
    std::optional<SyncStatus> said_;
    PacketNumber said_in_ = 0, term_since_ = 0;
    bool told_all_ = false;                  // the outbox was complete
    Instant status_until_ = Instant::min();  // in every datagram
    Instant status_at_ = kNever, digests_at_ = kNever;
    std::size_t next_bucket_ = kBuckets;  // whose digest is to be sent
    std::bitset<kBuckets> to_ask_, differs_;
    Instant ask_all_at_ = kNever;    // when it is to be asked for all, or again
    PacketNumber asked_all_in_ = 0;  // and in which datagram it was last
};

}  // namespace carpd
