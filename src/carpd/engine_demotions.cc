// The engine's part for demotions by an operator, and those of them that outlive it.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "carpd/engine.h"
#include "linux/log.h"
#include "linux/state_file.h"

namespace carpd {

namespace {

// Of each group by its own name: the carpnodes of a pool may be ended one by one.
std::vector<Request> of_each(const Request& request, const std::vector<GroupId>& groups, const Node& node) {
    std::vector<Request> each;
    for (GroupId id : groups) each.emplace_back(request).group = node.group(id)->config().name;
    if (groups.empty()) each.push_back(request);
    for (Request& one : each) one.persist = false;  // that it stands in the file says so
    return each;
}

}  // namespace

std::string Engine::demote(const Request& request, const std::vector<GroupId>& groups) {
    if (groups.empty()) {
        std::set<std::string> known{std::string(kAllGroups)};
        for (const GroupConfig& group : config_->groups)
            known.insert(group.interface_groups.begin(), group.interface_groups.end());
        if (!known.contains(request.interface_group))
            return error_line(
                unknown_group("interface group", request.interface_group, {known.begin(), known.end()}));
    }
    // A disk that hangs here may cost this host its leases; it was told to give them up, or has none.
    const std::vector<Request> before = kept_.all();
    const auto kept = kept_.update(of_each(request, groups, node_), request.persist);
    if (!kept) return error_line(kept.error());
    if (!set_demotion(request, groups)) {
        if (const auto restored = kept_.replace(before); !restored) log(LogLevel::error, restored.error());
        return error_line(
            fmt::format("there are {} demotions already; end one of them first", Node::kMaxOperatorNames));
    }
    return request.persist ? kept_line(kept_.path()) : ok_line();
}

bool Engine::set_demotion(const Request& request, const std::vector<GroupId>& groups) {
    const Instant ends = request.lasts ? now_ + *request.lasts : kNever;
    bool done = true;
    pump_.input(now_, [&](Node& node, Actions& out) {
        for (GroupId id : groups)
            done = node.demote_group(now_, id, request.name, request.amount, ends, out) && done;
        if (groups.empty())
            done = node.demote_interface_group(now_, request.interface_group, request.name, request.amount,
                                               ends, out);
    });
    return done;
}

void Engine::open_kept_demotions() {
    std::string complaint;
    kept_ = KeptDemotions::open(state_file(config_->control, "demotions"), complaint);
    if (!complaint.empty()) log(LogLevel::error, complaint);
    set_kept_demotions();
    std::vector<Request> known;
    for (const Request& kept : kept_.all()) {
        if (kept.group.empty() || node_.find_group(kept.group))
            known.push_back(kept);
        else
            log(LogLevel::warning,
                fmt::format(
                    "{} is demoted by {} ({}) also after a restart, but isn't configured any more; that "
                    "is forgotten",
                    kept.group, kept.amount, kept.name));
    }
    if (known.size() == kept_.all().size()) return;
    if (const auto written = kept_.replace(std::move(known)); !written) log(LogLevel::error, written.error());
}

void Engine::set_kept_demotions() {
    for (const Request& kept : kept_.all()) {
        const auto id = node_.find_group(kept.group);
        if (id || kept.group.empty()) set_demotion(kept, id ? std::vector{*id} : std::vector<GroupId>());
    }
}

}  // namespace carpd
