#include "linux/conntrack_table.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "linux/conntrack_expectation.h"
#include "linux/sysctl.h"

namespace carpd {

namespace {

using Kind = FlowChange::Kind;

// The kernel gives a new expectation the time that its helper wants, and takes another only for one that is
// there.
bool is_written_twice(const FlowChange& change) {
    return change.kind != Kind::remove && change.flow.identity.is_expectation();
}

}  // namespace

ConntrackTable::ConntrackTable(ConntrackChannel channel, ConntrackChannel evictor)
    : channel_(std::move(channel)), evictor_(std::move(evictor)) {
    attempts_.reserve(kBatch);
    failures_.reserve(kBatch);
}

Expected<ConntrackTable, SysError> ConntrackTable::open() {
    auto channel = ConntrackChannel::open();
    auto evictor = channel ? ConntrackChannel::open() : std::nullopt;
    if (!evictor) return Unexpected{SysError{"open a connection-tracking socket", "", errno}};
    return ConntrackTable(std::move(*channel), std::move(*evictor));
}

std::span<const ConntrackTable::Failure> ConntrackTable::run(std::span<const FlowChange> changes) {
    CARPD_ASSERT(changes.size() <= kBatch);
    failures_.clear();
    attempts_.clear();
    for (std::size_t i = 0; i < changes.size(); ++i) {
        const bool create = changes[i].kind == Kind::create;
        const bool without_helper = changes[i].kind != Kind::remove && lacks_helper(changes[i].flow.identity);
        attempts_.push_back({.index = i, .create = create, .without_helper = without_helper});
    }
    while (!attempts_.empty()) {
        evict(changes);
        try_all(changes);
        // Those for which there is another way remain.
        std::size_t left = 0;
        for (Attempt& attempt : attempts_) {
            const FlowChange& change = changes[attempt.index];
            if (amend(attempt, change))
                attempts_[left++] = attempt;
            else
                settle(change, attempt);
        }
        attempts_.resize(left);
    }
    return failures_;
}

// Each try to use a helper that isn't there makes the kernel look for its module, which takes milliseconds.
bool ConntrackTable::lacks_helper(const FlowIdentity& identity) {
    if (missing_for_ == 0 || identity.helper != missing_helper_) return false;
    --missing_for_;
    return true;
}

// Makes the attempt into what its error calls for; false if nothing does. An attempt only ever becomes more,
// so this ends.
bool ConntrackTable::amend(Attempt& attempt, const FlowChange& change) {
    if (change.kind == Kind::remove || change.flow.identity.is_expectation()) return false;
    const Attempt before = attempt;
    const FlowIdentity& identity = change.flow.identity;
    switch (attempt.error) {
        case ENOENT:
            if (attempt.create && identity.master) attempt.without_master = true;
            attempt.create = true;
            break;
        case EEXIST: attempt.evict = true; break;
        case EBUSY: attempt.create = attempt.replace = true; break;
        case EOPNOTSUPP:
            if (attempt.replace && !attempt.without_helper && !identity.helper_name().empty()) {
                attempt.without_helper = true;
                missing_helper_ = identity.helper;
                missing_for_ = kMissingFor;
            }
            attempt.create = attempt.replace = true;
            break;
        default: break;
    }
    return attempt != before;
}

void ConntrackTable::evict(std::span<const FlowChange> changes) {
    for (const Attempt& attempt : attempts_) {
        if (!attempt.evict) continue;
        const FlowIdentity& identity = changes[attempt.index].flow.identity;
        evictor_.written(put_remove(identity.reply, identity.zone, evictor_.sequence(), evictor_.space()));
    }
    const std::span<const int> errors = evictor_.exchange();
    counters_.evicted += static_cast<std::uint64_t>(std::count(errors.begin(), errors.end(), 0));
}

void ConntrackTable::try_all(std::span<const FlowChange> changes) {
    for (const Attempt& attempt : attempts_) put(changes[attempt.index], attempt);
    auto error = channel_.exchange().begin();
    for (Attempt& attempt : attempts_) {
        if (attempt.replace && *error++ == 0) ++counters_.replaced;
        if (is_written_twice(changes[attempt.index])) ++error;  // what is refused is so both times
        attempt.error = *error++;
    }
}

void ConntrackTable::put(const FlowChange& change, const Attempt& attempt) {
    const auto put_removal = [&] {
        const FlowIdentity& identity = change.flow.identity;
        channel_.written(
            identity.is_expectation()
                ? put_expectation_removal(identity, channel_.sequence(), channel_.space())
                : put_remove(identity.original, identity.zone, channel_.sequence(), channel_.space()));
    };
    if (change.kind == Kind::remove) return put_removal();
    if (attempt.replace) put_removal();
    Flow flow = change.flow;
    if (attempt.without_master) flow.identity.master.reset();
    if (attempt.without_helper) flow.identity.helper = {};
    const auto write = flow.identity.is_expectation() ? put_expectation
                       : attempt.create               ? put_create
                                                      : put_update;
    channel_.written(write(flow, channel_.sequence(), channel_.space()));
    if (is_written_twice(change)) channel_.written(write(flow, channel_.sequence(), channel_.space()));
}

void ConntrackTable::settle(const FlowChange& change, const Attempt& attempt) {
    if (change.kind == Kind::remove && attempt.error == ENOENT) {
        ++counters_.gone;
    } else if (attempt.error != 0 && attempt.error != ENOSPC) {  // ENOSPC: labels, of no use to this host
        failures_.push_back({attempt.index, attempt.error});
        count_failure(attempt.error);
    } else if (change.kind == Kind::remove) {
        ++counters_.removed;
    } else {
        ++counters_.written;
        counters_.recreated += change.kind == Kind::update && attempt.create && !attempt.replace;
        counters_.without_master += attempt.without_master;
        counters_.without_helper += attempt.create && attempt.without_helper;
    }
}

void ConntrackTable::count_failure(int error) {
    switch (error) {
        case ENOMEM: ++counters_.full; break;
        case EOPNOTSUPP: ++counters_.unsupported; break;
        case EINVAL:
        case ERANGE: ++counters_.invalid; break;
        case EEXIST:
        case EALREADY:
        case EBUSY: ++counters_.clashes; break;
        default: ++counters_.other; break;
    }
}

std::optional<ConntrackLimits> read_conntrack_limits() {
    const auto read = [](const char* name) {
        const int value = read_sysctl(std::string("netfilter/nf_conntrack_") + name).value_or(0);
        return static_cast<std::uint32_t>(std::max(0, value));
    };
    const ConntrackLimits limits{read("count"), read("max"), read("buckets")};
    return limits.buckets == 0 ? std::nullopt : std::optional(limits);
}

}  // namespace carpd
