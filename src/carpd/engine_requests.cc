// The engine's part that talks to carpctl.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <set>
#include <utility>

#include "carpd/engine.h"
#include "control/config_answer.h"
#include "linux/clock.h"
#include "linux/log.h"

namespace carpd {

namespace {

// Of a status answer: how many groups and pools are told at once, and how many bytes may wait for a client to
// read them.
constexpr int kElementsAtOnce = 32;
constexpr std::size_t kMuchUnsent = 256 * 1024;

}  // namespace

void Engine::handle_line(LineServer::ClientId client, std::string_view line) {
    const auto request = parse_request(line);
    if (request && kernel_.control.is_reader(client) && !only_reads(request->command))
        return kernel_.control.send(client, error_line(fmt::format("who only reads may not ask for {}",
                                                                   to_string(request->command))));
    if (request && request->command == Command::status && request->group.empty())
        return begin_status(client, request->form);
    if (request && request->command == Command::config) return begin_config(client);
    kernel_.control.send(client, request ? execute(*request, client) : error_line(request.error()));
}

std::string Engine::execute(const Request& request, LineServer::ClientId client) {
    const std::vector<GroupId> groups = groups_called(request.group);
    if (!request.group.empty() && groups.empty()) return error_line(unknown(request.group));
    switch (request.command) {
        case Command::status: return status(groups, request.form);
        case Command::monitor:
            monitors_.insert(client);
            kernel_.control.subscribe(client);
            return ok_line();
        case Command::state: return set_state(groups, request.state);
        case Command::demote: return demote(request, groups);
        case Command::client: return tell_who_serves(request);
        case Command::reload: return reload();
        case Command::history: return history_line(history_.lines());
        case Command::upgrade: return upgrade(client);
        case Command::config: break;  // handle_line() begins it
        case Command::stop:
            log(LogLevel::notice, "stopping on request");
            stopping_ = true;
            return ok_line();
    }
    CARPD_ASSERT(false);
    return {};
}

// One group, or the carpnodes of a pool.
std::vector<GroupId> Engine::groups_called(const std::string& name) const {
    if (const auto id = node_.find_group(name)) return {*id};
    std::vector<GroupId> carpnodes;
    for (GroupId id = 0; id < node_.group_slots(); ++id)
        if (const Balancer* pool = node_.pool(id); pool && pool->config().pool == name)
            carpnodes.push_back(id);
    return carpnodes;
}

std::string Engine::status(const std::vector<GroupId>& groups, StatusForm form) const {
    std::string of_groups, of_pools;
    std::set<const Balancer*> pools;
    for (GroupId id : groups) {
        of_groups += (of_groups.empty() ? "" : ",") + group_element(id, form);
        if (const Balancer* pool = node_.pool(id); pool && pools.insert(pool).second)
            of_pools += (of_pools.empty() ? "" : ",") + pool_element(pool->leader());
    }
    return status_head(processes(), now_) + of_groups + std::string(kStatusPools) + of_pools +
           status_tail(node_, verdicts_, now_);
}

std::string Engine::set_state(const std::vector<GroupId>& groups, State state) {
    std::string in_init;
    pump_.input(now_, [&](Node& node, Actions& out) {
        for (GroupId id : groups)
            if (!node.handle_request(now_, id, state, out))
                in_init += fmt::format("{}{} is in INIT: {}", in_init.empty() ? "" : "; ",
                                       node.group(id)->config().name, reason_of(*node.group(id)));
    });
    return in_init.empty() ? ok_line() : error_line(in_init);
}

std::string Engine::tell_who_serves(const Request& request) const {
    std::vector<const Balancer*> pools;
    for (GroupId id = 0; id < node_.group_slots(); ++id) {
        const Balancer* pool = node_.pool(id);
        if (!pool || pool->leader() != id) continue;
        if (request.group.empty() || request.group == pool->config().pool) pools.push_back(pool);
    }
    if (pools.empty() && !request.group.empty())
        return error_line(fmt::format("{} is no pool; its MASTER serves all clients", request.group));
    return client_line(node_, pools, {request.address, request.mac}, now_);
}

Processes Engine::processes() const {
    return {getpid(),        supervision_.supervisor, supervision_.restarts,
            now_ - started_, kernel_.helper.status(), kernel_.sync.status(now_),
            kept_.all()};
}

// Telling of thousands of groups takes longer than an advertisement may be late, so it is a chore.
void Engine::begin_status(LineServer::ClientId client, StatusForm form) {
    kernel_.control.send_part(client, status_head(processes(), now_));
    answers_[client] = {.form = form};
}

void Engine::begin_config(LineServer::ClientId client) {
    const std::vector<Section> rest = describe_all_but_groups(*config_);
    kernel_.control.send_part(
        client, config_head(path_.empty() ? kUcarpCommandLine : path_) + to_json_text(rest.front()));
    answers_[client] = {.config = config_};
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
        const bool is_over = !kernel_.control.is_open(client) ||
                             (can_go_on && continue_answer(client, answer, kElementsAtOnce));
        at = is_over ? answers_.erase(at) : std::next(at);
    }
}

// What brings the addresses, and takes them away.
std::string_view Engine::dataplane() const {
    if (config_->ucarp) return "scripts";
    return kernel_.data_plane.has_gate() ? "bpf" : "macvlan";
}

// Empty if there is none.
std::string Engine::group_element(GroupId id, StatusForm form) const {
    const VirtualHost* group = node_.group(id);
    if (group == nullptr) return {};
    switch (form) {
        case StatusForm::whole: return status_of(node_, *group, now_, dataplane());
        case StatusForm::brief: return brief_status_of(node_, *group, now_, dataplane());
        case StatusForm::peers: return peers_status_of(node_, *group, now_);
    }
    return {};
}

// Of the pool that the group leads; empty if it leads none.
std::string Engine::pool_element(GroupId id) const {
    const Balancer* pool = node_.group(id) != nullptr ? node_.pool(id) : nullptr;
    return pool && pool->leader() == id ? status_of(node_, *pool, now_, kernel_.data_plane.traffic_of(id))
                                        : "";
}

// Returns whether that was all.
bool Engine::continue_answer(LineServer::ClientId client, LongAnswer& answer, int elements) {
    if (answer.config) return continue_config(client, answer, elements);
    std::string text;
    for (; elements > 0 && !answer.is_all(node_); ++answer.next) {
        if (answer.next >= node_.group_slots()) {
            text += kStatusPools;
            answer.next = 0;
            answer.is_at_pools = true;
            answer.has_elements = false;
        }
        const auto id = static_cast<GroupId>(answer.next);
        const std::string one = answer.is_at_pools ? pool_element(id) : group_element(id, answer.form);
        if (one.empty()) continue;
        if (std::exchange(answer.has_elements, true)) text += ',';
        text += one;
        --elements;
    }
    const bool is_all = answer.is_all(node_);
    if (is_all)
        kernel_.control.send(client, text + status_tail(node_, verdicts_, now_));
    else
        kernel_.control.send_part(client, text);
    return is_all;
}

bool Engine::continue_config(LineServer::ClientId client, LongAnswer& answer, int elements) {
    const auto& groups = answer.config->groups;
    std::string text;
    for (; elements > 0 && answer.next < groups.size(); ++answer.next, --elements)
        if (const Section section = describe(groups[answer.next]); !section.kind.empty())
            text += "," + to_json_text(section);
    const bool is_all = answer.next == groups.size();
    if (!is_all) {
        kernel_.control.send_part(client, text);
        return false;
    }
    const std::vector<Section> rest = describe_all_but_groups(*answer.config);
    for (std::size_t i = 1; i < rest.size(); ++i) text += "," + to_json_text(rest[i]);
    kernel_.control.send(client, text + std::string(kConfigTail));
    return true;
}

std::string Engine::unknown(const std::string& group) const {
    std::vector<std::string> names;
    for (const GroupConfig& known : config_->groups) {
        const std::string& name = known.balance ? known.balance->pool : known.name;
        if (names.empty() || names.back() != name) names.push_back(name);
    }
    return unknown_group("group", group, names);
}

void Engine::broadcast(const std::function<std::string(std::string_view)>& line) {
    std::erase_if(monitors_, [this](auto client) { return !kernel_.control.is_open(client); });
    const std::string& text = history_.add(line(wall_clock()));
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
