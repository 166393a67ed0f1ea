#include "control/wall_time.h"

#include <chrono>

namespace carpd {

namespace {

class Reader {
 public:
    explicit Reader(std::string_view text) : rest_(text) {}

    bool take(char c) {
        if (!rest_.starts_with(c)) return false;
        rest_.remove_prefix(1);
        return true;
    }
    bool take(std::size_t digits, int& number) {
        if (rest_.size() < digits) return false;
        number = 0;
        for (char c : rest_.substr(0, digits)) {
            if (c < '0' || c > '9') return false;
            number = number * 10 + (c - '0');
        }
        rest_.remove_prefix(digits);
        return true;
    }
    bool at_end() const { return rest_.empty(); }

 private:
    std::string_view rest_;
};

bool take_zone(Reader& reader, std::chrono::minutes& offset) {
    if (reader.take('Z')) return true;
    const bool is_behind = reader.take('-');
    int hours = 0, minutes = 0;
    if (!is_behind && !reader.take('+')) return false;
    if (!reader.take(2, hours) || !reader.take(':') || !reader.take(2, minutes)) return false;
    offset = std::chrono::minutes((hours * 60 + minutes) * (is_behind ? -1 : 1));
    return hours < 24 && minutes < 60;
}

}  // namespace

std::optional<std::int64_t> parse_wall_time(std::string_view text) {
    using namespace std::chrono;
    Reader reader(text);
    int y = 0, mon = 0, d = 0, h = 0, min = 0, s = 0, ms = 0;
    const bool is_read = reader.take(4, y) && reader.take('-') && reader.take(2, mon) && reader.take('-') &&
                         reader.take(2, d) && reader.take('T') && reader.take(2, h) && reader.take(':') &&
                         reader.take(2, min) && reader.take(':') && reader.take(2, s) && reader.take('.') &&
                         reader.take(3, ms);
    minutes offset{0};
    if (!is_read || !take_zone(reader, offset) || !reader.at_end()) return std::nullopt;
    const year_month_day day = year(y) / month(static_cast<unsigned>(mon)) / static_cast<unsigned>(d);
    if (!day.ok() || h > 23 || min > 59 || s > 60) return std::nullopt;
    const auto time = sys_days(day).time_since_epoch() + hours(h) + minutes(min) + seconds(s) - offset;
    return duration_cast<milliseconds>(time).count() + ms;
}

}  // namespace carpd
