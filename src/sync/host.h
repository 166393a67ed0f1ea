// State synchronisation of one host with any number of peers (docs/protocol/sync.md): what the kernel says of
// its flows goes to the peers, what they say goes to the kernel. It joins a table of the flows that this host
// owns with a session for each peer (sync/session.h), and decides who owns a flow.
//
// Whoever drives it, a process with sockets or a simulator, passes in what happened, always with the time:
// events of the kernel, datagrams, CARP's news. After each call, and when next_deadline() has come
// (on_timer() first), it
//
//   1. makes the kernel's changes():     for (...) the first n of changes(); changes_done(n)
//   2. sends what is due:                while ((size = poll_transmit(now, peer, ...)) > 0) ...
//   3. dumps the kernel's table if wants_dump(): begin_dump(), each flow as an event that is `listed`,
//      end_dump(). Changes are made before a dump begins and before more events are read.
//
// The kernel doesn't tell of changes that were made here (linux/conntrack_events.h filters them); what it
// tells is news. Memory grows with the number of flows, up to `max_flows` of ours and of each peer, and with
// nothing else.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "sync/filter.h"
#include "sync/session.h"
#include "wire/flow_event.h"

namespace carpd {

struct SyncHostConfig {
    ChannelConfig channel;  // our name, `dead-after`
    std::uint32_t max_flows = 1u << 20;
    SipKey table_key;  // secret and random
    // What peers tell goes into our kernel when this host becomes MASTER of its first group, not at once
    // (C1).
    bool commit_at_takeover = false;
    bool finds_peers = false;  // there may be some, though none is known yet (sync/finder.h)
    std::function<bool(const Flow&)> tells = [](const Flow& flow) { return is_worth_telling(flow); };
    bool defers = false;  // packets wait until peers acknowledge their flows (F3)
};

// Why this host's copy isn't complete, so that it should be demoted as `sync` (B2).
enum class SyncIncomplete : std::uint8_t {
    no,         // it is complete
    starting,   // the kernel's table wasn't dumped yet, or peers had no time to be heard
    overrun,    // kernel events were lost, and no dump has said since what they would have
    receiving,  // a peer is up that hasn't told all
    differs,    // a digest shows that something is missing or too much
};
std::string_view to_string(SyncIncomplete reason);

// What peers know of a flow.
enum class SyncTold : std::uint8_t {
    no,           // nobody is told of it by this host: it isn't ours, or no peer is up
    waits,        // for an acknowledgement
    acknowledged  // a peer that is up has its newest state
};

// Why the kernel refused a change.
enum class FlowChangeFailure : std::uint8_t { full, unsupported, invalid, clash, other };
inline constexpr std::size_t kFlowChangeFailures = 5;
std::string_view to_string(FlowChangeFailure reason);

struct SyncHostCounters {
    std::uint64_t claimed = 0;        // W1: flows that were a peer's
    std::uint64_t taken_over = 0;     // W3
    std::uint64_t given_up = 0;       // W2: to a peer
    std::uint64_t kept = 0;           // W2: that a peer has, too
    std::uint64_t foreign_ended = 0;  // ended in our kernel, but not at their owner
    std::uint64_t not_told = 0;       // events of flows that aren't worth telling
    std::uint64_t swept = 0;          // ended because a dump didn't show them
    std::uint64_t refreshed = 0;      // T1
    std::uint64_t lost_events = 0;
    std::uint64_t bad_regions = 0;  // regions or records that can't be read
    std::uint64_t same_peer = 0;    // K9: peers that were forgotten
    std::uint64_t no_room = 0;      // datagrams that came while too many changes waited
    std::array<std::uint64_t, kFlowChangeFailures> failed{};
};

// A place in a walk over all flows. It begins at the first. When a peer is removed, it may miss some.
struct FlowCursor {
    std::size_t table = 0;  // ours, then of each peer those of its session before and those of this one
    Slot next = 0;
};

class SyncHost {
 public:
    static constexpr std::size_t kLeastDatagram = SyncSession::kLeastDatagram;
    // So many changes wait, and those of one datagram and one slice of work; what makes more waits until they
    // were made.
    static constexpr std::size_t kMostChanges = 8192;

    SyncHost(Instant now, SyncHostConfig config, const SyncKeys& keys, std::size_t peers,
             const Channel::FillRandom& fill_random);

    // ---- the kernel

    void on_event(Instant now, const FlowEvent& event);
    // So many events, at least, were lost.
    void on_lost_events(Instant now, std::uint64_t count);
    bool wants_dump() const;
    // What isn't listed by the end, nor had an event meanwhile, has ended; that is worked out in slices,
    // before this host wants another dump.
    void begin_dump(Instant now);
    void end_dump(Instant now);
    // The dump failed, and is wanted again.
    void abort_dump() { dump_wanted_ = true; }

    // To be made in this order. Good until the next call.
    std::span<const FlowChange> changes() const { return std::span(changes_).subspan(done_); }
    // One that couldn't be made, which is tried again by rule T1. Before it is done.
    void change_failed(Instant now, const FlowChange& change, FlowChangeFailure reason);
    void changes_done(std::size_t count);

    // ---- peers

    std::size_t peers() const { return peers_.size(); }
    // One more, with the highest number. Nothing was heard of it yet.
    std::size_t add_peer(Instant now);
    // Whether it isn't up, and nothing is being done with what it told.
    bool can_remove_peer(std::size_t peer) const;
    // One that can be removed. What it told and nobody took over is forgotten; what of that is in our kernel
    // stays there until its time is over (T2). Peers behind it are numbered one lower from then on.
    void remove_peer(std::size_t peer);

    // A datagram from a peer's address; opened where it lies. While kMostChanges wait, it is lost as on the
    // network (`no_room`).
    std::optional<SyncDrop> receive(Instant now, std::size_t peer, std::span<std::uint8_t> datagram);
    // The size of the next datagram for the peer that is due, or 0. `out` has kLeastDatagram bytes at least.
    std::size_t poll_transmit(Instant now, std::size_t peer, const HostFacts& facts,
                              std::span<std::uint8_t> out);

    // The configured keys are others now; sessions go on as long as peers accept them (K10).
    void set_keys(Instant now, const SyncKeys& keys);

    // ---- CARP

    // Whether this host is MASTER of something.
    void set_master(Instant now, bool master);
    // Another group became MASTER here while this host is MASTER of something.
    void take_over(Instant now);
    // What peers told until now is in our kernel as far as it took it: the addresses of a group that became
    // MASTER here may answer. Before it asks, the driver reads what has arrived from peers, and says
    // set_master(); it asks again after changes were made and on_timer().
    bool is_committed() const;
    // It stops in order. The driver goes on until is_drained() or its patience ends.
    void stop(Instant now);
    // Every peer that is up has all.
    bool is_drained() const;

    SyncIncomplete incomplete(Instant now) const;

    // ---- what an operator wishes

    // Our kernel is dumped anew; every peer that is up is asked for everything, and what it told is written
    // to our kernel once more.
    void resync(Instant now);
    // What peers told is removed from our kernel and forgotten, but for flows that are ours; peers that are
    // up are asked for it anew, and until it is here this host is incomplete (`differs`). What a peer told
    // that is down is gone. False, and nothing happens, while this host is MASTER of something: its kernel
    // then holds connections that live, or are about to move here.
    bool flush(Instant now);

    // ---- time

    void on_timer(Instant now);
    Instant next_deadline() const;

    // ---- what there is

    // Goes on with a walk over all flows: looks at `most` slots at most, and calls `visit` for each flow that
    // it finds with the peer that owns it, as far as this host knows; nothing: this host does. True: there is
    // more. Every flow that is there all the time, with one owner, is visited once; others may or may not be.
    using Visit = std::function<void(const Flow&, std::optional<std::size_t> owner)>;
    bool walk(FlowCursor& cursor, std::size_t most, const Visit& visit) const;

    // Packets wait until peers acknowledge flows (F3).
    void set_hurry(bool hurry);
    // By its original direction and zone.
    SyncTold told(const FlowIdentity& flow) const;

    const FlowTable& own() const { return own_; }
    const SyncSession& session(std::size_t peer) const { return peers_[peer]->session; }
    std::uint64_t term() const { return term_; }
    bool is_master() const { return master_; }
    const SyncHostCounters& counters() const { return counters_; }

 private:
    static constexpr std::uint32_t kLeastTimeout = 60, kLongestTimeout = 1u << 30;  // T1
    static constexpr std::uint32_t kOver = 1u << 31;  // a note: an expectation that ended in our kernel (T4)
    static constexpr std::array<Duration, 2> kLooks = {std::chrono::seconds(20),
                                                       std::chrono::seconds(80)};  // W10

    enum class Sweep : std::uint8_t { none, insist, take_over };
    // What is to be done in our kernel with all that a peer told.
    enum class Chore : std::uint8_t { none, rewrite, commit, flush };
    // A walk through all of a peer's flows: those of `previous`, then those of the table.
    struct Walk {
        Slot previous = 0, table = 0;
    };
    // The note of a flow in the inbox is the second in which our kernel's entry ends if it isn't refreshed
    // (T1); 0: it wasn't written, for it is kept back (C1), another's version was, or, of an expectation, the
    // kernel refused it.
    struct Peer {
        SyncSession session;
        Chore chore = Chore::none;  // comes before the sweep
        Walk chore_at{};
        Sweep sweep = Sweep::none;
        Walk sweep_at{};
        Slot refresh_next = kMaxSlots;  // where the walk is that looks at notes
        std::uint32_t ended_in = 0;     // the second in which the last session ended
        bool is_replaced = false;       // T3
    };
    // A flow as a peer told it.
    struct Held {
        std::size_t peer;
        const FlowTable* table;
        Slot slot;
    };

    bool has_room() const { return changes().size() < kMostChanges; }
    void tell(Instant now, Slot slot);
    bool own_flow(Instant now, Bytes identity, Bytes state);
    void disown(Instant now, Slot slot);
    void set_own_state(Instant now, Slot slot, const FlowState& state);
    void renew(Instant now, Slot slot, const FlowEvent& event);
    void claim(Instant now, const FlowEvent& event, Bytes identity, bool was_ours);
    void on_end(Instant now, Bytes identity, std::optional<Slot> slot);
    void on_foreign_end(Instant now, const Held& held);
    bool is_outdated(Bytes identity, std::optional<Slot> slot) const;

    void on_session_end(Instant now, std::size_t peer);
    void check_names(Instant now, std::size_t peer);
    void on_region(Instant now, std::size_t peer, PacketNumber number, const Region& region);
    void on_flows(Instant now, std::size_t peer, PacketNumber number, Bytes records);
    void on_status(Instant now, std::size_t peer, PacketNumber number, const SyncStatus& status);
    void on_change(Instant now, std::size_t peer, PacketNumber number, const Change& change);
    void meet(Instant now, PacketNumber number, const Held& theirs, Slot ours, bool is_news);
    void on_dropped(Instant now, Bytes identity, std::uint32_t written_until);

    bool outranks(std::size_t a, std::size_t b) const;
    bool outranks_us(std::size_t peer) const;
    std::optional<Held> holder(Bytes identity) const;
    bool is_held_highest(const Held& held) const;
    bool writes_all() const { return !config_.commit_at_takeover || master_; }
    bool belongs_in_kernel(const Held& held) const { return writes_all() || written_until(held) > 0; }
    std::uint32_t written_until(const Held& held) const;
    static std::uint32_t lifetime(const Held& held);
    bool has_ended(Instant now, const Held& held) const;
    bool tells(const Flow& flow) const;
    bool passes_here(Instant now, const Held& held, const FlowEvent& event) const;
    std::uint32_t age(Instant now, const Held& held) const;
    void write(Instant now, const Held& held, FlowChange::Kind kind, std::uint32_t age = 0);

    void raise_term(Instant now);
    void hurry_statuses(Instant now);
    void start_sweep(std::size_t peer, Sweep sweep);
    bool has_work(const Peer& peer) const;
    void work(Instant now, std::size_t peer);
    void drop_unlisted(Instant now);
    template <class Use>
    bool walk_slice(std::size_t peer, Walk& at, Use use) const;
    void start_chore(std::size_t peer, Chore chore);
    void run_chore(Instant now, std::size_t peer);
    void rewrite_flow(Instant now, const Held& held);
    void commit_flow(Instant now, const Held& held);
    bool flush_flows(Instant now, Peer& peer);
    void end_flush(Instant now, Peer& peer);
    void run_sweep(Instant now, std::size_t peer);
    void sweep_flow(Instant now, const Held& held);
    void drop_leftovers(Instant now, Peer& peer);
    void each_second(Instant now);
    bool is_replaced(Instant now, const Peer& peer) const;
    bool may_drop_leftovers(const Peer& peer) const;
    void refresh(Instant now, std::size_t peer);
    std::uint32_t second(Instant now) const;
    SyncStatus status() const;

    const SyncHostConfig config_;
    SyncKeys keys_;
    const Channel::FillRandom fill_random_;
    const Instant started_;
    FlowTable own_;
    std::vector<std::unique_ptr<Peer>> peers_;
    std::vector<FlowChange> changes_;
    std::size_t done_ = 0;  // of changes_

    SlotArray<std::uint8_t> shown_by_;  // of our slots: the dump that showed it, modulo 256
    std::uint8_t dump_ = 0;
    bool dump_wanted_ = true, dumping_ = false;
    bool known_ = false;           // a dump was finished
    bool overrun_ = false;         // events were lost before a dump that began since was finished
    bool lost_meanwhile_ = false;  // during the dump
    bool listed_ = false;          // the dump is over, and unlisted_next_ the next slot to look at
    Slot unlisted_next_ = 0;
    std::unordered_set<std::uint64_t> ended_meanwhile_;  // during the dump: hashes of names

    bool master_ = false, leaving_ = false, hurry_ = false;
    std::uint64_t term_ = 0, highest_term_ = 0;
    Instant second_at_;  // when each_second() is due
    Slot refresh_part_ = 0;
    Instant took_over_at_{};
    std::size_t looks_ = kLooks.size();  // dumps since, and none is to come
    SyncHostCounters counters_;
};

}  // namespace carpd
