// Deferral (docs/protocol/sync.md, section 10): the first packet of a flow waits until a peer has
// acknowledged the flow, for a bounded time, so that the answer may come back through that peer. What it does
// with frames is decided here; linux/deferred_frames.h catches them and sends them on.
//
// The kernel tells of a flow before the frame that began it comes, so what has come of the kernel's events is
// passed in before release() is told that it was all. Memory is given at the start: about 3 MB.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/siphash.h"
#include "base/time.h"
#include "sync/host.h"

namespace carpd {

struct DeferralCounters {
    std::uint64_t deferred = 0;      // frames that were held
    std::uint64_t acknowledged = 0;  // that left when a peer knew the flow
    std::uint64_t timed_out = 0;     // that had waited for as long as they may
    std::uint64_t not_told = 0;      // that left at once: of no flow that a peer is told of
    std::uint64_t overflow = 0;      // that weren't held: too many were, or they were too long
};

class Deferral {
 public:
    static constexpr std::size_t kMost = 1024;          // frames
    static constexpr std::size_t kLongestFrame = 2048;  // bytes

    // `key` is secret and random: tuples come from whoever sends packets.
    // A frame waits for `longest` at most.
    Deferral(const SipKey& key, Duration longest);

    // Any event of the kernel: which flow the frames belong to that are about to come.
    void on_event(const FlowEvent& event);

    // Keeps a frame that was about to leave through the interface `place`, whatever number that is. False: it
    // isn't to be kept, and leaves at once.
    bool hold(Instant now, std::size_t place, Bytes frame);

    using Told = std::function<SyncTold(const FlowIdentity&)>;
    using Send = std::function<void(std::size_t place, Bytes frame)>;
    // Sends those that needn't wait any longer, in the order in which they came. `heard_all`: so far as the
    // kernel told when the last frame was held, all its events were passed in.
    void release(Instant now, bool heard_all, const Told& told, const Send& send);

    bool is_empty() const { return held_.empty(); }
    std::size_t size() const { return held_.size(); }
    // When to call release() at the latest.
    Instant next_deadline() const { return held_.empty() ? kNever : held_.front()->until; }
    const DeferralCounters& counters() const { return counters_; }

 private:
    // A flow, by what its next packet of one direction says on the wire. Four in each of kSets places, of
    // which the oldest goes: what is needed is a few milliseconds old.
    struct Note {
        FlowTuple tuple;
        FlowIdentity flow;
    };
    static constexpr std::size_t kSets = 1024, kWays = 4;
    struct Set {
        std::array<Note, kWays> notes;
        std::size_t next = 0;
    };
    struct Held {
        Instant until{};
        std::size_t place = 0;
        FlowTuple tuple;
        std::optional<FlowIdentity> flow;
        std::size_t size = 0;
        std::array<std::uint8_t, kLongestFrame> bytes;
    };

    Set& set_of(const FlowTuple& tuple);
    void note(const FlowTuple& tuple, const FlowIdentity& flow);
    std::optional<FlowIdentity> find(const FlowTuple& tuple);
    // The counter of why it needn't wait; null: it must.
    std::uint64_t* reason_to_leave(Instant now, Held& held, bool heard_all, const Told& told);

    const SipKey key_;
    const Duration longest_;
    std::unique_ptr<std::array<Set, kSets>> sets_;
    std::vector<std::unique_ptr<Held>> held_, spare_;
    DeferralCounters counters_;
};

}  // namespace carpd
