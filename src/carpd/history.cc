#include "carpd/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "control/json.h"
#include "control/wall_time.h"
#include "linux/state_file.h"

namespace carpd {

namespace {

constexpr std::string_view kHead = R"({"carpd_history":1})";
constexpr Duration kGap = std::chrono::seconds(1);  // between the beginnings of two writes
constexpr Duration kAfterFailure = std::chrono::minutes(1);
// A clock that is set back by less makes no future of what was.
constexpr std::int64_t kClockStep = 3'600'000;

bool has_texts(const Json& line, std::initializer_list<const char*> keys) {
    return std::all_of(keys.begin(), keys.end(), [&](const char* key) {
        const auto found = line.find(key);
        return found != line.end() && found->is_string();
    });
}

bool is_number_or_null(const Json& line, const char* key) {
    const auto found = line.find(key);
    return found != line.end() && (found->is_number() || found->is_null());
}

// Has what carpctl and the status page read.
bool is_change(const Json& line) {
    if (!line.is_object() || !has_texts(line, {"time", "event", "text"}) || !line.contains("group"))
        return false;
    const Json& event = line.at("event");
    if (event == "transition")
        return has_texts(line, {"group", "from", "to"}) && is_number_or_null(line, "previous_ms") &&
               !line.at("previous_ms").is_null();
    if (event == "started") return is_number_or_null(line, "not_running_ms");
    return line.at("group").is_string() || line.at("group").is_null();
}

// Empty, or why it makes no sense.
std::string parse(std::string_view text, std::uint64_t now_ms, std::deque<std::string>& lines) {
    for (int number = 1; !text.empty(); ++number) {
        const std::size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        if (number == 1 && line != kHead) return "is not of this version of carpd";
        if (number > 1) {
            const Json json = Json::parse(line, nullptr, false);
            const auto time =
                is_change(json) ? parse_wall_time(json.at("time").get<std::string>()) : std::nullopt;
            if (!time || end == std::string_view::npos)
                return fmt::format("makes no sense in line {}", number);
            if (*time > static_cast<std::int64_t>(now_ms) + kClockStep)
                return fmt::format("knows of {}, which is to come", json.at("time").get<std::string>());
            lines.emplace_back(line);
        }
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return "";
}

}  // namespace

History History::open(std::string path, std::uint64_t now_ms, std::string& complaint) {
    std::deque<std::string> lines;
    const auto file = read_state(path);
    complaint = file ? parse(*file, now_ms, lines) : file.error().to_string();
    if (complaint.empty()) {
        while (lines.size() > kMost) lines.pop_front();
        return {std::move(path), std::move(lines)};
    }
    complaint =
        fmt::format("{}{}; the changes before this start are forgotten", file ? path + " " : "", complaint);
    return {std::move(path), {}};
}

const std::string& History::add(std::string line) {
    is_kept_ = false;
    if (lines_.size() == kMost) lines_.pop_front();
    return lines_.emplace_back(std::move(line));
}

bool History::is_due(Instant now) const {
    return next_ <= now && !path_.empty() && (!is_kept_ || writer_.is_writing());
}

std::optional<std::string> History::keep(Instant now) {
    next_ = now + kGap;
    if (writer_.is_writing()) {
        const auto outcome = writer_.result();
        if (!outcome) return std::nullopt;
        if (!*outcome) {
            is_kept_ = false;
            next_ = now + kAfterFailure;
            if (std::exchange(has_failed_, true)) return std::nullopt;
            return fmt::format("{}; changes are not known after the next start, until that can be written",
                               outcome->error().to_string());
        }
        has_failed_ = false;
    }
    if (!std::exchange(is_kept_, true)) writer_.begin(path_, text());
    return std::nullopt;
}

void History::keep_at_end() {
    if (writer_.is_writing()) is_kept_ = writer_.wait() && is_kept_;
    if (!is_kept_ && !path_.empty()) is_kept_ = static_cast<bool>(write_state(path_, text()));
}

std::string History::text() const {
    std::string text = std::string(kHead) + "\n";
    for (const std::string& line : lines_) text += line + "\n";
    return text;
}

}  // namespace carpd
