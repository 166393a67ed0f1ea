#include "carpd/sync_link.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "linux/clock.h"

namespace carpd {

Expected<SyncLink, SysError> SyncLink::open(MessageSocket& socket) {
    auto link = MessageLink::open(socket);
    if (!link) return Unexpected{link.error()};
    return SyncLink(std::move(*link));
}

void SyncLink::set_wanted(bool wanted) {
    if (wanted != wanted_) {
        told_.reset();
        has_spoken_ = false;
    }
    wanted_ = wanted;
    copy_.set_wanted(wanted);
    say();
}

std::optional<SyncMemory> SyncLink::memory(Instant now) const {
    if (!wanted_) return std::nullopt;
    return SyncMemory{status_.pid,           copy_.is_complete(now), status_.copy.peers,
                      status_.copy.peers_up, mastership_.takeover,   status_.committed};
}

void SyncLink::resume(Instant now, const SyncMemory& memory, bool master, bool demoted) {
    wanted_ = true;
    status_.pid = memory.pid;
    status_.committed = memory.committed;
    has_spoken_ = memory.complete;
    if (memory.complete) status_.copy = {SyncIncomplete::no, memory.peers, memory.peers_up};
    mastership_ = {master, memory.takeover};
    told_ = mastership_;
    copy_.resume(now, memory.complete, master, demoted);
}

// ---- what it is told

// Rises also from one engine to the next, unless somebody turns the clock back: what was committed for an
// earlier one is no news.
std::uint64_t SyncLink::begin_takeover() {
    return mastership_.takeover = std::max(mastership_.takeover + 1, wall_clock_ms());
}

void SyncLink::tell(Instant now, bool master) {
    copy_.set_master(now, master);
    mastership_.master = master;
    say();
}

void SyncLink::say() {
    if (!wanted_ || link_.is_full() || told_ == mastership_) return;
    if (link_.send(to_message(ToSync(mastership_))))
        told_ = mastership_;
    else
        log(LogLevel::warning,
            "carpd: sync does not read what it is told; it will learn who is MASTER when it does");
}

// ---- what it says

void SyncLink::hear(Instant now, int at_most) {
    link_.hear(at_most, [&](std::string_view text) { handle(now, text); });
    say();
}

void SyncLink::handle(Instant now, std::string_view text) {
    const auto message = parse_from_sync(text);
    if (!message) return refuse(now, message.error());
    std::visit([&](const auto& said) { handle(now, said); }, *message);
}

void SyncLink::refuse(Instant now, std::string_view why) {
    ++status_.messages_refused;
    if (log_limit_.admit(now))
        log(LogLevel::error, fmt::format("carpd: sync sent what the engine can't use: {}", why));
}

void SyncLink::handle(Instant, const SyncGreeting& hello) {
    status_.pid = hello.pid;
    told_.reset();
    has_spoken_ = false;
    copy_.ended();
}

void SyncLink::handle(Instant now, const SyncCopy& copy) {
    status_.copy = copy;
    has_spoken_ = true;
    copy_.heard(now, copy.incomplete == SyncIncomplete::no);
}

void SyncLink::handle(Instant now, const SyncCommitted& committed) {
    if (mastership_.takeover == 0) return;  // that was an earlier engine's
    if (committed.takeover > mastership_.takeover) {
        refuse(now, fmt::format("takeover {}, of which it was not told, is committed", committed.takeover));
        return;
    }
    status_.committed = std::max(status_.committed, committed.takeover);
}

void SyncLink::handle(Instant, const SyncEnded&) {
    status_.pid = 0;
    status_.copy = {};
    has_spoken_ = false;
    copy_.ended();
}

std::optional<SyncProcessStatus> SyncLink::status(Instant now) const {
    if (!wanted_) return std::nullopt;
    SyncProcessStatus status = status_;
    status.takeover = mastership_.takeover;
    status.demotion = copy_.demotion(now);
    status.demotion_ends = copy_.demotion_ends(now);
    if (status.pid == 0)
        status.incomplete = "no_process";
    else if (!has_spoken_)
        status.incomplete = to_string(SyncIncomplete::starting);
    else if (status.copy.incomplete == SyncIncomplete::no && !copy_.is_complete(now))
        status.incomplete = "silent";
    else
        status.incomplete = to_string(status.copy.incomplete);
    return status;
}

}  // namespace carpd
