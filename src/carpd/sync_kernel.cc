#include "carpd/sync_kernel.h"

#include <cerrno>

#include "linux/process.h"
#include "linux/sysctl.h"

namespace carpd {

namespace {

// What is done at once before others have their turn: two or three milliseconds' work each.
constexpr std::size_t kChangesAtOnce = 16 * ConntrackTable::kBatch;
constexpr int kEventBatches = 16, kDumpPieces = 4;
// Flows older than carpd may have no events, not even of their end (linux/conntrack_events.h), so the table
// is looked over from time to time. Seldom: while the kernel walks over the buckets of a large table in which
// it finds little, for the table is that of all network namespaces, it lets nothing else run on its
// processor.
constexpr Duration kDumpEvery = std::chrono::seconds(60), kDumpAgain = std::chrono::seconds(1);
constexpr int kDumpShare = 1000;  // of the time, at most

constexpr const char* kEventsSetting = "netfilter/nf_conntrack_events";

FlowChangeFailure failure_of(int error) {
    switch (error) {
        case ENOMEM: return FlowChangeFailure::full;
        case EOPNOTSUPP: return FlowChangeFailure::unsupported;
        case EINVAL:
        case ERANGE: return FlowChangeFailure::invalid;
        case EEXIST:
        case EALREADY:
        case EBUSY: return FlowChangeFailure::clash;
        default: return FlowChangeFailure::other;
    }
}

}  // namespace

Expected<SyncKernel, SysError> SyncKernel::open(bool unanswered) {
    auto table = ConntrackTable::open();
    if (!table) return Unexpected{table.error()};
    auto events = ConntrackEvents::open({.ignored_port = table->port(), .unanswered = unanswered});
    if (!events) return Unexpected{events.error()};
    auto reader = ConntrackReader::open();
    if (!reader) return Unexpected{reader.error()};
    events->hear_all(false);
    const auto setting = read_sysctl(kEventsSetting);
    if (!setting) return Unexpected{SysError{"use connection tracking: this kernel hasn't it", "", 0}};
    if (*setting != 1) {
        if (!write_sysctl(kEventsSetting, 1))
            return Unexpected{SysError{"set net.netfilter.nf_conntrack_events to 1", "", errno}};
        log(LogLevel::info,
            "net.netfilter.nf_conntrack_events is 1 now, so that the kernel tells of every flow");
    }
    return SyncKernel(std::move(*table), std::move(*events), std::move(*reader));
}

std::array<std::uint64_t, kConntrackRefusals> SyncKernel::refused() const {
    auto sum = refused_;
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += events_.refused()[i];
    return sum;
}

void SyncKernel::work(Instant now, SyncHost& host, bool reads_events) {
    make_changes(now, host);
    heard_ = heard_all_ = false;
    if (reads_events && host.changes().empty()) read_events(now, host);
    make_changes(now, host);
    if (dump_)
        dump_some(now, host);
    else if (wants_dump(now, host))
        begin_dump(now, host);
}

bool SyncKernel::has_work(Instant now, const SyncHost& host) const {
    return !host.changes().empty() || more_ || dump_ || wants_dump(now, host);
}

void SyncKernel::set_master(Instant now, bool master) {
    events_.hear_all(master);
    if (master) next_dump_at_ = now;
}

void SyncKernel::make_changes(Instant now, SyncHost& host) {
    for (std::size_t made = 0; made < kChangesAtOnce && !host.changes().empty();) {
        const auto batch =
            host.changes().first(std::min<std::size_t>(host.changes().size(), ConntrackTable::kBatch));
        for (const ConntrackTable::Failure& failure : table_.run(batch))
            host.change_failed(now, batch[failure.index], failure_of(failure.error));
        host.changes_done(batch.size());
        made += batch.size();
    }
}

void SyncKernel::read_events(Instant now, SyncHost& host) {
    more_ = true;
    for (int i = 0; i < kEventBatches && more_ && host.changes().empty(); ++i) {
        const ConntrackEvents::Batch batch = events_.read();
        for (const FlowEvent& event : batch.events) {
            if (watcher_) watcher_(event);
            host.on_event(now, event);
        }
        read_masters(now, host, batch.events);
        heard_ |= !batch.events.empty();
        heard_in_all_ += batch.events.size();
        if (batch.lost != 0) host.on_lost_events(now, batch.lost);
        more_ = batch.more;
    }
    heard_all_ = !more_;
}

// What a helper wrote into a connection so that another could be expected has shifted the sequence numbers of
// the one, and no event told it. Many of one master usually come together, and are one question.
void SyncKernel::read_masters(Instant now, SyncHost& host, std::span<const FlowEvent> events) {
    const FlowIdentity* last = nullptr;
    for (const FlowEvent& event : events) {
        const FlowIdentity& identity = event.flow.identity;
        if (event.kind != FlowEvent::Kind::created || !identity.master) continue;
        if (last && last->master == identity.master && last->zone == identity.zone) continue;
        last = &identity;
        if (const auto master = reader_.read(*identity.master, identity.zone)) host.on_event(now, *master);
    }
}

bool SyncKernel::wants_dump(Instant now, const SyncHost& host) const {
    return !dump_ && host.changes().empty() && dump_from_ <= now &&
           (host.wants_dump() || next_dump_at_ <= now);
}

Instant SyncKernel::next_deadline(const SyncHost& host) const {
    if (dump_) return kNever;
    return std::max(dump_from_, host.wants_dump() ? Instant{} : next_dump_at_);
}

void SyncKernel::begin_dump(Instant now, SyncHost& host) {
    dump_began_at_ = now;
    hold_dumps(now + kDumpAgain);
    run_on_last_cpu(true);
    host.begin_dump(now);
    auto dump = ConntrackDump::start();
    if (!dump) return dump_failed(now, host, dump.error());
    dump_.emplace(std::move(*dump));
}

void SyncKernel::dump_some(Instant now, SyncHost& host) {
    for (int i = 0; i < kDumpPieces && host.changes().empty(); ++i) {
        const auto more = dump_->read([&](const FlowEvent& event) { host.on_event(now, event); });
        if (!more) return dump_failed(now, host, more.error());
        if (*more) continue;
        for (std::size_t k = 0; k < refused_.size(); ++k) refused_[k] += dump_->refused()[k];
        dump_.reset();
        run_on_last_cpu(false);
        ++dumps_;
        host.end_dump(now);
        next_dump_at_ = now + std::max(kDumpEvery, kDumpShare * (now - dump_began_at_));
        return;
    }
}

void SyncKernel::dump_failed(Instant now, SyncHost& host, const SysError& error) {
    dump_.reset();
    run_on_last_cpu(false);
    host.abort_dump();
    next_dump_at_ = now + kDumpAgain;
    if (log_limit_.admit(now))
        log(LogLevel::warning, error.to_string() + "; state synchronisation tries again");
}

}  // namespace carpd
