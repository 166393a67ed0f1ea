// `carpctl drain` and `undrain`: gives what this host is MASTER of to others before maintenance, and says who
// has it. It is a demotion like any other (carp.md, rules M), with a name of its own and somebody who waits
// for its effect.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "carpctl/commands.h"
#include "carpctl/parts.h"
#include "control/human.h"

namespace carpd {

namespace {

// Readable when nobody is expected to take over any more.
int alarm_after(int seconds) {
    const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    // An alarm at 0 would never come.
    const itimerspec at{{}, {seconds, seconds == 0 ? 1 : 0}};
    timerfd_settime(fd, 0, &at, nullptr);
    return fd;
}

Expected<Json, Failure> ask_for_groups(Client& client, const std::string& group) {
    const auto answer = ask(client, to_line(Request{.command = Command::status, .group = group}));
    if (!answer) return Unexpected{answer.error()};
    return answer->json.at("groups");
}

Json masters_among(const Json& groups) {
    Json masters = Json::array();
    for (const Json& group : groups)
        if (group.at("state") == "master") masters.push_back(group.at("name"));
    return masters;
}

// Those of `before` that others have now, and by whom.
Json moved_of(const Json& before, const Json& groups) {
    Json moved = Json::array();
    for (const Json& group : groups) {
        const bool was_ours = std::find(before.begin(), before.end(), group.at("name")) != before.end();
        if (!was_ours || group.at("state") == "master") continue;
        const Json& heard = group.at("last_heard");
        moved.push_back(
            {{"name", group.at("name")}, {"master", heard.is_null() ? Json(nullptr) : heard.at("source")}});
    }
    return moved;
}

Request demotion(const std::string& group, int amount) {
    Request request{.command = Command::demote, .group = group, .amount = amount};
    request.name = kDrainDemotion;
    if (group.empty()) request.interface_group = kAllGroups;
    return request;
}

// Waits until this host is MASTER of nothing of it any more, or for so long.
Expected<Json, Failure> wait_for_others(Client& client, Client& changes, const std::string& group,
                                        int seconds) {
    const int alarm = alarm_after(seconds);
    for (;;) {
        auto groups = ask_for_groups(client, group);
        if (!groups || masters_among(*groups).empty()) return groups;
        const auto change = changes.next_line(alarm);
        if (!change) return Unexpected{change.error()};
        if (!change->has_value()) return ask_for_groups(client, group);
    }
}

void print(const Json& moved, const std::string& end) {
    for (const Json& group : moved)
        fmt::print("{}: {} is MASTER\n", text(group, "name"),
                   group.at("master").is_null() ? "another host" : text(group, "master"));
    fmt::print("Drained{}.\n", end);
}

// carpd has no time to wait for a disk. Nothing if it is there, also after a power cut.
std::optional<Failure> wait_for_disk(const std::string& file) {
    for (const std::string& path : {file, std::filesystem::path(file).parent_path().string()}) {
        const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        const bool is_there = fd >= 0 && ::fsync(fd) == 0;
        const int error = errno;
        if (fd >= 0) ::close(fd);
        if (!is_there)
            return Failure{kFailed,
                           fmt::format("this host is drained, but whether it stays so after a power cut "
                                       "isn't known: {}: {}",
                                       path, std::strerror(error))};
    }
    return std::nullopt;
}

std::string end_of(const DrainOrder& order, const std::string& undo) {
    if (order.lasts) return fmt::format(" for {}, or until `{}`", human_duration(*order.lasts), undo);
    if (order.persist) return fmt::format(", also when carpd or this host starts again, until `{}`", undo);
    return fmt::format(", until carpd stops or `{}`", undo);
}

}  // namespace

ExitCode drain_command(const Options& options, const DrainOrder& order) {
    const std::string& group = order.group;
    auto client = Client::connect(options.socket), changes = Client::connect(options.socket);
    if (!client) return report(client.error());
    if (!changes) return report(changes.error());
    const auto before = ask_for_groups(*client, group);
    if (!before) return report(before.error());
    const Json ours = masters_among(*before);
    if (const auto heard = ask(*changes, to_line(Request{.command = Command::monitor})); !heard)
        return report(heard.error());
    Request request = demotion(group, kDrainAmount);
    request.lasts = order.lasts;
    request.persist = order.persist;
    const auto done = ask(*client, to_line(request));
    if (!done) return report(done.error());

    const auto after = wait_for_others(*client, *changes, group, order.patience);
    if (!after) return report(after.error());
    const Json moved = moved_of(ours, *after), left = masters_among(*after);
    const std::string undo = group.empty() ? "carpctl undrain" : fmt::format("carpctl undrain {}", group);
    if (options.json)
        fmt::print("{}\n", Json({{"schema", 1}, {"moved", moved}, {"still_master", left}}).dump());
    else
        print(moved, end_of(order, undo));
    if (order.persist)
        if (const auto failure = wait_for_disk(text(done->json, "file"))) return report(*failure);
    if (left.empty()) return kOk;
    return report(
        {kFailed, fmt::format("nobody took over within {} s, so this host is still MASTER of {}: is "
                              "there another host that runs, hears this one and isn't as demoted? It "
                              "hands over as soon as there is; end that by `{}`",
                              order.patience, join(left, ", "), undo)});
}

ExitCode undrain_command(const Options& options, const std::string& group) {
    return give_order(Client::connect(options.socket), to_line(demotion(group, 0)), options.json);
}

}  // namespace carpd
