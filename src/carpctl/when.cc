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

}  // namespace

std::optional<Duration> parse_span(const std::string& text) {
    std::int64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    const auto unit = seconds_of(end);
    if (error != std::errc() || !unit || count > kLongest.count()) return std::nullopt;
    return within_limits(count * *unit);
}

std::optional<Duration> parse_until(const std::string& text, std::time_t now) {
    std::tm today{};
    localtime_r(&now, &today);
    today.tm_sec = 0;
    for (const char* form : {"%H:%M", "%H:%M:%S"}) {
        std::tm time = today;
        if (!read(text, form, time)) continue;
        for (int days = 0; days < 2; ++days) {
            std::tm then = time;
            then.tm_mday += days;
            then.tm_isdst = -1;
            if (const std::time_t at = std::mktime(&then); at > now) return within_limits(at - now);
        }
    }
    for (const char* form : {"%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"}) {
        std::tm time{};
        if (!read(text, form, time)) continue;
        time.tm_isdst = -1;
        return within_limits(std::mktime(&time) - now);
    }
    return std::nullopt;
}

}  // namespace carpd
