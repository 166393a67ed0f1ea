#include "linux/log.h"

#define SYSLOG_NAMES  // facilitynames
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <utility>

#include "linux/unique_fd.h"

namespace carpd {

namespace {

struct Syslog {
    std::string identifier;
    int facility;
};

LogLevel g_level = LogLevel::info;
std::optional<Syslog> g_syslog;
std::uint64_t g_lost = 0;

// JOURNAL_STREAM is "device:inode" of the socket that leads to the journal.
bool stderr_is_journal() {
    const char* stream = std::getenv("JOURNAL_STREAM");
    struct stat status;
    if (stream == nullptr || fstat(STDERR_FILENO, &status) != 0) return false;
    return fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

std::string_view word(LogLevel level) {
    switch (level) {
        case LogLevel::error: return "error";
        case LogLevel::warning: return "warning";
        case LogLevel::notice: return "notice";
        case LogLevel::info: return "info";
        case LogLevel::debug: return "debug";
    }
    return "";
}

std::string prefix(LogLevel level) {
    if (stderr_is_journal()) return fmt::format("<{}>", static_cast<int>(level));
    timespec now;
    tm local;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03} {:<7} ", local.tm_year + 1900,
                       local.tm_mon + 1, local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec,
                       now.tv_nsec / 1'000'000, word(level));
}

// As systemd's "native journal protocol" has it: a line for each field, in one datagram.
bool tell_journal(LogLevel level, std::string_view text, const LogFields& fields) {
    static const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    std::string message = fmt::format("PRIORITY={}\nSYSLOG_IDENTIFIER=carpd\nMESSAGE={}\n",
                                      static_cast<int>(level), printable(text).substr(0, kMaxLogLine));
    for (const auto& [name, value] : fields) message += fmt::format("{}={}\n", name, printable(value));
    sockaddr_un journal{AF_UNIX, "/run/systemd/journal/socket"};
    return ::sendto(socket.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                    reinterpret_cast<const sockaddr*>(&journal), sizeof journal) >= 0;
}

// What nobody takes at once is lost, as for any datagram. A socket each time: a process that is forked may
// close what its parent had.
void tell_syslog(LogLevel level, std::string_view text) {
    char time[32];
    const std::time_t now = std::time(nullptr);
    tm local;
    localtime_r(&now, &local);
    std::strftime(time, sizeof time, "%b %e %H:%M:%S", &local);
    const std::string line =
        fmt::format("<{}>{} {}[{}]: {}", g_syslog->facility | static_cast<int>(level), time,
                    g_syslog->identifier, getpid(), printable(text).substr(0, kMaxLogLine));
    const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const sockaddr_un syslog{AF_UNIX, "/dev/log"};
    ::sendto(socket.get(), line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
             reinterpret_cast<const sockaddr*>(&syslog), sizeof syslog);
}

bool write_line(LogLevel level, std::string_view text) {
    pollfd writable{STDERR_FILENO, POLLOUT, 0};
    if (poll(&writable, 1, 0) != 1 || !(writable.revents & POLLOUT)) return false;
    std::string line = prefix(level) + printable(text);
    line.resize(std::min(line.size(), kMaxLogLine - 1));
    line += '\n';
    return write(STDERR_FILENO, line.data(), line.size()) >= 0;
}

}  // namespace

void set_log_level(LogLevel level) {
    g_level = level;
}

void log(LogLevel level, std::string_view text) {
    if (level > g_level) return;
    if (g_syslog && !stderr_is_journal()) tell_syslog(level, text);
    if (g_lost != 0 &&
        write_line(LogLevel::warning, fmt::format("{} lines were lost because nobody read the log", g_lost)))
        g_lost = 0;
    if (g_lost != 0 || !write_line(level, text)) ++g_lost;
}

void log(LogLevel level, std::string_view text, const LogFields& fields) {
    if (level > g_level) return;
    if (!stderr_is_journal() || !tell_journal(level, text, fields)) log(level, text);
}

void log_to_syslog(std::string identifier, int facility) {
    g_syslog = Syslog{std::move(identifier), facility};
}

std::optional<int> syslog_facility(std::string_view name) {
    for (const CODE* known = facilitynames; known->c_name != nullptr; ++known)
        if (known->c_name == name) return known->c_val;
    return std::nullopt;
}

std::string printable(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte > 0x7e)
            result += fmt::format("\\x{:02x}", byte);
        else
            result += c;
    }
    return result;
}

bool LogLimit::admit(Instant now) {
    // Compared before adding, so that a long silence can't overflow.
    const Duration full = burst_ * per_;
    const Duration idle = now - credited_at_;
    credit_ = idle >= full - credit_ ? full : credit_ + idle;
    credited_at_ = now;
    if (credit_ < per_) {
        ++suppressed_;
        return false;
    }
    credit_ -= per_;
    return true;
}

std::uint64_t LogLimit::take_suppressed() {
    return std::exchange(suppressed_, 0);
}

}  // namespace carpd
