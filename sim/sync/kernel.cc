#include "sim/sync/kernel.h"

namespace carpd::sim::sync {

namespace {

constexpr std::uint32_t kNeverTakenAway = 0x2 | 0x4;  // SEEN_REPLY, ASSURED: the kernel says EBUSY

Moment end_of(Moment now, const FlowState& state) {
    return now + static_cast<Moment>(state.timeout) * kSecond;
}

}  // namespace

Entry* Kernel::find(const Name& name) {
    const auto it = entries_.find(name);
    return it == entries_.end() ? nullptr : &it->second;
}

// ---- traffic

bool Kernel::begin(Moment now, std::uint32_t connection, const Flow& flow) {
    end(name_of(flow.identity), Gone::ended);
    if (entries_.size() >= limit) return false;
    insert(now, connection, flow);
    Entry& entry = entries_.at(name_of(flow.identity));
    entry.touched = now;
    tell(FlowEvent::Kind::created, entry, nullptr);
    return true;
}

void Kernel::touch(Moment now, Entry& entry, std::uint32_t timeout) {
    entry.touched = now;
    entry.flow.state.timeout = timeout;
    entry.ends = end_of(now, entry.flow.state);
}

void Kernel::change(Moment now, Entry& entry, const FlowState& state) {
    const FlowState before = entry.flow.state;
    entry.flow.state = state;
    entry.touched = entry.changed = now;
    entry.ends = end_of(now, state);
    tell(FlowEvent::Kind::changed, entry, &before);
}

void Kernel::end(const Name& name, Gone gone) {
    const auto it = entries_.find(name);
    if (it != entries_.end()) erase(it, gone, true);
}

void Kernel::expire(Moment now) {
    for (auto it = entries_.begin(); it != entries_.end();)
        if (const auto entry = it++; entry->second.ends <= now) erase(entry, Gone::expired, true);
}

void Kernel::flush() {
    while (!entries_.empty()) erase(entries_.begin(), Gone::flushed, true);
}

void Kernel::insert(Moment now, std::uint32_t connection, const Flow& flow) {
    Entry entry;
    entry.flow = flow;
    entry.connection = connection;
    entry.ends = end_of(now, flow.state);
    entry.changed = now;
    replies_[{flow.identity.reply, flow.identity.zone}] = name_of(flow.identity);
    entries_.emplace(name_of(flow.identity), entry);
}

void Kernel::erase(std::map<Name, Entry>::iterator it, Gone gone, bool says_so) {
    if (on_gone) on_gone(it->second, gone);
    if (says_so) tell(FlowEvent::Kind::ended, it->second, nullptr);
    replies_.erase({it->second.flow.identity.reply, it->second.flow.identity.zone});
    entries_.erase(it);
}

// ---- SyncHost's changes

// As ConntrackTable::run(): update, else create; what is in the way is removed.
std::optional<FlowChangeFailure> Kernel::make(Moment now, const FlowChange& change,
                                              std::uint32_t connection) {
    const FlowIdentity& identity = change.flow.identity;
    auto there = entries_.find(name_of(identity));
    if (change.kind == FlowChange::Kind::remove) {
        const auto other_way = replies_.find(name_of(identity));
        if (there == entries_.end() && other_way != replies_.end()) there = entries_.find(other_way->second);
        if (there != entries_.end()) erase(there, Gone::removed, false);
        return std::nullopt;
    }
    const bool refused = change.kind == FlowChange::Kind::create &&
                         (identity.is_translated() || identity.master || !identity.helper_name().empty());
    if (there != entries_.end()) {
        Entry& entry = there->second;
        const std::uint32_t lost = entry.flow.state.status & ~change.flow.state.status & kNeverTakenAway;
        if (!refused && lost == 0) {  // whatever its reply tuple
            entry.connection = connection;
            entry.flow.state = change.flow.state;
            entry.ends = end_of(now, entry.flow.state);
            return std::nullopt;
        }
        erase(there, Gone::replaced, false);
    }
    const auto rival = replies_.find({identity.reply, identity.zone});
    if (rival != replies_.end()) end(rival->second, Gone::evicted);
    if (entries_.size() >= limit) return FlowChangeFailure::full;
    Flow flow = change.flow;
    if (flow.identity.master && !entries_.contains({*flow.identity.master, flow.identity.zone}))
        flow.identity.master.reset();
    insert(now, connection, flow);
    return std::nullopt;
}

// ---- events

void Kernel::listen() {
    deafen();
    listening_ = true;
}

void Kernel::deafen() {
    events_.clear();
    listening_ = losing_ = false;
    lost_ = 0;
    for (auto& [name, entry] : entries_) entry.known = kNoMoment;
}

// Of one that changed, only what changed of some parts; of one that ended, only the identity.
void Kernel::tell(FlowEvent::Kind kind, Entry& entry, const FlowState* before) {
    entry.version = ++versions_;
    entry.known = kNoMoment;
    if (!listening_ || (only_ends && kind != FlowEvent::Kind::ended)) return;
    if (events_.size() >= buffer) losing_ = true;
    if (losing_) {
        ++lost_;
        return;
    }
    FlowEvent event{kind, entry.flow, true, true, true};
    FlowState& state = event.flow.state;
    if (kind == FlowEvent::Kind::changed) {
        event.tells_protocol = before->protocol != state.protocol;
        event.tells_labels = before->labels != state.labels;
        event.tells_sequence = before->sequence != state.sequence;
    }
    if (kind == FlowEvent::Kind::ended)
        event.tells_protocol = event.tells_labels = event.tells_sequence = false;
    if (!event.tells_protocol) state.protocol = {};
    if (!event.tells_labels) state.labels = {};
    if (!event.tells_sequence) state.sequence.reset();
    if (kind == FlowEvent::Kind::ended) state.timeout = 0;
    if (kind != FlowEvent::Kind::created) {
        event.flow.identity.master.reset();
        event.flow.identity.helper = {};
    }
    events_.push_back({event, entry.version, entry.connection});
}

std::optional<Kernel::Heard> Kernel::next_event() {
    if (events_.empty()) return std::nullopt;
    const Heard heard = events_.front();
    events_.pop_front();
    return heard;
}

std::uint32_t Kernel::take_losses() {
    if (!events_.empty()) return 0;
    losing_ = false;
    return std::exchange(lost_, 0);
}

}  // namespace carpd::sim::sync
