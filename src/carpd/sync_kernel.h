// What `carpd: sync` has to do with the kernel's connection tracking: events to a SyncHost, dumps when it
// wants one and from time to time, its changes into the table.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "base/expected.h"
#include "linux/conntrack_dump.h"
#include "linux/conntrack_events.h"
#include "linux/conntrack_reader.h"
#include "linux/conntrack_table.h"
#include "linux/log.h"
#include "linux/sys_error.h"
#include "sync/host.h"

namespace carpd {

class SyncKernel {
 public:
    // Also has the kernel tell of all flows, not only of those that begin from now on.
    // `unanswered`: also of TCP connections that nobody has answered.
    static Expected<SyncKernel, SysError> open(bool unanswered);
    // Also tells somebody else of each event that the kernel has.
    void watch_events(std::function<void(const FlowEvent&)> watcher) { watcher_ = std::move(watcher); }

    // Readable when there is something for read_events().
    int events_fd() const { return events_.fd(); }

    // Does some milliseconds' work of what is wanted of it: changes, then events if `reads_events`, then a
    // piece of a dump. Changes always come first (sync/host.h).
    void work(Instant now, SyncHost& host, bool reads_events);
    // Whether there is something to do now, without an event.
    bool has_work(Instant now, const SyncHost& host) const;
    // When there will be: the next dump.
    Instant next_deadline(const SyncHost& host) const;
    // Whether this host is MASTER of something, and flows that begin and change are its own. Those before are
    // found by a dump.
    void set_master(Instant now, bool master);
    // No dump begins before: there is more urgent work.
    void hold_dumps(Instant until) { dump_from_ = std::max(dump_from_, until); }
    void allow_dumps() { dump_from_ = {}; }
    // The last work() found events.
    bool heard_events() const { return heard_; }
    // It read all that had come.
    bool heard_all_events() const { return heard_all_; }

    std::uint64_t events() const { return heard_in_all_; }
    std::uint64_t dumps() const { return dumps_; }
    // Messages that were no flow, by ConntrackRefusal.
    std::array<std::uint64_t, kConntrackRefusals> refused() const;
    const ConntrackTable::Counters& table() const { return table_.counters(); }

 private:
    SyncKernel(ConntrackTable table, ConntrackEvents events, ConntrackReader reader)
        : table_(std::move(table)), events_(std::move(events)), reader_(std::move(reader)) {}

    void make_changes(Instant now, SyncHost& host);
    void read_events(Instant now, SyncHost& host);
    void read_masters(Instant now, SyncHost& host, std::span<const FlowEvent> events);
    bool wants_dump(Instant now, const SyncHost& host) const;
    void begin_dump(Instant now, SyncHost& host);
    void dump_some(Instant now, SyncHost& host);
    void dump_failed(Instant now, SyncHost& host, const SysError& error);

    ConntrackTable table_;
    ConntrackEvents events_;
    ConntrackReader reader_;
    std::optional<ConntrackDump> dump_;
    std::function<void(const FlowEvent&)> watcher_;
    bool heard_ = false, heard_all_ = false, more_ = false;
    Instant dump_began_at_{}, dump_from_{}, next_dump_at_{};
    std::uint64_t heard_in_all_ = 0, dumps_ = 0;
    std::array<std::uint64_t, kConntrackRefusals> refused_{};  // in dumps that are over
    LogLimit log_limit_{3, std::chrono::seconds(30)};
};

}  // namespace carpd
