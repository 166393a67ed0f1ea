#include "sync/deferral.h"

#include <algorithm>

#include "wire/frame_tuple.h"

namespace carpd {

namespace {

constexpr std::uint8_t kSynReceived = 2;  // enum tcp_conntrack

// The kernel has just seen the first packet that the flow's second end sent.
bool is_answered(const FlowEvent& event) {
    const auto* const tcp = std::get_if<TcpState>(&event.flow.state.protocol);
    return event.kind == FlowEvent::Kind::changed && (!tcp || tcp->state == kSynReceived);
}

}  // namespace

Deferral::Deferral(const SipKey& key, Duration longest)
    : key_(key), longest_(longest), sets_(std::make_unique<std::array<Set, kSets>>()) {
    held_.reserve(kMost);
    for (std::size_t i = 0; i < kMost; ++i) spare_.push_back(std::make_unique<Held>());
}

// Behind a translation each direction's packets look like the inverse of what the other direction expects.
void Deferral::on_event(const FlowEvent& event) {
    const FlowIdentity& flow = event.flow.identity;
    if (event.kind == FlowEvent::Kind::created)
        note(flow.reply.inverse(), flow);
    else if (is_answered(event))
        note(flow.original.inverse(), flow);
}

Deferral::Set& Deferral::set_of(const FlowTuple& tuple) {
    std::array<std::uint8_t, 40> bytes{};
    ByteWriter writer(bytes);
    writer.bytes(tuple.source.bytes());
    writer.bytes(tuple.destination.bytes());
    writer.u16(tuple.first);
    writer.u16(tuple.second);
    writer.u8(tuple.protocol);
    return (*sets_)[siphash(key_, Bytes(bytes).first(writer.size())) % kSets];
}

void Deferral::note(const FlowTuple& tuple, const FlowIdentity& flow) {
    Set& set = set_of(tuple);
    const auto same = std::ranges::find(set.notes, tuple, &Note::tuple);
    if (same != set.notes.end()) {
        same->flow = flow;
        return;
    }
    set.notes[set.next] = {tuple, flow};
    set.next = (set.next + 1) % kWays;
}

std::optional<FlowIdentity> Deferral::find(const FlowTuple& tuple) {
    const Set& set = set_of(tuple);
    const auto place = std::ranges::find(set.notes, tuple, &Note::tuple);
    return place != set.notes.end() ? std::optional(place->flow) : std::nullopt;
}

bool Deferral::hold(Instant now, std::size_t place, Bytes frame) {
    const auto tuple = tuple_of_frame(frame);
    if (!tuple || frame.size() > kLongestFrame || spare_.empty()) {
        ++(tuple ? counters_.overflow : counters_.not_told);
        return false;
    }
    held_.push_back(std::move(spare_.back()));
    spare_.pop_back();
    Held& held = *held_.back();
    held.until = now + longest_;
    held.place = place;
    held.tuple = *tuple;
    held.flow = std::nullopt;
    held.size = frame.size();
    std::ranges::copy(frame, held.bytes.begin());
    ++counters_.deferred;
    return true;
}

std::uint64_t* Deferral::reason_to_leave(Instant now, Held& held, bool heard_all, const Told& told) {
    if (!held.flow) held.flow = find(held.tuple);
    if (held.flow) {
        const SyncTold known = told(*held.flow);
        if (known == SyncTold::acknowledged) return &counters_.acknowledged;
        if (known == SyncTold::no && heard_all) return &counters_.not_told;
    } else if (heard_all) {
        return &counters_.not_told;
    }
    return held.until <= now ? &counters_.timed_out : nullptr;
}

void Deferral::release(Instant now, bool heard_all, const Told& told, const Send& send) {
    std::size_t kept = 0;
    for (std::unique_ptr<Held>& held : held_) {
        std::uint64_t* const reason = reason_to_leave(now, *held, heard_all, told);
        if (!reason) {
            std::swap(held_[kept++], held);
            continue;
        }
        ++*reason;
        send(held->place, Bytes(held->bytes).first(held->size));
        spare_.push_back(std::move(held));
    }
    held_.resize(kept);
}

}  // namespace carpd
