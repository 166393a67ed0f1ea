// Flows by slot and by identity, as their bytes (wire/flow_record.h): those that this host owns, or those of
// a peer. Rules are those of docs/protocol/sync.md.
//
// An owner's table gives out slots: insert() takes a free one, erase() reserves it for as many holders as
// must still say its end (each of its outboxes is one), and the last release() frees it. A receiver's table
// is told the slots: insert_at() takes any that has no flow. A table is used in one way or in the other.
//
// It takes memory as flows come, never a long pause, at most what `max_slots` flows of the longest kind need;
// memory of flows that went is used again. Views of bytes are good until the next change of the table, and
// what is given to it is not a view of itself.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/siphash.h"
#include "sync/cells.h"
#include "sync/slot_array.h"
#include "sync/slot_index.h"
#include "wire/sync_datagram.h"

namespace carpd {

// What digests are made of (D1): slot mod so many.
constexpr std::size_t bucket_of(Slot slot) {
    return slot % kBuckets;
}

class FlowTable {
 public:
    static constexpr std::uint32_t kMostSlots = Cells::kMaxPlace;

    // Slots are below `max_slots` (at most kMostSlots is taken). `key` is secret and random: identities come
    // from whoever sends packets.
    FlowTable(std::uint32_t max_slots, const SipKey& key);

    std::optional<Slot> find(Bytes identity) const;
    // One whose original direction and zone are those of `identity`, whatever else it says.
    std::optional<Slot> find_name(Bytes identity) const;
    // What stands for that name where a false one among 2^64 does no harm; of this table's key.
    std::uint64_t name_hash(Bytes identity) const;

    // Into a free slot; `identity` isn't in the table. Nothing, and counted as refused, if none is free.
    std::optional<Slot> insert(Bytes identity, Bytes state);
    // Into this slot, which is below max_slots() and has no flow; `identity` isn't in the table.
    void insert_at(Slot slot, Bytes identity, Bytes state);

    // All of a slot that holds a flow:
    void set_state(Slot slot, Bytes state);
    Bytes identity(Slot slot) const;
    Bytes state(Slot slot) const;
    // Reserves the slot (N4); without a holder it is free at once.
    void erase(Slot slot, std::uint32_t holders);

    // One of a reserved slot's holders needs it no longer.
    void release(Slot slot);

    bool holds(Slot slot) const { return words_.get(slot) >= kFirstCell; }

    // XOR of a hash of each flow of the bucket (D1). Both hosts come to the same.
    std::uint64_t digest(std::size_t bucket) const { return digests_[bucket]; }

    std::uint32_t size() const { return size_; }  // flows
    Slot end() const { return end_; }             // every slot ever used is below
    std::uint32_t max_slots() const { return max_slots_; }
    std::uint64_t refused() const { return refused_; }  // insert() without a free slot
    std::size_t memory() const;                         // bytes, all included

 private:
    // A slot's word is its cell's number; or 1 << 28 | next free slot; or the number of its holders.
    using Word = std::uint32_t;
    static constexpr Word kFree = 1u << 28, kFirstCell = Cells::kLeastUnits << 28;
    static constexpr Slot kNoSlot = kFree - 1;
    // A cell: size of identity, size of state, slot (4, network order), identity, state.
    static constexpr std::size_t kSizes = 2, kHeader = 6;
    static_assert(kHeader + kLongestIdentity + kLongestState <= Cells::kMostUnits * Cells::kUnit);

    std::optional<Slot> find(std::uint64_t hash, Bytes identity) const;
    const std::uint8_t* cell(Slot slot) const;
    std::uint64_t hash_of(Slot slot) const;
    CellNumber make_cell(Slot slot, Bytes identity, Bytes state);
    void remove_cell(CellNumber cell);

    const std::uint32_t max_slots_;
    const SipKey key_;
    SlotArray<Word> words_;
    Cells cells_;
    SlotIndex index_;
    std::array<std::uint64_t, kBuckets> digests_{};
    std::uint32_t size_ = 0;
    Slot end_ = 0, first_free_ = kNoSlot;
    std::uint64_t refused_ = 0;
};

}  // namespace carpd
