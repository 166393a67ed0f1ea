#include "carpctl/long_status.h"

#include <utility>

namespace carpd {

namespace {

constexpr std::string_view kGroups = "\"groups\":[";

// Of the text of a list's elements from `from` on: where each begins and ends. Returns where the list ends.
std::size_t find_elements(std::string_view text, std::size_t from,
                          std::vector<std::pair<std::size_t, std::size_t>>& out) {
    std::size_t begin = from;
    int depth = 0;
    for (std::size_t at = from; at < text.size(); ++at) {
        const char c = text[at];
        if (c == '"') {
            while (++at < text.size() && text[at] != '"')
                if (text[at] == '\\') ++at;
        } else if (c == '{' || c == '[') {
            if (depth++ == 0) begin = at;
        } else if (c == '}' || c == ']') {
            if (--depth < 0) return at;
            if (depth == 0) out.emplace_back(begin, at + 1);
        }
    }
    return text.size();
}

}  // namespace

// Quotes within a text have a backslash before them, so no text looks like the key; and the list of groups is
// the first that has it.
LongStatus::LongStatus(std::string line) : line_(std::move(line)) {
    const std::size_t key = line_.find(kGroups);
    if (key == std::string::npos) {
        rest_ = nlohmann::ordered_json::parse(line_);
        return;
    }
    const std::size_t from = key + kGroups.size();
    const std::size_t end = find_elements(line_, from, groups_);
    rest_ = nlohmann::ordered_json::parse(line_.substr(0, from) + line_.substr(end));
}

nlohmann::ordered_json LongStatus::group(std::size_t place) const {
    const auto [begin, end] = groups_.at(place);
    const std::string_view text(line_);
    return nlohmann::ordered_json::parse(text.substr(begin, end - begin));
}

}  // namespace carpd
