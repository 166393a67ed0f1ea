// A machine of a world: its clock, its kernel, and the process that drives a SyncHost as carpd does: read
// what came, make the changes, read events, dump a piece, send.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/dice.h"
#include "sim/sync/kernel.h"
#include "sim/sync/plan.h"

namespace carpd::sim::sync {

class World;
enum class News : std::uint8_t;

class Host {
 public:
    Host(World& world, int index);

    // A fault that concerns it began or ended: starts, stops and wakes what should run.
    void condition_changed();
    // carpd is told to stop in order.
    void stop();

    // ---- what reaches it
    void receive(int from, std::vector<std::uint8_t> bytes);
    void hear(News news);
    void wake();           // if this is the moment that was asked for
    void end_of_second();  // its kernel ends what is over
    void news_soon();      // something happened in the kernel

    // ---- how it stands
    bool is_on() const { return on_; }                   // the machine has power and isn't suspended
    bool runs() const { return sync_ != nullptr; }       // the process, though perhaps frozen
    bool is_awake() const { return runs() && !still_; }  // neither frozen nor suspended
    bool has_right_key() const { return key_ == kRightKey; }
    bool carp_runs() const { return carp_runs_; }
    const SyncHost& sync() const { return *sync_; }
    Kernel& kernel() { return kernel_; }
    const Kernel& kernel() const { return kernel_; }
    SyncIncomplete incomplete() const { return sync_->incomplete(clock_.at(now())); }
    // Since when events of its kernel were read in time and none is missing; kNoMoment: one is.
    bool hears_all() const { return sync_ && !missing_events_ && !kernel_.has_news(); }
    const std::string& name() const { return name_; }
    int index_of(std::size_t peer) const;

 private:
    static constexpr std::uint8_t kRightKey = 7, kWrongKey = 8;
    // Of a dump: entries as they were when the piece was made.
    struct Listed {
        FlowEvent event;
        std::uint64_t version;
    };

    Moment now() const;
    void start(std::uint8_t key);
    void end_process(const char* why);
    void wake_by(Moment at);
    void read_datagrams();
    bool make_changes();
    void read_events();
    void dump();
    bool wants_dump() const;
    bool holds_flows() const;
    void make_piece();
    void transmit();
    void ask_for_time();
    void tell_counters();
    void note_known(const FlowEvent& event, std::uint64_t version);

    World& world_;
    const int index_;
    std::string name_;
    DriftingClock clock_;
    Kernel kernel_;
    std::unique_ptr<SyncHost> sync_;
    Dice random_, dice_;
    bool on_ = true, crashed_ = false, still_ = false, carp_runs_ = true;
    std::uint8_t key_ = 0;
    Moment wake_at_ = kNoMoment, leaves_ = kNoMoment;
    std::deque<std::pair<int, std::vector<std::uint8_t>>> buffer_;
    bool missing_events_ = false, knows_news_ = false;
    Moment events_at_ = 0, changes_at_ = 0, dump_at_ = 0, dumps_from_ = 0;  // not before
    Moment next_dump_ = 0;
    bool dumping_ = false, fails_ = false;
    std::optional<Name> cursor_;  // the last one of the piece
    bool is_last_ = false;
    std::vector<Listed> piece_;
    SyncHostCounters counters_;  // as they were told last
    int wakes_ = 0;
    Moment wakes_since_ = 0;
};

}  // namespace carpd::sim::sync
