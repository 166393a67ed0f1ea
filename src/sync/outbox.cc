#include "sync/outbox.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"

namespace carpd {

namespace {

constexpr std::uint64_t kLostAfter = 3;  // later ones that were acknowledged
constexpr Duration kAskAgain = std::chrono::seconds(1);

}  // namespace

// ---- acknowledgements

bool Ack::covers(std::uint64_t packet) const {
    if (packet >= highest) return packet == highest;
    const std::uint64_t bit = highest - 1 - packet;
    return bit / 64 < received_before.size() && (received_before[bit / 64] >> bit % 64 & 1);
}

std::uint64_t Ack::later_than(std::uint64_t packet) const {
    if (packet >= highest) return 0;
    std::uint64_t count = 1, bits = highest - 1 - packet;
    for (const std::uint64_t word : received_before) {
        if (bits < 64) return count + std::popcount(word & ((std::uint64_t{1} << bits) - 1));
        count += std::popcount(word);
        bits -= 64;
    }
    return count;
}

void Outbox::acknowledged(Instant now, const Ack& ack) {
    bool any_lost = false;
    Instant latest = Instant::min();
    for (std::size_t i = 0; i < departures_.size() && departures_[i].packet <= ack.highest; ++i) {
        const Departures::Datagram& datagram = departures_[i];
        if (datagram.done || !ack.covers(datagram.packet)) continue;
        on_arrived(datagram);
        latest = datagram.sent;
        departures_.set_done(i);
    }
    if (latest != Instant::min()) pace_.on_round_trip(now - latest);
    for (std::size_t i = 0; i < departures_.size() && departures_[i].packet < ack.highest; ++i) {
        if (departures_[i].done || ack.later_than(departures_[i].packet) < kLostAfter) continue;
        on_lost(departures_[i]);
        departures_.set_done(i);
        any_lost = true;
    }
    if (any_lost) pace_.on_loss(now);
    departures_.drop_done();
}

void Outbox::check(Instant now) {
    const Instant overdue = now - pace_.patience();
    bool any_lost = false;
    for (; departures_.size() > 0 && departures_[0].sent <= overdue; departures_.drop_done()) {
        on_lost(departures_[0]);
        departures_.set_done(0);
        any_lost = true;
    }
    if (!any_lost) return;
    pace_.on_loss(now);
    pace_.on_impatience();
}

Instant Outbox::next_deadline() const {
    return departures_.size() == 0 ? kNever : departures_[0].sent + pace_.patience();
}

void Outbox::on_arrived(const Departures::Datagram& datagram) {
    for (std::uint32_t i = 0; i < datagram.count; ++i) {
        const std::uint32_t record = departures_.record(datagram, i);
        on_arrived({static_cast<RecordKind>(record >> 28 & 3), record & kNone}, record >> 30,
                   static_cast<std::uint32_t>(datagram.packet));
    }
    pace_.on_acknowledged();
}

// A datagram may arrive so late that the slot has another flow by now; the generation tells. Four don't go by
// while it is on its way: each ends with a later datagram that was acknowledged, and after three it is lost.
void Outbox::on_arrived(RecordHeader record, std::uint32_t generation, std::uint32_t packet) {
    Entry& entry = entries_[record.slot];
    if (entry.generation != generation) return;
    if (record.kind == RecordKind::full) {
        entry.known = 1;
        settle(entry);
    }
    if (!entry.on_its_way || entry.last != packet) return;
    entry.on_its_way = 0;
    if (entry.urgency != kNotQueued) return;
    --busy_[bucket_of(record.slot)];
    if (record.kind != RecordKind::end || !entry.told) return;
    settle(entry);
    entry = {};
    entry.generation = (generation + 1) & 3;
    table_.release(record.slot);
}

void Outbox::on_lost(const Departures::Datagram& datagram) {
    for (std::uint32_t i = 0; i < datagram.count; ++i) {
        const std::uint32_t record = departures_.record(datagram, i);
        Entry& entry = entries_[record & kNone];
        if (!entry.on_its_way || entry.last != static_cast<std::uint32_t>(datagram.packet)) continue;
        if (entry.urgency == kLive) repair_since_ = std::min(repair_since_, live_since_);
        repair_since_ = std::min(repair_since_, datagram.since);
        queue(record & kNone, kRepair);
        entry.on_its_way = 0;
    }
    ++counters_.lost_datagrams;
}

// ---- what is to be told

Outbox::Outbox(FlowTable& table) : table_(table) {
    ask_again_.fill(Instant::min());
}

void Outbox::restart() {
    forget_peer();
    running_ = true;
    for (Slot slot = 0; slot < table_.end(); ++slot) {
        if (!table_.holds(slot)) continue;
        queue(slot, kBulk);
        entries_[slot].initial = 1;
        ++initial_;
    }
}

void Outbox::stop() {
    forget_peer();
    running_ = false;
}

void Outbox::forget_peer() {
    for (Slot slot = 0; running_ && slot < table_.end(); ++slot) {
        const bool reserved = entries_.get(slot).told && !table_.holds(slot);
        entries_[slot] = {};
        if (reserved) table_.release(slot);
    }
    queues_.fill({});
    departures_.clear();
    busy_.fill(0);
    ask_again_.fill(Instant::min());
    pace_ = {};
    waiting_ = initial_ = 0;
    last_packet_ = 0;
    repair_since_ = kNever;
    live_mark_ = kNone;
}

void Outbox::changed(Instant now, Slot slot) {
    if (running_) queue_live(now, slot);
}

void Outbox::ended(Instant now, Slot slot) {
    Entry entry = entries_.get(slot);
    if (entry.told) return queue_live(now, slot);
    if (entry.urgency != kNotQueued) {
        unlink(slot, entries_[slot]);
        settle(entries_[slot]);
        if (!entry.on_its_way) --busy_[bucket_of(slot)];
    }
    table_.release(slot);
}

void Outbox::ask(Instant now, std::size_t bucket) {
    if (bucket >= kBuckets) {
        ++counters_.bad_bucket;
        return;
    }
    if (!running_ || now < ask_again_[bucket]) {
        ++counters_.asked_too_soon;
        return;
    }
    ask_again_[bucket] = now + kAskAgain;
    ++counters_.buckets_asked;
    for (auto slot = static_cast<Slot>(bucket); slot < table_.end(); slot += kBuckets) {
        queue(slot, kBulk);
        entries_[slot].known = 0;
    }
}

void Outbox::queue_live(Instant now, Slot slot) {
    if (queues_[kLive].first == kNone) live_since_ = live_mark_at_ = now;
    if (entries_.get(slot).urgency == kRepair) repair_since_ = std::min(repair_since_, now);
    queue(slot, kLive);
}

// Nothing that waits waits longer for it.
void Outbox::queue(Slot slot, Urgency urgency) {
    Entry& entry = entries_[slot];
    if (entry.urgency != kNotQueued) {
        if (entry.urgency <= urgency) return;
        unlink(slot, entry);
    } else if (!entry.on_its_way) {
        ++busy_[bucket_of(slot)];
    }
    Queue& queue = queues_[urgency];
    if (queue.last == kNone)
        queue.first = slot;
    else
        entries_[queue.last].next = slot & kNone;
    entry.urgency = urgency & 3;
    entry.previous = queue.last & kNone;
    entry.next = kNone;
    queue.last = slot;
    ++waiting_;
}

void Outbox::unlink(Slot slot, Entry& entry) {
    Queue& queue = queues_[entry.urgency];
    CARPD_ASSERT(entry.urgency != kNotQueued && (entry.previous != kNone || queue.first == slot));
    if (entry.previous == kNone)
        queue.first = entry.next;
    else
        entries_[entry.previous].next = entry.next;
    if (entry.next == kNone)
        queue.last = entry.previous;
    else
        entries_[entry.next].previous = entry.previous;
    if (slot == live_mark_) live_mark_ = entry.previous;
    entry.urgency = kNotQueued;
    --waiting_;
}

void Outbox::settle(Entry& entry) {
    initial_ -= entry.initial;
    entry.initial = 0;
}

// ---- sending

bool Outbox::can_send() const {
    return waiting_ > 0 && departures_.on_their_way() < pace_.window() && departures_.has_room();
}

Instant Outbox::next_send() const {
    if (!can_send()) return kNever;
    const bool hurry = hurry_ && (queues_[kRepair].first != kNone || queues_[kLive].first != kNone);
    return hurry || waiting_ * record_size_ >= 16 * room_ ? last_sent_ : last_sent_ + Pace::kGap;
}

std::size_t Outbox::fill(std::uint64_t packet, Instant now, std::span<std::uint8_t> out) {
    CARPD_ASSERT(packet > last_packet_ && out.size() >= kLongestRecord);
    if (!can_send()) return 0;
    const Instant since = oldest_waiting();
    std::size_t size = 0;
    std::uint32_t count = 0;
    bool fits = true;
    const bool bulk_first = counters_.datagrams % 4 == 3;  // N7
    for (const Urgency urgency : {kRepair, bulk_first ? kBulk : kLive, bulk_first ? kLive : kBulk})
        while (fits && queues_[urgency].first != kNone && departures_.has_room()) {
            const std::size_t written = put(queues_[urgency].first, packet, out.subspan(size));
            fits = written > 0;
            size += written;
            count += fits;
        }
    record_size_ = (3 * record_size_ + 16 * size / count) / 4;
    room_ = out.size();
    departures_.close(packet, now, since);
    note_oldest(now);
    last_packet_ = packet;
    last_sent_ = now;
    ++counters_.datagrams;
    return size;
}

// ---- lag

Instant Outbox::oldest_waiting() const {
    return std::min(queues_[kRepair].first == kNone ? kNever : repair_since_,
                    queues_[kLive].first == kNone ? kNever : live_since_);
}

// What is live leaves in the order in which it was queued.
void Outbox::note_oldest(Instant now) {
    if (queues_[kRepair].first == kNone) repair_since_ = kNever;
    if (live_mark_ != kNone || queues_[kLive].first == kNone) return;
    live_since_ = live_mark_at_;
    live_mark_ = queues_[kLive].last;
    live_mark_at_ = now;
}

Duration Outbox::lag(Instant now) const {
    Instant oldest = std::min(now, oldest_waiting());
    for (std::size_t i = 0; i < departures_.size(); ++i)
        if (!departures_[i].done) oldest = std::min(oldest, departures_[i].since);
    return now - oldest;
}

// ---- records

// The slot's record, if there is room for it.
std::size_t Outbox::put(Slot slot, std::uint64_t packet, std::span<std::uint8_t> out) {
    Entry& entry = entries_[slot];
    const bool holds = table_.holds(slot);
    const RecordKind kind = !holds ? RecordKind::end : entry.known ? RecordKind::state : RecordKind::full;
    const Bytes identity = kind == RecordKind::full ? table_.identity(slot) : Bytes{};
    const Bytes state = holds ? table_.state(slot) : Bytes{};
    std::uint8_t header[kLongestRecordHeader];
    const std::size_t header_size = encode(RecordHeader{kind, slot}, header);
    if (header_size + identity.size() + state.size() > out.size()) return 0;

    ByteWriter writer(out);
    writer.bytes(Bytes(header, header_size));
    writer.bytes(identity);
    writer.bytes(state);
    unlink(slot, entry);
    if (holds) entry.told = 1;
    entry.on_its_way = 1;
    entry.last = static_cast<std::uint32_t>(packet);
    departures_.note(pack({kind, slot}, entry.generation));
    ++(kind == RecordKind::full    ? counters_.full_records
       : kind == RecordKind::state ? counters_.state_records
                                   : counters_.end_records);
    return writer.size();
}

std::uint32_t Outbox::pack(const RecordHeader& header, std::uint32_t generation) {
    return generation << 30 | static_cast<std::uint32_t>(header.kind) << 28 | header.slot;
}

std::size_t Outbox::memory() const {
    return sizeof *this + entries_.memory() + departures_.memory();
}

}  // namespace carpd
