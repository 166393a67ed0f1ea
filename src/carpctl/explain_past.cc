#include "carpctl/explain_past.h"

#include <fmt/format.h>

#include <cstdlib>

#include "carpctl/parts.h"

namespace carpd {

namespace {

constexpr std::time_t kAround = 60;

// Of "2026-11-27T03:12:04.567Z", in milliseconds; 0 of what is no time.
std::int64_t milliseconds_of(const std::string& time) {
    std::tm parts{};
    const char* end = strptime(time.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
    if (end == nullptr) return 0;
    const int fraction = *end == '.' ? std::atoi(end + 1) : 0;
    return std::int64_t{timegm(&parts)} * 1000 + fraction;
}

// As clocks here show it.
std::string local(std::int64_t ms) {
    const auto seconds = static_cast<std::time_t>(ms / 1000);
    std::tm parts{};
    localtime_r(&seconds, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
    return text;
}

struct Moment {
    const Json* before = nullptr;  // the last transition up to then
    const Json* after = nullptr;   // the next one
};

Moment moment_of(const Json& group, const Past& past, std::int64_t at) {
    Moment moment;
    for (const Json& change : past.history.at("changes")) {
        if (change.at("group") != group.at("name") || change.at("event") != "transition") continue;
        if (milliseconds_of(change.at("time").get<std::string>()) <= at)
            moment.before = &change;
        else if (moment.after == nullptr)
            moment.after = &change;
    }
    return moment;
}

// The state then and what made it so; nothing where that was before all that is known.
struct Then {
    std::string state, sentence;
};
std::optional<Then> then(const Json& group, const Past& past, const Moment& moment, std::int64_t at) {
    const std::string when = local(at);
    if (moment.before != nullptr) {
        const Json& change = *moment.before;
        const auto since = milliseconds_of(change.at("time").get<std::string>());
        return Then{text(change, "to"), fmt::format("{} at {}, since {}: {}.", upper(text(change, "to")),
                                                    when, local(since), text(change, "text"))};
    }
    if (moment.after != nullptr) {
        const Json& change = *moment.after;
        const auto until = milliseconds_of(change.at("time").get<std::string>());
        if (at < until - static_cast<std::int64_t>(change.at("previous_ms").get<double>()))
            return std::nullopt;
        return Then{text(change, "from"), fmt::format("{} at {}; why is not remembered any more.",
                                                      upper(text(change, "from")), when)};
    }
    const auto since =
        std::int64_t{past.now} * 1000 - static_cast<std::int64_t>(group.at("since_ms").get<double>());
    if (at < since) return std::nullopt;
    return Then{text(group, "state"),
                fmt::format("{} at {}, since {}, and still is; the cause: {}.", upper(text(group, "state")),
                            when, local(since), text(group, "reason"))};
}

void add_surroundings(const Json& group, const Past& past, std::int64_t at, Reasons& out) {
    for (const Json& change : past.history.at("changes")) {
        const auto time = milliseconds_of(change.at("time").get<std::string>());
        if (change.at("group") != group.at("name") || change.at("event") == "transition" ||
            std::llabs(time - at) > kAround * 1000)
            continue;
        out.push_back({text(change, "event"), fmt::format("{}  {}", local(time), text(change, "text"))});
    }
}

}  // namespace

Reasons explain_past(const Json& group, const Past& past, std::time_t seconds) {
    // Whoever says 03:12:04 means all of that second.
    const std::int64_t at = std::int64_t{seconds} * 1000 + 999;
    const Moment moment = moment_of(group, past, at);
    const auto known = then(group, past, moment, at);
    if (!known)
        return {
            {"unknown", fmt::format("Nothing is known of {}: carpd remembers the last changes since it was "
                                    "started, {} ago; its log may say more.",
                                    local(at), duration(past.status.at("running_ms")))}};
    Reasons reasons{{known->state, known->sentence}};
    add_surroundings(group, past, at, reasons);
    if (moment.after != nullptr)
        reasons.push_back(
            {"then", fmt::format("Then, at {}: {}.",
                                 local(milliseconds_of(moment.after->at("time").get<std::string>())),
                                 text(*moment.after, "text"))});
    return reasons;
}

std::string render_past(const Past& past, std::time_t at, const Paint& paint) {
    std::string out;
    for (const Json& group : past.status.at("groups")) {
        std::string lead = paint.bold(text(group, "name")) + ": ";
        for (const Reason& reason : explain_past(group, past, at)) {
            out += lead + reason.text + "\n";
            lead = "  ";
        }
    }
    return out;
}

Json past_json(const Past& past, std::time_t at) {
    Json groups = Json::array();
    for (const Json& group : past.status.at("groups")) {
        const Reasons reasons = explain_past(group, past, at);
        const bool is_known = reasons.front().code != "unknown";
        Json list = Json::array();
        for (const Reason& reason : reasons) list.push_back({{"code", reason.code}, {"text", reason.text}});
        groups.push_back({{"name", group.at("name")},
                          {"state", is_known ? Json(reasons.front().code) : Json(nullptr)},
                          {"reasons", list}});
    }
    return {{"schema", 1}, {"at", at}, {"groups", groups}};
}

}  // namespace carpd
