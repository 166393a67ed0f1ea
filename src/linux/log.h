// The daemon's log: lines on standard error, where systemd's journal or a terminal reads them. It never
// blocks: a daemon whose terminal was stopped must go on advertising.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"

namespace carpd {

// Numbers as in syslog(3) and sd-daemon(3).
enum class LogLevel { error = 3, warning = 4, notice = 5, info = 6, debug = 7 };

// Lines above `level` are left out; info at start.
void set_log_level(LogLevel level);

// One line of at most kMaxLogLine bytes. In the journal (JOURNAL_STREAM names our standard error) it is
// prefixed with its level in sd-daemon(3)'s form; elsewhere with local time and the level as a word. A line
// that can't be written at once is dropped and counted, and the next one that can be says how many were lost.
void log(LogLevel level, std::string_view text);
// The same with fields that only the journal keeps (systemd.journal-fields(7)): names and values.
using LogFields = std::vector<std::pair<std::string_view, std::string>>;
void log(LogLevel level, std::string_view text, const LogFields& fields);

inline constexpr std::size_t kMaxLogLine = 1024;

// From now on the same lines also go to syslog (/dev/log), unless standard error is the journal: as what
// `identifier` says with its pid. `facility` as in syslog(3), LOG_DAEMON.
void log_to_syslog(std::string identifier, int facility);
// LOG_DAEMON for "daemon"; nothing if there is no such facility.
std::optional<int> syslog_facility(std::string_view name);

// `text` without anything a terminal would act on: bytes outside printable ASCII become \xNN.
std::string printable(std::string_view text);

// Lets through `burst` events at once and then one per `per`; counts the rest. For messages that a stranger
// can cause.
class LogLimit {
 public:
    LogLimit(int burst, Duration per) : burst_(burst), per_(per), credit_(burst * per) {}

    // `now` never decreases.
    bool admit(Instant now);
    // How many were refused since this was last asked.
    std::uint64_t take_suppressed();

 private:
    int burst_;
    Duration per_;
    Duration credit_;  // burst_ * per_ at most; an event costs per_
    Instant credited_at_{};
    std::uint64_t suppressed_ = 0;
};

}  // namespace carpd
