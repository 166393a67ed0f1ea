#include "carpctl/explain_past.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "carpctl/parts.h"
#include "control/wall_time.h"

namespace carpd {

namespace {

constexpr std::time_t kAround = 60;

// Of a change; 0 of what has none.
std::int64_t time_of(const Json& change) {
    return parse_wall_time(change.at("time").get<std::string>()).value_or(0);
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

// What stands around a time. Of a group's own changes only those of the run in which it lies: an engine that
// is started knows nothing of the one before.
struct Moment {
    const Json* before = nullptr;  // the last transition up to then
    const Json* after = nullptr;   // the next one
    const Json* ended = nullptr;   // carpd's stop or start that came last
    const Json* ends = nullptr;    // the one that comes next
    std::int64_t known_until = 0;  // when a change of any group was last told before `ends`
};

// Of each change, when it was by the clock as it goes since: where the clock was set back, what was told
// before was not later than what was told after. So a time that was there twice is taken for the second one.
std::vector<std::int64_t> times_of(const Json& changes) {
    std::vector<std::int64_t> times;
    for (const Json& change : changes) times.push_back(time_of(change));
    for (std::size_t i = times.size(); i-- > 1;) times[i - 1] = std::min(times[i - 1], times[i]);
    return times;
}

// Nothing, or a sentence where that time was there twice.
std::optional<std::string> clock_that_was_set_back(const Past& past, std::int64_t at) {
    const Json* before = nullptr;
    for (const Json& change : past.history.at("changes")) {
        if (before != nullptr && time_of(change) <= at && at < time_of(*before))
            return fmt::format(
                "This host's clock was set back from {} or later to {} or earlier, so that time was there "
                "twice; "
                "what is said is of the second one.",
                local(time_of(*before)), local(time_of(change)));
        before = &change;
    }
    return std::nullopt;
}

Moment moment_of(const Json& group, const Past& past, std::int64_t at) {
    Moment moment;
    const Json& changes = past.history.at("changes");
    const auto times = times_of(changes);
    for (std::size_t i = 0; i < changes.size(); ++i) {
        const Json& change = changes[i];
        const std::string event = change.at("event").get<std::string>();
        const bool is_past = times[i] <= at;
        if (event == "started" || event == "stopped") {
            if (!is_past) {
                moment.ends = &change;
                return moment;
            }
            moment = {.ended = &change};
        } else if (event == "transition" && change.at("group") == group.at("name")) {
            if (is_past)
                moment.before = &change;
            else if (moment.after == nullptr)
                moment.after = &change;
        }
        moment.known_until = time_of(change);
    }
    return moment;
}

// The state then and what made it so.
struct Then {
    std::string state, sentence;
};

// That carpd didn't run then, or may not have; nothing if it did.
std::optional<Then> absence(const Moment& moment, std::int64_t at) {
    const auto is = [](const Json* change, const char* event) {
        return change != nullptr && change->at("event") == event;
    };
    const std::string again =
        is(moment.ends, "started") ? " and started again at " + local(time_of(*moment.ends)) : "";
    if (is(moment.ended, "stopped"))
        return Then{"not_running", fmt::format("carpd did not run at {}: it was stopped at {}{}.", local(at),
                                               local(time_of(*moment.ended)), again)};
    if (!is(moment.ends, "started")) return std::nullopt;
    const Json& gap = moment.ends->at("not_running_ms");
    const auto started = time_of(*moment.ends);
    if (gap.is_null()) {  // it was killed with its supervisor, or the host lost its power
        if (moment.known_until == 0 || at <= moment.known_until + 999)
            return std::nullopt;  // all of that second
        return Then{
            "unknown",
            fmt::format("Nothing is known of {}: carpd told of a change at {} for the last time, and was "
                        "started again at {}; when it ended in between it could not say.",
                        local(at), local(moment.known_until), local(started))};
    }
    const auto ended = started - static_cast<std::int64_t>(gap.get<double>());
    if (at < ended) return std::nullopt;
    return Then{"not_running", fmt::format("carpd's engine did not run at {}: it ended at {}{}.", local(at),
                                           local(ended), again)};
}

// Nothing where that was before all that is known.
std::optional<Then> then(const Json& group, const Past& past, const Moment& moment, std::int64_t at) {
    const std::string when = local(at);
    if (moment.before != nullptr) {
        const Json& change = *moment.before;
        return Then{text(change, "to"), fmt::format("{} at {}, since {}: {}.", upper(text(change, "to")),
                                                    when, local(time_of(change)), text(change, "text"))};
    }
    if (moment.after != nullptr) {
        const Json& change = *moment.after;
        if (at < time_of(change) - static_cast<std::int64_t>(change.at("previous_ms").get<double>()))
            return std::nullopt;
        return Then{text(change, "from"), fmt::format("{} at {}; why is not remembered any more.",
                                                      upper(text(change, "from")), when)};
    }
    const auto since =
        std::int64_t{past.now} * 1000 - static_cast<std::int64_t>(group.at("since_ms").get<double>());
    if (at < since || moment.ends != nullptr) return std::nullopt;
    return Then{text(group, "state"),
                fmt::format("{} at {}, since {}, and still is; the cause: {}.", upper(text(group, "state")),
                            when, local(since), text(group, "reason"))};
}

// Where nothing is known of then.
Then ignorance(const Past& past, std::int64_t at) {
    const Json& changes = past.history.at("changes");
    const auto running = static_cast<std::int64_t>(past.status.at("running_ms").get<double>());
    const auto begins = changes.empty() ? std::int64_t{past.now} * 1000 - running : time_of(changes.front());
    return {"unknown", at < begins
                           ? fmt::format("Nothing is known of {}: what carpd remembers begins at {}; its "
                                         "log may say more.",
                                         local(at), local(begins))
                           : fmt::format("Nothing is known of {}: carpd remembers no change of this "
                                         "group from when it ran then; its log may say more.",
                                         local(at))};
}

void add_surroundings(const Json& group, const Past& past, std::int64_t at, Reasons& out) {
    for (const Json& change : past.history.at("changes")) {
        const auto time = time_of(change);
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
    auto known = absence(moment, at);
    const bool ran = !known;
    if (ran) known = then(group, past, moment, at);
    if (!known) known = ignorance(past, at);
    Reasons reasons{{known->state, known->sentence}};
    if (auto twice = clock_that_was_set_back(past, at))
        reasons.push_back({"clock_set_back", std::move(*twice)});
    if (!ran || known->state == "unknown") return reasons;
    add_surroundings(group, past, at, reasons);
    if (const Json* next = moment.after != nullptr ? moment.after : moment.ends)
        reasons.push_back(
            {"then", fmt::format("Then, at {}: {}.", local(time_of(*next)), text(*next, "text"))});
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
        const std::string& code = reasons.front().code;
        const bool is_known = code != "unknown" && code != "not_running";
        Json list = Json::array();
        for (const Reason& reason : reasons) list.push_back({{"code", reason.code}, {"text", reason.text}});
        groups.push_back({{"name", group.at("name")},
                          {"state", is_known ? Json(code) : Json(nullptr)},
                          {"reasons", list}});
    }
    return {{"schema", 1}, {"at", at}, {"groups", groups}};
}

}  // namespace carpd
