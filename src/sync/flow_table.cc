#include "sync/flow_table.h"

#include <algorithm>

#include "base/assert.h"

namespace carpd {

FlowTable::FlowTable(std::uint32_t max_slots, const SipKey& key)
    : max_slots_(std::min(max_slots, kMostSlots)), key_(key) {}

std::optional<Slot> FlowTable::find(Bytes identity) const {
    return find(name_hash(identity), identity);
}

std::optional<Slot> FlowTable::find_name(Bytes identity) const {
    std::uint8_t wanted[kLongestFlowName], name[kLongestFlowName];
    const Bytes wanted_name(wanted, put_flow_name(identity, wanted));
    return index_.find(siphash(key_, wanted_name), [&](Slot slot) {
        return std::ranges::equal(Bytes(name, put_flow_name(this->identity(slot), name)), wanted_name);
    });
}

// Of the name, so that one index finds both.
std::uint64_t FlowTable::name_hash(Bytes identity) const {
    std::uint8_t name[kLongestFlowName];
    return siphash(key_, {name, put_flow_name(identity, name)});
}

std::optional<Slot> FlowTable::find(std::uint64_t hash, Bytes identity) const {
    return index_.find(hash, [&](Slot slot) { return std::ranges::equal(this->identity(slot), identity); });
}

std::optional<Slot> FlowTable::insert(Bytes identity, Bytes state) {
    Slot slot = first_free_;
    if (slot != kNoSlot) {
        first_free_ = words_[slot] & kNoSlot;
        words_[slot] = 0;
    } else if (end_ < max_slots_) {
        slot = end_;
    } else {
        ++refused_;
        return std::nullopt;
    }
    insert_at(slot, identity, state);
    return slot;
}

void FlowTable::insert_at(Slot slot, Bytes identity, Bytes state) {
    const std::uint64_t hash = name_hash(identity);
    CARPD_ASSERT(slot < max_slots_ && words_.get(slot) < kFree && !find(hash, identity));
    words_[slot] = make_cell(slot, identity, state);
    index_.insert(hash, slot);
    digests_[bucket_of(slot)] ^= hash_of(slot);
    end_ = std::max(end_, slot + 1);
    ++size_;
}

void FlowTable::set_state(Slot slot, Bytes state) {
    digests_[bucket_of(slot)] ^= hash_of(slot);
    const Bytes identity = this->identity(slot);
    const CellNumber old = words_[slot];
    if (Cells::units_for(kHeader + identity.size() + state.size()) == Cells::units(old)) {
        std::uint8_t* bytes = cells_[old];
        bytes[1] = static_cast<std::uint8_t>(state.size());
        std::ranges::copy(state, bytes + kHeader + identity.size());
    } else {
        words_[slot] = make_cell(slot, identity, state);
        remove_cell(old);
    }
    digests_[bucket_of(slot)] ^= hash_of(slot);
}

Bytes FlowTable::identity(Slot slot) const {
    const std::uint8_t* bytes = cell(slot);
    return {bytes + kHeader, bytes[0]};
}

Bytes FlowTable::state(Slot slot) const {
    const std::uint8_t* bytes = cell(slot);
    return {bytes + kHeader + bytes[0], bytes[1]};
}

void FlowTable::erase(Slot slot, std::uint32_t holders) {
    CARPD_ASSERT(holders < kFree);
    digests_[bucket_of(slot)] ^= hash_of(slot);
    index_.erase(name_hash(identity(slot)), slot);
    remove_cell(words_[slot]);
    --size_;
    words_[slot] = holders + 1;
    release(slot);
}

void FlowTable::release(Slot slot) {
    Word& word = words_[slot];
    CARPD_ASSERT(word > 0 && word < kFree);
    if (--word > 0) return;
    word = kFree | first_free_;
    first_free_ = slot;
}

std::size_t FlowTable::memory() const {
    return sizeof *this - sizeof index_ + words_.memory() + cells_.memory() + index_.memory();
}

const std::uint8_t* FlowTable::cell(Slot slot) const {
    const Word word = words_.get(slot);
    CARPD_ASSERT(word >= kFirstCell);
    return cells_[word];
}

std::uint64_t FlowTable::hash_of(Slot slot) const {
    const std::uint8_t* bytes = cell(slot);
    return siphash({}, {bytes + kSizes, kHeader - kSizes + bytes[0] + bytes[1]});
}

CellNumber FlowTable::make_cell(Slot slot, Bytes identity, Bytes state) {
    CARPD_ASSERT(identity.size() <= kLongestIdentity && state.size() <= kLongestState);
    const std::size_t size = kHeader + identity.size() + state.size();
    const CellNumber number = cells_.add(Cells::units_for(size));
    ByteWriter writer({cells_[number], size});
    writer.u8(static_cast<std::uint8_t>(identity.size()));
    writer.u8(static_cast<std::uint8_t>(state.size()));
    writer.u32(slot);
    writer.bytes(identity);
    writer.bytes(state);
    return number;
}

void FlowTable::remove_cell(CellNumber number) {
    if (!cells_.remove(number)) return;
    const Bytes moved(cells_[number], kHeader);
    words_[static_cast<Slot>(read_u16(moved, kSizes)) << 16 | read_u16(moved, kSizes + 2)] = number;
}

}  // namespace carpd
