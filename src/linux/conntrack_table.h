// Flows into the kernel's table, as a peer sent them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/expected.h"
#include "linux/conntrack_channel.h"
#include "linux/sys_error.h"
#include "wire/flow_event.h"

namespace carpd {

// A socket for changes, in the network namespace that it is opened in. All its memory is given at the start.
//
// What the kernel refuses (conntrack_message.h) is tried again in another way, each way at most once:
//   update of a flow that isn't there           create
//   EBUSY, EOPNOTSUPP                           remove, then create: what is there is another one, or was not
//                                               created as this one is
//   EEXIST, the reply tuple is another flow's   remove that flow, then create
//   ENOENT for the master                       create without: it ended before the flow that it expected
//   EOPNOTSUPP for the helper                   create without: this host hasn't it. So are the next thousand
//                                               flows that want it
// Between remove and create the flow isn't there for some microseconds. A refused expectation isn't tried
// otherwise (conntrack_expectation.h).
class ConntrackTable {
 public:
    static Expected<ConntrackTable, SysError> open();

    // By which ConntrackEvents knows what was done here. Only what stood in the way of a reply tuple is
    // removed by another socket: its end is heard as an event, for it may be this host's own.
    std::uint32_t port() const { return channel_.port(); }

    static constexpr std::size_t kBatch = ConntrackChannel::kMost / 2;  // 64
    struct Failure {
        std::size_t index;  // in the batch
        int error;          // errno
    };
    // Makes at most kBatch changes, in order, with one system call to send and one to receive unless
    // something is refused. What fails leaves the others done. The failures are valid until the next run().
    std::span<const Failure> run(std::span<const FlowChange> changes);

    struct Counters {
        std::uint64_t written = 0;  // created or updated
        std::uint64_t removed = 0;
        std::uint64_t gone = 0;            // to be removed, but weren't there
        std::uint64_t recreated = 0;       // updates of what wasn't there
        std::uint64_t replaced = 0;        // another one was there
        std::uint64_t evicted = 0;         // had the reply tuple
        std::uint64_t without_master = 0;  // created so
        std::uint64_t without_helper = 0;  // created so
        // Failures:
        std::uint64_t full = 0;         // ENOMEM: the table is full
        std::uint64_t unsupported = 0;  // EOPNOTSUPP
        std::uint64_t invalid = 0;      // EINVAL, ERANGE
        std::uint64_t clashes = 0;      // EEXIST, EBUSY, EALREADY
        std::uint64_t other = 0;        // any other errno
    };
    const Counters& counters() const { return counters_; }

 private:
    // What is tried for a change.
    struct Attempt {
        std::size_t index;
        bool create, replace = false, evict = false, without_master = false, without_helper = false;
        int error = 0;  // what became of it
        bool operator==(const Attempt&) const = default;
    };
    ConntrackTable(ConntrackChannel channel, ConntrackChannel evictor);
    bool lacks_helper(const FlowIdentity& identity);
    bool amend(Attempt& attempt, const FlowChange& change);
    void evict(std::span<const FlowChange> changes);
    void try_all(std::span<const FlowChange> changes);
    void put(const FlowChange& change, const Attempt& attempt);
    void settle(const FlowChange& change, const Attempt& attempt);
    void count_failure(int error);

    static constexpr unsigned kMissingFor = 1000;
    ConntrackChannel channel_, evictor_;
    HelperName missing_helper_{};  // the last one that wasn't there
    unsigned missing_for_ = 0;     // so many flows more
    std::vector<Attempt> attempts_;
    std::vector<Failure> failures_;
    Counters counters_;
};

// The size of the kernel's table. The limits are the whole host's, the count is of this network namespace.
struct ConntrackLimits {
    std::uint32_t entries = 0;
    std::uint32_t max = 0;      // more are refused
    std::uint32_t buckets = 0;  // with more than four entries each it gets slow
};
// Nothing where there is no connection tracking.
std::optional<ConntrackLimits> read_conntrack_limits();

}  // namespace carpd
