#include "control/helper_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "control/message_fields.h"
#include "control/status.h"

namespace carpd {

namespace {

using message::kAny, message::read, message::read_number;

constexpr std::array<std::string_view, 3> kKinds = {"transition", "reasserted", "state"};
constexpr std::array<std::string_view, 3> kStates = {"init", "backup", "master"};

GroupNews news_about(const GroupConfig& group, GroupNews::Kind kind) {
    GroupNews news;
    news.kind = kind;
    news.group = group.name;
    news.interface = group.interface;
    news.vhid = group.vhid.value;
    for (const InterfaceAddress& address : group.addresses) {
        if (news.addresses.size() == GroupNews::kMostAddresses) break;
        news.addresses.push_back(address.to_string());
    }
    return news;
}

// ---- reading: what is missing or of another type makes the whole message bad

bool read(const Json& object, const char* key, State& value) {
    std::string name;
    if (!read(object, key, name)) return false;
    const auto found = std::find(kStates.begin(), kStates.end(), name);
    value = static_cast<State>(found - kStates.begin());
    return found != kStates.end();
}

bool read(const Json& object, const char* key, std::vector<std::string>& value) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_array() || found->size() > GroupNews::kMostAddresses)
        return false;
    for (const Json& element : *found) {
        if (!element.is_string()) return false;
        value.push_back(element.get<std::string>());
        if (value.back().find('\0') != std::string::npos) return false;
    }
    return true;
}

bool read_news(const Json& object, GroupNews& news) {
    if (news.kind == GroupNews::Kind::transition && !read(object, "from", news.from.emplace())) return false;
    return read_number(object, "sequence", news.sequence, kAny) && read(object, "time", news.time) &&
           read(object, "group", news.group) && !news.group.empty() &&
           read(object, "interface", news.interface) && read_number(object, "vhid", news.vhid, 255) &&
           read(object, "addresses", news.addresses) && read(object, "state", news.state) &&
           read(object, "cause", news.cause) && read(object, "reason", news.reason) &&
           read_number(object, "demotion", news.demotion, 255) && read(object, "rival", news.rival);
}

bool read_figures(const Json& object, HookFigures& figures) {
    return read_number(object, "run", figures.run, kAny) &&
           read_number(object, "failed", figures.failed, kAny) &&
           read_number(object, "timed_out", figures.timed_out, kAny) &&
           read_number(object, "missed", figures.missed, kAny);
}

bool read_track(const Json& object, TrackNews& news) {
    TrackVerdict& verdict = news.verdict;
    std::int64_t since = 0;
    const bool whole = read(object, "track", news.track) && read(object, "passed", verdict.passed) &&
                       read(object, "why", verdict.why) &&
                       read_number(object, "since_ns", since, std::numeric_limits<std::int64_t>::max()) &&
                       read_number(object, "passes", verdict.passes, kAny) &&
                       read_number(object, "failures", verdict.failures, kAny) &&
                       read_number(object, "changes", verdict.changes, kAny);
    verdict.known = true;
    verdict.since = Instant(Duration(since));
    verdict.why.resize(std::min(verdict.why.size(), TrackNews::kLongestWhy));
    return whole;
}

Unexpected<std::string> refuse(std::string reason) {
    return Unexpected{std::move(reason)};
}

}  // namespace

GroupNews news_of(const GroupConfig& group, const ReportTransition& report) {
    GroupNews news = news_about(group, GroupNews::Kind::transition);
    news.from = report.from;
    news.state = report.to;
    news.cause = to_identifier(report.cause);
    news.reason = reason_of(report);
    news.demotion = report.ours.demote;
    if (report.rival) news.rival = report.rival->source.to_string();
    return news;
}

GroupNews news_of(const GroupConfig& group, int demotion, const ReportRival& report) {
    GroupNews news = news_about(group, GroupNews::Kind::reasserted);
    news.state = State::master;
    news.cause = to_identifier(report.cause);
    news.reason = to_string(report.cause);
    news.demotion = demotion;
    news.rival = report.rival.source.to_string();
    return news;
}

GroupNews news_of(const VirtualHost& group) {
    GroupNews news = news_about(group.config(), GroupNews::Kind::state);
    news.state = group.state();
    news.cause = to_identifier(group.cause());
    news.reason = reason_of(group);
    news.demotion = group.demotion().value();
    return news;
}

std::string to_message(const EngineMessage& message) {
    const auto* news = std::get_if<GroupNews>(&message);
    if (news == nullptr) return dump({{"message", "engine_ended"}});
    Json json{{"message", kKinds[static_cast<std::size_t>(news->kind)]},
              {"sequence", news->sequence},
              {"time", news->time},
              {"group", news->group},
              {"interface", news->interface},
              {"vhid", news->vhid},
              {"addresses", news->addresses},
              {"state", to_string(news->state)},
              {"cause", news->cause},
              {"reason", news->reason},
              {"demotion", news->demotion},
              {"rival", news->rival}};
    if (news->from) json["from"] = to_string(*news->from);
    return dump(json);
}

std::string to_message(const HelperMessage& message) {
    if (const auto* hello = std::get_if<HelperHello>(&message))
        return dump({{"message", "hello"}, {"pid", hello->pid}});
    if (const auto* news = std::get_if<TrackNews>(&message))
        return dump({{"message", "track"},
                     {"track", news->track},
                     {"passed", news->verdict.passed},
                     {"why", news->verdict.why.substr(0, TrackNews::kLongestWhy)},
                     {"since_ns", news->verdict.since.time_since_epoch().count()},
                     {"passes", news->verdict.passes},
                     {"failures", news->verdict.failures},
                     {"changes", news->verdict.changes}});
    const auto& figures = std::get<HookFigures>(message);
    return dump({{"message", "hooks"},
                 {"run", figures.run},
                 {"failed", figures.failed},
                 {"timed_out", figures.timed_out},
                 {"missed", figures.missed}});
}

Expected<EngineMessage, std::string> parse_engine_message(std::string_view text) {
    const auto [object, kind] = message::open(text);
    EngineMessage message = EngineEnded{};
    if (kind == "engine_ended") return message;
    const auto found = std::find(kKinds.begin(), kKinds.end(), kind);
    if (found == kKinds.end()) return refuse("it is no message that a helper knows");
    GroupNews& news = message.emplace<GroupNews>();
    news.kind = static_cast<GroupNews::Kind>(found - kKinds.begin());
    if (!read_news(object, news)) return refuse(fmt::format("a '{}' that is incomplete or malformed", kind));
    return message;
}

Expected<HelperMessage, std::string> parse_helper_message(std::string_view text) {
    const auto [object, kind] = message::open(text);
    HelperHello hello;
    if (kind == "hello" && read_number(object, "pid", hello.pid, std::numeric_limits<int>::max()))
        return HelperMessage(hello);
    HookFigures figures;
    if (kind == "hooks" && read_figures(object, figures)) return HelperMessage(figures);
    TrackNews news;
    if (kind == "track" && read_track(object, news)) return HelperMessage(std::move(news));
    if (kind == "hello" || kind == "hooks" || kind == "track")
        return refuse(fmt::format("a '{}' that is incomplete or malformed", kind));
    return refuse("it is no message that an engine knows");
}

}  // namespace carpd
