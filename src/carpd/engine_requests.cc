// The engine's part that talks to carpctl.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <set>
#include <utility>

#include "carpd/engine.h"
#include "linux/clock.h"
#include "linux/log.h"

namespace carpd {

namespace {

// Of a status answer: how many groups are told at once, and how many bytes may wait for a client to read
// them.
constexpr int kGroupsAtOnce = 32;
constexpr std::size_t kMuchUnsent = 256 * 1024;

}  // namespace

void Engine::handle_line(LineServer::ClientId client, std::string_view line) {
    const auto request = parse_request(line);
    if (request && request->command == Command::status && request->group.empty()) return begin_status(client);
    kernel_.control.send(client, request ? execute(*request, client) : error_line(request.error()));
}

std::string Engine::execute(const Request& request, LineServer::ClientId client) {
    std::optional<GroupId> id;
    if (!request.group.empty()) {
        id = node_.find_group(request.group);
        if (!id) return error_line(unknown(request.group));
    }
    switch (request.command) {
        case Command::status:
            return status_head(processes(), now_) +
                   status_of(node_, *node_.group(*id), now_, kernel_.data_plane.has_gate()) +
                   status_tail(node_, verdicts_, now_);
        case Command::monitor:
            monitors_.insert(client);
            kernel_.control.subscribe(client);
            return ok_line();
        case Command::state: {
            bool done = false;
            pump_.input(now_, [&](Node& node, Actions& out) {
                done = node.handle_request(now_, *id, request.state, out);
            });
            if (done) return ok_line();
            return error_line(fmt::format("{} is in INIT: {}", request.group, reason_of(*node_.group(*id))));
        }
        case Command::demote: return demote(request, id);
        case Command::reload: return reload();
        case Command::stop:
            log(LogLevel::notice, "stopping on request");
            stopping_ = true;
            return ok_line();
    }
    CARPD_ASSERT(false);
    return {};
}

Processes Engine::processes() const {
    return {getpid(),        supervision_.supervisor, supervision_.restarts,
            now_ - started_, kernel_.helper.status(), kernel_.sync.status(now_)};
}

// Telling of thousands of groups takes longer than an advertisement may be late, so it is a chore.
void Engine::begin_status(LineServer::ClientId client) {
    kernel_.control.send_part(client, status_head(processes(), now_));
    answers_[client] = {};
}

bool Engine::can_continue_answers() const {
    return std::any_of(answers_.begin(), answers_.end(), [this](const auto& entry) {
        return kernel_.control.unsent(entry.first) < kMuchUnsent;
    });
}

void Engine::continue_answers() {
    for (auto at = answers_.begin(); at != answers_.end();) {
        auto& [client, answer] = *at;
        const bool can_go_on = kernel_.control.unsent(client) < kMuchUnsent;
        const bool is_over =
            !kernel_.control.is_open(client) || (can_go_on && continue_answer(client, answer, kGroupsAtOnce));
        at = is_over ? answers_.erase(at) : std::next(at);
    }
}

// Returns whether that was all.
bool Engine::continue_answer(LineServer::ClientId client, StatusAnswer& answer, int groups) {
    std::string text;
    for (; answer.next < node_.group_slots() && groups > 0; ++answer.next) {
        const VirtualHost* group = node_.group(answer.next);
        if (group == nullptr) continue;
        if (std::exchange(answer.has_groups, true)) text += ',';
        text += status_of(node_, *group, now_, kernel_.data_plane.has_gate());
        --groups;
    }
    const bool is_all = answer.next >= node_.group_slots();
    if (is_all)
        kernel_.control.send(client, text + status_tail(node_, verdicts_, now_));
    else
        kernel_.control.send_part(client, text);
    return is_all;
}

std::string Engine::demote(const Request& request, std::optional<GroupId> id) {
    if (!id) {
        std::set<std::string> known{std::string(kAllGroups)};
        for (const GroupConfig& group : config_->groups)
            known.insert(group.interface_groups.begin(), group.interface_groups.end());
        if (!known.contains(request.interface_group))
            return error_line(
                unknown_group("interface group", request.interface_group, {known.begin(), known.end()}));
    }
    bool done = false;
    pump_.input(now_, [&](Node& node, Actions& out) {
        done = id ? node.demote_group(now_, *id, request.name, request.amount, out)
                  : node.demote_interface_group(now_, request.interface_group, request.name, request.amount,
                                                out);
    });
    if (done) return ok_line();
    return error_line(
        fmt::format("there are {} demotions already; end one of them first", Node::kMaxOperatorNames));
}

std::string Engine::unknown(const std::string& group) const {
    std::vector<std::string> names;
    for (const GroupConfig& known : config_->groups) names.push_back(known.name);
    return unknown_group("group", group, names);
}

void Engine::broadcast(const std::function<std::string(std::string_view)>& line) {
    std::erase_if(monitors_, [this](auto client) { return !kernel_.control.is_open(client); });
    if (monitors_.empty()) return;
    const std::string text = line(wall_clock());
    for (auto client : monitors_) {
        // A line doesn't go into the middle of another.
        if (const auto begun = answers_.find(client); begun != answers_.end()) {
            continue_answer(client, begun->second, std::numeric_limits<int>::max());
            answers_.erase(begun);
        }
        kernel_.control.send(client, text);
    }
}

}  // namespace carpd
