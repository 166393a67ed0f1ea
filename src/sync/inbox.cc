#include "sync/inbox.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace carpd {

std::optional<Record> take_record(Bytes& rest) {
    Bytes bytes = rest;
    const auto header = decode_record_header(bytes);
    if (!header) return std::nullopt;
    Record record{*header, {}, {}};
    if (header->kind == RecordKind::full) {
        const Bytes before = bytes;
        if (!decode_identity(bytes)) return std::nullopt;
        record.identity = before.first(before.size() - bytes.size());
    }
    if (header->kind != RecordKind::end) {
        const Bytes before = bytes;
        if (!decode_state(bytes)) return std::nullopt;
        record.state = before.first(before.size() - bytes.size());
    }
    rest = bytes;
    return record;
}

Inbox::Inbox(std::uint32_t max_slots, const SipKey& key)
    : key_(key), table_(std::make_unique<FlowTable>(max_slots, key)) {}

void Inbox::restart() {
    auto fresh = std::make_unique<FlowTable>(table_->max_slots(), key_);
    if (previous_) {
        auto both = std::make_unique<FlowTable>(table_->max_slots(), key_);
        SlotArray<std::uint32_t> notes;
        for (const FlowTable* table : {previous_.get(), table_.get()})
            for (Slot slot = 0; slot < table->end(); ++slot) {
                if (!table->holds(slot)) continue;
                if (const auto there = both->insert(table->identity(slot), table->state(slot)))
                    notes[*there] = note(*table, slot);
                else
                    ++counters_.forgotten;
            }
        previous_ = std::move(both);
        previous_notes_ = std::move(notes);
    } else {
        previous_ = std::move(table_);
        previous_notes_ = std::move(notes_);
    }
    table_ = std::move(fresh);
    notes_ = {};
    heard_ = {};
    heard_of_bucket_.fill(0);
    leftover_ = 0;
}

std::optional<Change> Inbox::next_leftover() {
    for (; previous_ && leftover_ < previous_->end(); ++leftover_)
        if (previous_->holds(leftover_)) return erase(*previous_, leftover_);
    previous_.reset();
    previous_notes_ = {};
    return std::nullopt;
}

Change Inbox::forget(Slot slot) {
    return table_->holds(slot) ? erase(*table_, slot) : Change{};
}

Change Inbox::apply(std::uint64_t packet, const Record& record) {
    CARPD_ASSERT(packet > 0);
    const Slot slot = record.header.slot;
    if (slot >= table_->max_slots()) {
        ++counters_.slot_too_high;
        return {};
    }
    if (heard_.get(slot) > packet) {
        ++counters_.outdated;
        return {};
    }
    heard_[slot] = packet;
    spoke_of_bucket(slot, packet);
    if (record.header.kind == RecordKind::full) return apply_full(packet, record);
    if (!table_->holds(slot)) {
        ++counters_.empty_slot;
        return {};
    }
    return record.header.kind == RecordKind::state ? apply_state(record) : erase(*table_, slot);
}

std::optional<bool> Inbox::differs(std::uint64_t packet, std::size_t bucket, std::uint64_t digest) const {
    if (bucket >= kBuckets || heard_of_bucket_[bucket] >= packet) return std::nullopt;
    return table_->digest(bucket) != digest;
}

std::size_t Inbox::memory() const {
    return sizeof *this + table_->memory() + (previous_ ? previous_->memory() : 0) + notes_.memory() +
           previous_notes_.memory() + heard_.memory();
}

void Inbox::spoke_of_bucket(Slot slot, std::uint64_t packet) {
    std::uint64_t& of_bucket = heard_of_bucket_[bucket_of(slot)];
    of_bucket = std::max(of_bucket, packet);
}

// A flow that ended and came back has another slot, and which of the two was sent later says where it is.
Change Inbox::apply_full(std::uint64_t packet, const Record& record) {
    const Slot slot = record.header.slot;
    const auto known_in = table_->find(record.identity);
    if (known_in == slot) return apply_state(record);
    if (known_in && heard_.get(*known_in) > packet) {
        if (table_->holds(slot)) return erase(*table_, slot);
        ++counters_.outdated;
        return {};
    }
    Change change{Change::Kind::upsert, slot, {}, {}, {}};
    std::uint32_t note = 0;
    if (table_->holds(slot)) keep_gone(*table_, slot, change);
    if (known_in) {
        note = std::exchange(notes_[*known_in], 0);
        table_->erase(*known_in, 1);
        spoke_of_bucket(*known_in, packet);
    } else if (const auto before = previous_ ? previous_->find(record.identity) : std::nullopt) {
        note = std::exchange(previous_notes_[*before], 0);
        previous_->erase(*before, 0);
    }
    table_->insert_at(slot, record.identity, record.state);
    if (note) notes_[slot] = note;
    change.identity = table_->identity(slot);
    change.state = table_->state(slot);
    ++counters_.upserts;
    return change;
}

Change Inbox::apply_state(const Record& record) {
    const Slot slot = record.header.slot;
    if (std::ranges::equal(table_->state(slot), record.state)) {
        ++counters_.unchanged;
        return {Change::Kind::nothing, slot, {}, table_->identity(slot), table_->state(slot)};
    }
    table_->set_state(slot, record.state);
    ++counters_.updates;
    return {Change::Kind::update, slot, {}, table_->identity(slot), table_->state(slot)};
}

Change Inbox::erase(FlowTable& table, Slot slot) {
    Change change{Change::Kind::erase, slot, {}, {}, {}};
    keep_gone(table, slot, change);
    ++counters_.erased;
    return change;
}

void Inbox::keep_gone(FlowTable& table, Slot slot, Change& change) {
    const Bytes identity = table.identity(slot);
    std::ranges::copy(identity, gone_.begin());
    change.gone = {gone_.data(), identity.size()};
    change.gone_note = note(table, slot);
    if (change.gone_note) set_note(table, slot, 0);
    table.erase(slot, 1);
}

}  // namespace carpd
