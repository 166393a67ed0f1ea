// A kernel's connection tracking: a table of flows that traffic makes and changes, that says so in events as
// linux/conntrack_events.h and conntrack_message.h have it, and that takes the changes of SyncHost as
// linux/conntrack_table.h makes them. It outlives the process, not the power.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "sim/moment.h"
#include "sync/host.h"

namespace carpd::sim::sync {

// The original direction and the zone, or the reply and the zone.
using Name = std::pair<FlowTuple, std::uint16_t>;

inline Name name_of(const FlowIdentity& identity) {
    return {identity.original, identity.zone};
}

// Why an entry is not in a table any more.
enum class Gone : std::uint8_t {
    ended,     // by its traffic
    expired,   // its timeout
    removed,   // by SyncHost
    replaced,  // by SyncHost, which puts another in its place at once
    evicted,   // by SyncHost's driver: another flow has its reply tuple
    flushed,   // by an operator, or the power
};

struct Entry {
    Flow flow;
    std::uint32_t connection = 0;
    Moment ends = 0;
    Moment touched = 0;         // by traffic here; 0: never
    Moment changed = 0;         // what is told of it
    std::uint64_t version = 0;  // of the last change that an event was to tell
    Moment known = kNoMoment;   // since when the process knows it as it is
};

class Kernel {
 public:
    // Told of every entry that goes, before it goes.
    std::function<void(const Entry&, Gone)> on_gone;

    const std::map<Name, Entry>& entries() const { return entries_; }
    Entry* find(const Name& name);
    bool has_reply(const Name& reply) const { return replies_.contains(reply); }
    std::size_t limit = SIZE_MAX;  // of entries

    // ---- traffic; each says so in an event, but touch()

    // False: the table is full. Whatever has its tuples ends.
    bool begin(Moment now, std::uint32_t connection, const Flow& flow);
    void touch(Moment now, Entry& entry, std::uint32_t timeout);
    void change(Moment now, Entry& entry, const FlowState& state);
    void end(const Name& name, Gone gone);
    // Ends what is over.
    void expire(Moment now);
    void flush();

    // ---- SyncHost's changes

    // Which connection an identity is, is the world's to know.
    std::optional<FlowChangeFailure> make(Moment now, const FlowChange& change, std::uint32_t connection);

    // ---- events

    struct Heard {
        FlowEvent event;
        std::uint64_t version;  // of the entry
        std::uint32_t connection;
    };
    // Nobody hears events before; the first one's buffer holds so many.
    void listen();
    void deafen();
    std::size_t buffer = SIZE_MAX;
    bool only_ends = true;  // of the rest nobody is told
    bool has_news() const { return !events_.empty() || lost_ > 0; }
    std::optional<Heard> next_event();
    // So many were lost, once all others were read.
    std::uint32_t take_losses();

 private:
    void tell(FlowEvent::Kind kind, Entry& entry, const FlowState* before);
    void insert(Moment now, std::uint32_t connection, const Flow& flow);
    void erase(std::map<Name, Entry>::iterator it, Gone gone, bool says_so);

    std::map<Name, Entry> entries_;
    std::map<Name, Name> replies_;  // to the names
    std::deque<Heard> events_;
    bool listening_ = false, losing_ = false;
    std::uint32_t lost_ = 0;
    std::uint64_t versions_ = 0;
};

}  // namespace carpd::sim::sync
