#include "control/sync_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "config/config.h"
#include "control/message_fields.h"

namespace carpd {

namespace {

using message::kAny, message::read, message::read_number;

constexpr std::array kReasons = {SyncIncomplete::no, SyncIncomplete::starting, SyncIncomplete::overrun,
                                 SyncIncomplete::receiving, SyncIncomplete::differs};

bool read(const Json& object, const char* key, SyncIncomplete& value) {
    std::string name;
    if (!read(object, key, name)) return false;
    const auto found = std::find_if(kReasons.begin(), kReasons.end(),
                                    [&](SyncIncomplete reason) { return to_string(reason) == name; });
    if (found == kReasons.end()) return false;
    value = *found;
    return true;
}

bool read_copy(const Json& object, SyncCopy& copy) {
    return read(object, "incomplete", copy.incomplete) &&
           read_number(object, "peers", copy.peers, kMostSyncPeers) &&
           read_number(object, "peers_up", copy.peers_up, static_cast<std::uint64_t>(copy.peers));
}

std::string say(const Mastership& news) {
    return dump({{"message", "mastership"}, {"master", news.master}, {"takeover", news.takeover}});
}
std::string say(EngineEnded) {
    return dump({{"message", "engine_ended"}});
}
std::string say(const SyncSettings& settings) {
    return to_message(settings);
}
std::string say(SyncGreeting hello) {
    return dump({{"message", "hello"}, {"pid", hello.pid}});
}
std::string say(const SyncCopy& copy) {
    return dump({{"message", "copy"},
                 {"incomplete", to_string(copy.incomplete)},
                 {"peers", copy.peers},
                 {"peers_up", copy.peers_up}});
}
std::string say(SyncCommitted committed) {
    return dump({{"message", "committed"}, {"takeover", committed.takeover}});
}
std::string say(SyncEnded) {
    return dump({{"message", "ended"}});
}

// `kinds`: those that the hearer knows.
Unexpected<std::string> refuse(std::string_view kind, std::initializer_list<std::string_view> kinds,
                               std::string_view hearer) {
    if (std::find(kinds.begin(), kinds.end(), kind) != kinds.end())
        return Unexpected{fmt::format("a '{}' that is incomplete or malformed", kind)};
    return Unexpected{fmt::format("it is no message that {} knows", hearer)};
}

}  // namespace

std::string to_message(const ToSync& message) {
    return std::visit([](const auto& m) { return say(m); }, message);
}

std::string to_message(const FromSync& message) {
    return std::visit([](const auto& m) { return say(m); }, message);
}

Expected<ToSync, std::string> parse_to_sync(std::string_view text) {
    const auto [object, kind] = message::open(text);
    Mastership news;
    if (kind == "engine_ended") return ToSync(EngineEnded{});
    if (kind == "mastership" && read(object, "master", news.master) &&
        read_number(object, "takeover", news.takeover, kAny))
        return ToSync(news);
    if (kind == "settings")
        if (auto settings = read_sync_settings(object)) return ToSync(std::move(*settings));
    return refuse(kind, {"mastership", "settings"}, "carpd: sync");
}

Expected<FromSync, std::string> parse_from_sync(std::string_view text) {
    const auto [object, kind] = message::open(text);
    SyncGreeting hello;
    SyncCopy copy;
    SyncCommitted committed;
    if (kind == "ended") return FromSync(SyncEnded{});
    if (kind == "hello" && read_number(object, "pid", hello.pid, std::numeric_limits<int>::max()))
        return FromSync(hello);
    if (kind == "copy" && read_copy(object, copy)) return FromSync(copy);
    if (kind == "committed" && read_number(object, "takeover", committed.takeover, kAny))
        return FromSync(committed);
    return refuse(kind, {"hello", "copy", "committed"}, "an engine");
}

}  // namespace carpd
