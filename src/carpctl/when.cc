#include "carpctl/when.h"

#include <charconv>
#include <cstdint>

namespace carpd {

namespace {

using std::chrono::seconds;

constexpr seconds kLongest = std::chrono::hours(24) * 366;

std::optional<Duration> within_limits(std::int64_t count) {
    if (count < 1 || count > kLongest.count()) return std::nullopt;
    return seconds(count);
}

std::optional<int> seconds_of(const std::string& unit) {
    if (unit.empty() || unit == "s") return 1;
    if (unit == "m") return 60;
    if (unit == "h") return 3600;
    if (unit == "d") return 24 * 3600;
    return std::nullopt;
}

// All of `text` in this form.
bool read(const std::string& text, const char* form, std::tm& time) {
    const char* end = strptime(text.c_str(), form, &time);
    return end != nullptr && *end == 0;
}

// When clocks here show "04:00" or "04:00:30", so many days after `now`.
std::optional<std::time_t> clock_time(const std::string& text, std::time_t now, int days) {
    for (const char* form : {"%H:%M", "%H:%M:%S"}) {
        std::tm time{};
        localtime_r(&now, &time);
        time.tm_sec = 0;
        if (!read(text, form, time)) continue;
        time.tm_mday += days;
        time.tm_isdst = -1;
        return std::mktime(&time);
    }
    return std::nullopt;
}

// When they show "2026-12-01 04:00" or "2026-12-01T04:00:30".
std::optional<std::time_t> date_and_time(const std::string& text) {
    for (const char* form : {"%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"}) {
        std::tm time{};
        if (!read(text, form, time)) continue;
        time.tm_isdst = -1;
        return std::mktime(&time);
    }
    return std::nullopt;
}

}  // namespace

std::optional<Duration> parse_span(const std::string& text) {
    std::int64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    const auto unit = seconds_of(end);
    if (error != std::errc() || !unit || count > kLongest.count()) return std::nullopt;
    return within_limits(count * *unit);
}

std::optional<Duration> parse_until(const std::string& text, std::time_t now) {
    for (int days = 0; days < 2; ++days)
        if (const auto at = clock_time(text, now, days); at && *at > now) return within_limits(*at - now);
    const auto at = date_and_time(text);
    return at ? within_limits(*at - now) : std::nullopt;
}

std::optional<std::time_t> parse_past(const std::string& text, std::time_t now) {
    for (int days = 0; days > -2; --days)
        if (const auto at = clock_time(text, now, days); at && *at <= now) return at;
    const auto at = date_and_time(text);
    if (!at || *at > now || now - *at > kLongest.count()) return std::nullopt;
    return at;
}

}  // namespace carpd
