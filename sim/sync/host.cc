#include "sim/sync/host.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sim/sync/checks.h"
#include "sim/sync/world.h"

namespace carpd::sim::sync {

namespace {

constexpr std::size_t kSocketBuffer = 300;  // datagrams that wait while the process is frozen
constexpr std::size_t kEventsAtOnce = 64, kChangesAtOnce = 64, kSlowChanges = 3;
// A look over the table waits so long for CARP's news: without them nothing that it shows would be ours, and
// peers were told that nothing is. And as carpd/sync_kernel.cc has it.
constexpr Moment kNewsWait = kSecond;
constexpr Moment kDumpsWait = 10 * kSecond, kDumpAgain = kSecond, kDumpEvery = 60 * kSecond;
constexpr std::uint32_t kKernelLimit = 65'536;
constexpr std::size_t kMostToSend = 5'000;  // in one go to one peer
constexpr int kMostWakes = 20'000;          // in a second

}  // namespace

Host::Host(World& world, int index)
    : world_(world),
      index_(index),
      name_(world.plan().hosts[static_cast<std::size_t>(index)].name),
      clock_(world.plan().hosts[static_cast<std::size_t>(index)].clock),
      random_(stream(world.plan().seed, 20 + static_cast<std::uint64_t>(index))),
      dice_(stream(world.plan().seed, 30 + static_cast<std::uint64_t>(index))) {
    kernel_.on_gone = [this](const Entry& entry, Gone gone) { world_.checks().on_gone(index_, entry, gone); };
}

Moment Host::now() const {
    return world_.now();
}

int Host::index_of(std::size_t peer) const {
    const int index = static_cast<int>(peer);
    return index < index_ ? index : index + 1;
}

// ---- whether it runs

void Host::condition_changed() {
    const bool was_still = still_, was_crashed = crashed_;
    crashed_ = world_.active(FaultKind::crash, index_) != nullptr;
    on_ = !crashed_ && !world_.active(FaultKind::suspend, index_);
    still_ = !on_ || world_.active(FaultKind::freeze, index_);
    const bool stops = world_.active(FaultKind::stop, index_) && leaves_ == kNoMoment;
    carp_runs_ =
        !crashed_ && !world_.active(FaultKind::kill, index_) && !world_.active(FaultKind::stop, index_);
    const bool runs = !crashed_ && !world_.active(FaultKind::kill, index_) && !stops &&
                      !world_.active(FaultKind::sync_kill, index_);
    const std::uint8_t key = world_.active(FaultKind::wrong_key, index_) ? kWrongKey : kRightKey;

    if (sync_ && (!runs || key != key_)) end_process(runs ? "is started with another key" : "is killed");
    if (crashed_ && !was_crashed) {
        kernel_.flush();
        buffer_.clear();
    }
    if (!crashed_ && was_crashed) clock_.offset = dice_.between(1, 30) * kSecond - now();
    if (runs && !sync_) start(key);
    const Fault* const losing = world_.active(FaultKind::lost_events, index_);
    kernel_.buffer = losing ? losing->amount : world_.active(FaultKind::freeze, index_) ? 200 : SIZE_MAX;
    const bool full = world_.active(FaultKind::full_table, index_) != nullptr;
    kernel_.limit = full ? std::min(kernel_.limit, kernel_.entries().size()) : kKernelLimit;
    if (was_still && !still_) wake_by(now());
}

void Host::stop() {
    if (!sync_) return;
    world_.tell(index_, "stops in order");
    sync_->stop(clock_.at(now()));
    leaves_ = now() + kSecond;
    wake_by(now());
}

void Host::start(std::uint8_t key) {
    world_.tell(index_, "starts");
    key_ = key;
    SyncHostConfig config;
    config.channel.name = HostName::from(name_).value();
    config.channel.dead_after = Duration(world_.plan().dead_after);
    config.max_flows = world_.plan().max_flows;
    config.table_key.first = random_.next();
    config.table_key.second = random_.next();
    if (world_.plan().ignores_some)
        config.tells = [](const Flow& flow) {
            const IpAddress& source = flow.identity.original.source;
            return source.bytes()[1] != kIgnoredNetwork && is_worth_telling(flow);
        };
    Secret secret;
    secret.fill(key);
    kernel_.listen();
    kernel_.only_ends = true;
    dumps_from_ = now() + kNewsWait;
    next_dump_ = kNoMoment;
    sync_ = std::make_unique<SyncHost>(clock_.at(now()), config, SyncKeys{secret, {}},
                                       static_cast<std::size_t>(world_.hosts() - 1),
                                       [this](std::span<std::uint8_t> out) {
                                           for (std::uint8_t& byte : out)
                                               byte = static_cast<std::uint8_t>(random_.next());
                                       });
    leaves_ = kNoMoment;
    counters_ = {};
    dumping_ = missing_events_ = knows_news_ = false;
    buffer_.clear();
    world_.checks().on_start(index_);
    world_.schedule(now() + dice_.between(1, 50) * kMillisecond, EventKind::news, index_,
                    static_cast<std::uint32_t>(News::now));
    wake_by(now());
}

void Host::end_process(const char* why) {
    world_.tell(index_, why);
    sync_.reset();
    leaves_ = kNoMoment;
    kernel_.deafen();
    buffer_.clear();
}

// ---- what reaches it

void Host::receive(int from, std::vector<std::uint8_t> bytes) {
    if (!sync_ || !on_ || buffer_.size() >= kSocketBuffer) return;
    buffer_.emplace_back(from, std::move(bytes));
    wake_by(now() + dice_.between(1, 50) * kMicrosecond);
}

void Host::hear(News news) {
    if (!sync_ || leaves_ != kNoMoment) return;
    if (!is_awake())
        return world_.schedule(now() + 10 * kMillisecond, EventKind::news, index_,
                               static_cast<std::uint32_t>(News::now));
    const bool master = news == News::now ? world_.is_master(index_) : news != News::backup;
    world_.tell(index_, master ? "hears that it is MASTER" : "hears that it is MASTER of nothing");
    if (!knows_news_) dumps_from_ = 0;
    knows_news_ = true;
    if (master && !sync_->is_master()) next_dump_ = now();
    if (master && sync_->is_master()) sync_->take_over(clock_.at(now()));
    kernel_.only_ends = !master;
    sync_->set_master(clock_.at(now()), master);
    if (master && holds_flows()) dumps_from_ = now() + kDumpsWait;
    world_.checks().on_news(index_, master);
    wake_by(now());
}

void Host::end_of_second() {
    if (!on_) return;
    kernel_.expire(now());
    news_soon();
}

void Host::news_soon() {
    if (is_awake()) wake_by(now() + dice_.between(20, 1'000) * kMicrosecond);
}

void Host::wake_by(Moment at) {
    if (at >= wake_at_) return;
    wake_at_ = at;
    world_.schedule(at, EventKind::wake, index_);
}

// ---- the process

void Host::wake() {
    if (now() != wake_at_) return;  // another one was asked for since
    wake_at_ = kNoMoment;
    if (!is_awake()) return;
    if (now() - wakes_since_ >= kSecond) wakes_ = 0, wakes_since_ = now();
    if (++wakes_ > kMostWakes)
        return world_.broken(
            "progress",
            fmt::format("{} wakes without an end: its deadline is {} us away, {} changes wait{}{}{}", name_,
                        (sync_->next_deadline() - clock_.at(now())) / std::chrono::microseconds(1),
                        sync_->changes().size(), dumping_ ? ", it dumps" : "",
                        sync_->wants_dump() ? ", it wants a dump" : "",
                        kernel_.has_news() ? ", events wait" : ""));
    read_datagrams();
    sync_->on_timer(clock_.at(now()));
    if (make_changes()) {
        read_events();
        dump();
    }
    transmit();
    if (world_.is_told()) tell_counters();
    world_.checks().after_wake(index_);
    if (leaves_ != kNoMoment && (now() >= leaves_ || sync_->is_drained())) return end_process("is gone");
    ask_for_time();
}

// What SyncHost decided, as far as it counts that.
void Host::tell_counters() {
    const SyncHostCounters& now = sync_->counters();
    const auto tell = [&](const char* what, std::uint64_t SyncHostCounters::*counter) {
        if (now.*counter != counters_.*counter)
            world_.tell(index_, fmt::format("{} {}", now.*counter - counters_.*counter, what));
    };
    tell("claimed", &SyncHostCounters::claimed);
    tell("taken over", &SyncHostCounters::taken_over);
    tell("given up", &SyncHostCounters::given_up);
    tell("kept", &SyncHostCounters::kept);
    tell("swept", &SyncHostCounters::swept);
    tell("ended that are a peer's", &SyncHostCounters::foreign_ended);
    tell("refreshed", &SyncHostCounters::refreshed);
    counters_ = now;
}

void Host::read_datagrams() {
    for (; !buffer_.empty(); buffer_.pop_front()) {
        auto& [from, bytes] = buffer_.front();
        const auto peer = static_cast<std::size_t>(from < index_ ? from : from - 1);
        sync_->receive(clock_.at(now()), peer, bytes);
        make_changes();
    }
}

// Whether all were made.
bool Host::make_changes() {
    const Fault* const slow = world_.active(FaultKind::slow_kernel, index_);
    while (!sync_->changes().empty()) {
        if (slow && now() < changes_at_) return false;
        const std::size_t count = std::min(sync_->changes().size(), slow ? kSlowChanges : kChangesAtOnce);
        for (std::size_t i = 0; i < count; ++i) {
            const FlowChange change = sync_->changes()[i];
            world_.count(Tally::changes);
            const std::uint32_t connection = world_.checks().on_change(index_, change);
            if (const auto failure = kernel_.make(now(), change, connection))
                sync_->change_failed(clock_.at(now()), change, *failure);
        }
        sync_->changes_done(count);
        if (slow) changes_at_ = now() + slow->span;
    }
    return true;
}

void Host::note_known(const FlowEvent& event, std::uint64_t version) {
    Entry* const entry = kernel_.find(name_of(event.flow.identity));
    if (!entry || entry->version != version) return;
    entry->known = std::min(entry->known, now());
    world_.checks().on_known(index_, entry->connection, event.kind);
}

void Host::read_events() {
    if (now() < events_at_) return;
    if (const Fault* const slow = world_.active(FaultKind::lost_events, index_))
        events_at_ = now() + slow->span;
    for (std::size_t i = 0; i < kEventsAtOnce; ++i) {
        const auto heard = kernel_.next_event();
        if (!heard) break;
        sync_->on_event(clock_.at(now()), heard->event);
        if (heard->event.kind == FlowEvent::Kind::ended)
            world_.checks().on_end_known(index_, heard->connection);
        else
            note_known(heard->event, heard->version);
    }
    if (const std::uint32_t lost = kernel_.take_losses()) {
        world_.tell(index_, fmt::format("lost {} events", lost));
        sync_->on_lost_events(clock_.at(now()), lost);
        missing_events_ = true;
        world_.checks().on_missed(index_);
    }
    make_changes();
}

// A piece was made when the one before it was read, as the kernel does.
void Host::dump() {
    if (!dumping_) {
        if (!wants_dump() || now() < dumps_from_) return;
        world_.tell(index_, "dumps");
        dumps_from_ = now() + kDumpAgain;
        next_dump_ = now() + kDumpEvery;
        sync_->begin_dump(clock_.at(now()));
        dumping_ = true;
        fails_ = dice_.one_in(20);
        missing_events_ = false;
        cursor_.reset();
        make_piece();
        dump_at_ = now();
    }
    if (now() < dump_at_) return;
    for (const Listed& listed : piece_) {
        sync_->on_event(clock_.at(now()), listed.event);
        note_known(listed.event, listed.version);
    }
    dump_at_ = now() + dice_.scaled(10 * kMicrosecond, 3 * kMillisecond);
    if (fails_ && dice_.one_in(3)) {
        dumping_ = false;
        sync_->abort_dump();
        world_.checks().on_missed(index_);
    } else if (is_last_) {
        dumping_ = false;
        sync_->end_dump(clock_.at(now()));
    } else {
        make_piece();
    }
    make_changes();
}

bool Host::wants_dump() const {
    return sync_->changes().empty() && (sync_->wants_dump() || next_dump_ <= now());
}

// Of peers.
bool Host::holds_flows() const {
    for (std::size_t peer = 0; peer + 1 < static_cast<std::size_t>(world_.hosts()); ++peer) {
        const Inbox& inbox = sync_->session(peer).inbox();
        if (inbox.table().size() > 0 || inbox.previous()) return true;
    }
    return false;
}

void Host::make_piece() {
    piece_.clear();
    auto it = cursor_ ? kernel_.entries().upper_bound(*cursor_) : kernel_.entries().begin();
    for (std::int64_t room = dice_.scaled(1, 100); room > 0 && it != kernel_.entries().end(); --room, ++it) {
        FlowEvent event{FlowEvent::Kind::listed, it->second.flow, true, true, true};
        event.flow.state.timeout =
            static_cast<std::uint32_t>(std::max<Moment>(0, (it->second.ends - now()) / kSecond));
        piece_.push_back({event, it->second.version});
        cursor_ = it->first;
    }
    is_last_ = it == kernel_.entries().end();
}

void Host::transmit() {
    std::array<std::uint8_t, 1472> out;
    const std::int64_t wall = world_.plan().hosts[static_cast<std::size_t>(index_)].wall_offset_ms;
    const HostFacts facts{kKernelLimit,
                          static_cast<std::uint64_t>(1'700'000'000'000 + wall + now() / kMillisecond)};
    for (std::size_t peer = 0; peer + 1 < static_cast<std::size_t>(world_.hosts()); ++peer) {
        std::size_t count = 0;
        while (const std::size_t size = sync_->poll_transmit(clock_.at(now()), peer, facts, out)) {
            world_.send(index_, index_of(peer), std::span(out).first(size));
            if (++count > kMostToSend) return world_.broken("progress", name_ + " sends without an end");
        }
    }
}

void Host::ask_for_time() {
    const Moment soon = now() + 20 * kMicrosecond;
    const Instant deadline = sync_->next_deadline();
    const Moment free = sync_->changes().empty() ? soon : std::max(soon, changes_at_);
    if (free > soon) wake_by(free);
    if (kernel_.has_news()) wake_by(std::max(free, events_at_));
    if (dumping_) wake_by(std::max(free, dump_at_));
    if (!dumping_) wake_by(std::max({soon, dumps_from_, wants_dump() ? soon : next_dump_}));
    if (leaves_ != kNoMoment) wake_by(std::max(soon, leaves_));
    if (deadline <= clock_.at(soon))
        wake_by(soon);
    else if (deadline < clock_.at(world_.plan().end + kSecond))
        wake_by(clock_.when(deadline));
}

}  // namespace carpd::sim::sync
