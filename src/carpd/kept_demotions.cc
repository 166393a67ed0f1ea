#include "carpd/kept_demotions.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "linux/state_file.h"

namespace carpd {

namespace {

Request drained_host() {
    Request request{.command = Command::demote};
    request.interface_group = kAllGroups;
    request.amount = kDrainAmount;
    request.name = kDrainDemotion;
    return request;
}

bool is_of_same(const Request& a, const Request& b) {
    return a.group == b.group && a.interface_group == b.interface_group && a.name == b.name;
}

// Nothing if a line is none of ours.
std::optional<std::vector<Request>> parse(std::string_view text) {
    std::vector<Request> all;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        if (end == std::string_view::npos) return std::nullopt;
        const auto request = parse_request(text.substr(0, end));
        if (!request || request->command != Command::demote || request->amount == 0) return std::nullopt;
        all.push_back(*request);
        text.remove_prefix(end + 1);
    }
    return all;
}

}  // namespace

KeptDemotions KeptDemotions::open(std::string path, std::string& complaint) {
    KeptDemotions kept(std::move(path));
    const auto text = read_state(kept.path_);
    if (auto all = text ? parse(*text) : std::nullopt) {
        kept.all_ = std::move(*all);
        return kept;
    }
    kept.is_damaged_ = true;
    kept.all_ = {drained_host()};
    complaint = fmt::format(
        "{}: this host was drained for longer than carpd lives, but not how is known, so all of it is; end "
        "that by `carpctl undrain`",
        text ? kept.path_ + " makes no sense" : text.error().to_string());
    return kept;
}

Expected<bool, std::string> KeptDemotions::update(const std::vector<Request>& said, bool keep) {
    std::vector<Request> next = all_;
    std::erase_if(next, [&](const Request& kept) {
        return std::any_of(said.begin(), said.end(), [&](const Request& r) { return is_of_same(r, kept); });
    });
    if (keep) next.insert(next.end(), said.begin(), said.end());
    if (next == all_ && !(is_damaged_ && keep)) return true;
    return replace(std::move(next));
}

Expected<bool, std::string> KeptDemotions::replace(std::vector<Request> next) {
    std::string text;
    for (const Request& request : next) text += to_line(request) + "\n";
    if (const auto written = write_state(path_, text); !written)
        return Unexpected{fmt::format("nothing was changed: {}", written.error().to_string())};
    all_ = std::move(next);
    is_damaged_ = false;
    return true;
}

}  // namespace carpd
