// What a peer owns, as this host has heard it, and what of it is news to the kernel (N5, D3 of
// docs/protocol/sync.md). Fed with the records of authentic datagrams, in whatever order they came.
//
// A peer's records are believed, but bounded: slots from `max_slots` on are refused and counted, and memory
// is at most what so many flows need.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/siphash.h"
#include "sync/flow_table.h"
#include "sync/slot_array.h"
#include "wire/flow_record.h"

namespace carpd {

// A record of a FLOWS region. Its bytes are views of the datagram's, valid as encodings of an identity and of
// a state; a FULL has both, a STATE the latter.
struct Record {
    RecordHeader header;
    Bytes identity, state;
};

// From the beginning of `rest`, which it shortens by what was read. Nothing if it begins with no record:
// where the next one would begin is unknown then.
std::optional<Record> take_record(Bytes& rest);

// What a record changed, for the kernel. The bytes are views, good until the inbox is next called.
struct Change {
    enum class Kind : std::uint8_t {
        nothing,  // of a record that said what was known: identity, state
        upsert,   // a flow that wasn't here: identity, state. It may be in the kernel all the same.
        update,   // state of a flow that is here: identity, state
        erase,    // a flow is gone: `gone`
    };
    Kind kind = Kind::nothing;
    Slot slot = 0;
    Bytes gone;  // upsert: the flow that was in this slot, if one was; it goes first
    Bytes identity, state;
    std::uint32_t gone_note = 0;  // of the flow that is gone
};

// Every record is counted in one of these, but `erased` are leftovers, too, and `forgotten` are flows.
struct InboxCounters {
    std::uint64_t upserts = 0, updates = 0, erased = 0;
    std::uint64_t unchanged = 0;      // said what was known
    std::uint64_t outdated = 0;       // N5: a later datagram has spoken of this slot, or of this flow
    std::uint64_t empty_slot = 0;     // N5: STATE or END where no flow is
    std::uint64_t forgotten = 0;      // of streams before the previous one, more than there is room for
    std::uint64_t slot_too_high = 0;  // refused
};

class Inbox {
 public:
    // As FlowTable.
    Inbox(std::uint32_t max_slots, const SipKey& key);

    // The peer's stream is a new one, whose packet numbers and slots begin again. What was heard in the one
    // before stays in the kernel and is kept apart: the new stream says it again, in whatever slots, and what
    // it hasn't said when its owner is complete is gone. Takes no time, unless this happens before that is
    // over.
    void restart();
    // What the stream before this one told and this one hasn't yet; null if that is over.
    const FlowTable* previous() const { return previous_.get(); }
    // The next of those, erased, until there is none. To be asked for when the owner says `complete` (B1).
    std::optional<Change> next_leftover();
    // Erases the slot's flow of this stream, if there is one, though its owner has it: it is known again when
    // a FULL names it.
    Change forget(Slot slot);

    // `packet` is the number of the datagram, from 1.
    Change apply(std::uint64_t packet, const Record& record);

    // Whether a bucket's digest in datagram `packet` shows that something is missing or too much here (D3).
    // Nothing if a later datagram, or this one, has spoken of the bucket: then it compares with nothing.
    std::optional<bool> differs(std::uint64_t packet, std::size_t bucket, std::uint64_t digest) const;

    const FlowTable& table() const { return *table_; }

    // A number that the caller keeps with a flow of table() or previous(), whatever slot or stream it moves
    // to. 0 until it is set.
    std::uint32_t note(const FlowTable& table, Slot slot) const {
        return (&table == table_.get() ? notes_ : previous_notes_).get(slot);
    }
    void set_note(const FlowTable& table, Slot slot, std::uint32_t note) {
        (&table == table_.get() ? notes_ : previous_notes_)[slot] = note;
    }

    const InboxCounters& counters() const { return counters_; }
    std::size_t memory() const;  // bytes, the table's included

 private:
    void spoke_of_bucket(Slot slot, std::uint64_t packet);
    Change apply_full(std::uint64_t packet, const Record& record);
    Change apply_state(const Record& record);
    Change erase(FlowTable& table, Slot slot);
    void keep_gone(FlowTable& table, Slot slot, Change& change);

    const SipKey key_;
    std::unique_ptr<FlowTable> table_, previous_;
    SlotArray<std::uint32_t> notes_, previous_notes_;  // of each, by slot; 0 where no flow is
    SlotArray<std::uint64_t> heard_;  // the packet that spoke of a slot last; 0: none of this stream
    std::array<std::uint64_t, kBuckets> heard_of_bucket_{};
    Slot leftover_ = 0;  // below it previous_ has none
    std::array<std::uint8_t, kLongestIdentity> gone_{};
    InboxCounters counters_;
};

}  // namespace carpd
