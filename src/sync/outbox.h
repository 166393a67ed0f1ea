// What still has to be told to one peer of the flows in a table (docs/protocol/sync.md, N1 to N7).
// Each slot waits at most once, and what leaves is its newest state; what a lost datagram spoke of is queued
// again. So the memory is 12 bytes for each slot, and rings for what is on its way, whatever the peer does.
//
// A host has one table of its flows and an outbox for each peer. Its owner says what happened:
//
//     new flow        slot = table.insert(...);                 each outbox.changed(now, slot)
//     new state       table.set_state(slot, ...);               each outbox.changed(now, slot)
//     flow has ended  table.erase(slot, number of outboxes);    each outbox.ended(now, slot)
//
// and each outbox releases the slot when its peer knows the end, or needn't. An outbox without a peer (before
// restart(), after stop()) keeps nothing.
//
// When next_send() has come, the caller lets fill() write the FLOWS of a datagram. It passes on what the peer
// acknowledges, and calls check() when next_deadline() has come.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/time.h"
#include "sync/departures.h"
#include "sync/flow_table.h"
#include "sync/pace.h"
#include "sync/slot_array.h"
#include "wire/flow_record.h"

namespace carpd {

// What a peer says that it received of a stream: the highest packet number, and before it those whose bit is
// set: bit i of word w is number highest - 1 - i - 64 w. Any numbers are taken.
struct Ack {
    std::uint64_t highest = 0;
    std::span<const std::uint64_t> received_before;

    bool covers(std::uint64_t packet) const;
    // How many that it says were received have higher numbers.
    std::uint64_t later_than(std::uint64_t packet) const;
};

struct OutboxCounters {
    std::uint64_t datagrams = 0, lost_datagrams = 0;  // with records
    std::uint64_t full_records = 0, state_records = 0, end_records = 0;
    std::uint64_t buckets_asked = 0, asked_too_soon = 0, bad_bucket = 0;
};

class Outbox {
 public:
    // The least room that fill() needs.
    static constexpr std::size_t kLongestRecord = kLongestRecordHeader + kLongestIdentity + kLongestState;

    explicit Outbox(FlowTable& table);

    // A stream begins, whose packet numbers do too: the peer knows nothing, and everything is queued, as
    // bulk. Takes time for each slot.
    void restart();
    // There is no peer any more.
    void stop();
    bool is_running() const { return running_; }

    // The slot's flow is new, or its state.
    void changed(Instant now, Slot slot);
    // The slot's flow has just been erased, with this outbox among the holders. Releases the slot, at once or
    // when the peer has acknowledged its end.
    void ended(Instant now, Slot slot);

    // The peer asks for a bucket (D3): all its slots are queued as bulk, empty ones too. More often than once
    // a second isn't heeded, and counted.
    void ask(Instant now, std::size_t bucket);

    // Writes records as long as they fit and returns how many bytes it wrote; 0: nothing waits, or the window
    // is full. `packet` rises from call to call; `out` has room for kLongestRecord. What it wrote counts as
    // sent, whether it arrives or not.
    std::size_t fill(std::uint64_t packet, Instant now, std::span<std::uint8_t> out);
    // When fill() should be called next: a time that has passed if a datagram is full, the last one is long
    // ago, or there is hurry; kNever if nothing waits or the window is full.
    Instant next_send() const;
    // Packets wait for what is live, or to be repeated (F3).
    void set_hurry(bool hurry) { hurry_ = hurry; }

    void acknowledged(Instant now, const Ack& ack);

    // When something on its way will count as lost; check() then queues it again.
    Instant next_deadline() const;
    void check(Instant now);

    // The peer has acknowledged all flows that there were at restart() (B1).
    bool is_complete() const { return running_ && initial_ == 0; }
    // The peer has acknowledged the newest state of the slot's flow.
    bool is_known(Slot slot) const {
        const Entry entry = entries_.get(slot);
        return entry.known && !entry.on_its_way && entry.urgency == kNotQueued;
    }
    // No slot of the bucket waits or is on its way, so that its digest may be sent (D2).
    bool is_quiet(std::size_t bucket) const { return busy_[bucket] == 0; }

    std::uint32_t waiting() const { return waiting_; }  // slots
    // For how long the oldest change waits that the peer hasn't acknowledged; 0: it has acknowledged all.
    // Never less; more as far as those that waited or left together are taken for as old as their oldest,
    // which is at most the time that a change takes to pass the queue. What waits as bulk is no change.
    Duration lag(Instant now) const;
    std::size_t datagrams_on_their_way() const { return departures_.on_their_way(); }
    const Pace& pace() const { return pace_; }
    const OutboxCounters& counters() const { return counters_; }
    std::size_t memory() const;  // bytes, besides the table's

 private:
    // In the order in which they leave, but for every fourth datagram (N7).
    enum Urgency : std::uint8_t { kNotQueued, kRepair, kLive, kBulk, kUrgencies };

    static constexpr Slot kNone = FlowTable::kMostSlots;
    // Of a slot.
    struct Entry {
        std::uint32_t next : 28 = kNone;
        std::uint32_t urgency : 2 = kNotQueued;
        std::uint32_t generation : 2 = 0;  // of flows in it whose end was acknowledged
        std::uint32_t previous : 28 = kNone;
        std::uint32_t told : 1 = 0;        // its flow was sent at all
        std::uint32_t known : 1 = 0;       // a FULL of it was acknowledged
        std::uint32_t initial : 1 = 0;     // of those that is_complete() waits for
        std::uint32_t on_its_way : 1 = 0;  // and nothing newer is than in
        std::uint32_t last = 0;            // this packet, its low half
    };
    static_assert(sizeof(Entry) == 12);
    struct Queue {
        Slot first = kNone, last = kNone;
    };

    // A record on its way, as departures_ keep it.
    static std::uint32_t pack(const RecordHeader& header, std::uint32_t generation);

    void forget_peer();
    void queue_live(Instant now, Slot slot);
    void queue(Slot slot, Urgency urgency);
    void unlink(Slot slot, Entry& entry);
    void settle(Entry& entry);
    bool can_send() const;
    Instant oldest_waiting() const;
    void note_oldest(Instant now);
    std::size_t put(Slot slot, std::uint64_t packet, std::span<std::uint8_t> out);
    void on_arrived(const Departures::Datagram& datagram);
    void on_arrived(RecordHeader record, std::uint32_t generation, std::uint32_t packet);
    void on_lost(const Departures::Datagram& datagram);

    FlowTable& table_;
    SlotArray<Entry> entries_;
    std::array<Queue, kUrgencies> queues_;
    Departures departures_;
    Pace pace_;
    bool running_ = false, hurry_ = false;
    std::uint32_t waiting_ = 0, initial_ = 0;
    std::uint64_t last_packet_ = 0;
    Instant last_sent_ = Instant{} - Pace::kGap;
    // No change of the queue waits for longer than since then, of what is to be repaired and of what is live.
    // What was queued behind live_mark_ was so after live_mark_at_: when that has left, it says the same
    // anew.
    Instant repair_since_ = kNever, live_since_ = kNever, live_mark_at_ = kNever;
    Slot live_mark_ = kNone;
    // To guess whether what waits fills a datagram: the length of records as of late, in 1/16 bytes, and the
    // room that there was.
    std::size_t record_size_ = 16 * 26, room_ = 1400;
    std::array<std::uint32_t, kBuckets> busy_{};  // slots that wait or are on their way
    std::array<Instant, kBuckets> ask_again_;     // when a bucket may be asked for again
    OutboxCounters counters_;
};

}  // namespace carpd
