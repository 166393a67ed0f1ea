#include "carpd/hook_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace carpd {

namespace {

constexpr std::string_view kUnknown = "unknown";

HookEvent event_of(const GroupNews& news) {
    if (news.kind == GroupNews::Kind::reasserted) return HookEvent::reasserted;
    switch (news.state) {
        case State::init: return HookEvent::init;
        case State::backup: return HookEvent::backup;
        case State::master: return HookEvent::master;
    }
    return HookEvent::init;
}

bool contains(const auto& values, const auto& value) {
    return std::find(values.begin(), values.end(), value) != values.end();
}

bool wants(const HookConfig& hook, const GroupNews& news) {
    return contains(hook.on, event_of(news)) && (hook.groups.empty() || contains(hook.groups, news.group));
}

}  // namespace

std::vector<std::string> hook_environment(const HookRun& run) {
    const GroupNews& news = run.news;
    const bool reasserted = news.kind == GroupNews::Kind::reasserted;
    return {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            fmt::format("CARPD_EVENT={}", reasserted ? "reasserted" : to_string(news.state)),
            "CARPD_GROUP=" + news.group,
            "CARPD_INTERFACE=" + news.interface,
            fmt::format("CARPD_VHID={}", news.vhid),
            fmt::format("CARPD_STATE={}", to_string(news.state)),
            "CARPD_PREVIOUS_STATE=" + run.previous,
            "CARPD_CAUSE=" + news.cause,
            "CARPD_REASON=" + news.reason,
            fmt::format("CARPD_ADDRESSES={}", fmt::join(news.addresses, " ")),
            fmt::format("CARPD_DEMOTION={}", news.demotion),
            "CARPD_RIVAL=" + news.rival,
            fmt::format("CARPD_SEQUENCE={}", news.sequence),
            "CARPD_TIME=" + news.time,
            fmt::format("CARPD_MISSED={}", run.missed)};
}

void HookQueue::configure(const std::vector<HookConfig>& hooks, const std::vector<std::string>& groups) {
    std::vector<Hook> before = std::exchange(hooks_, {}), fresh;
    for (const HookConfig& hook : hooks) {
        const auto known =
            std::find_if(before.begin(), before.end(), [&](const Hook& h) { return *h == hook; });
        hooks_.push_back(known != before.end() ? *known : std::make_shared<const HookConfig>(hook));
        if (known == before.end()) fresh.push_back(hooks_.back());
    }
    for (auto& [name, group] : groups_) {
        group.is_configured = contains(groups, name);
        if (!group.is_configured || !group.last) continue;
        GroupNews news = *group.last;
        news.kind = GroupNews::Kind::state;
        put(group, {news, std::string(kUnknown), 0, hooks_for(news, fresh)});
    }
    std::erase_if(groups_, [](const auto& entry) {
        return !entry.second.is_configured && entry.second.events.empty();
    });
}

void HookQueue::add(const GroupNews& news) {
    Group& group = groups_[news.group];
    if (news.kind == GroupNews::Kind::reasserted)
        return put(group, {news, std::string(to_string(news.state)), 0, hooks_for(news, hooks_)});
    const bool is_new = !group.last || group.last->state != news.state;
    std::string previous(news.from    ? to_string(*news.from)
                         : group.last ? to_string(group.last->state)
                                      : kUnknown);
    group.last = news;
    if (is_new) put(group, {news, std::move(previous), 0, hooks_for(news, hooks_)});
}

void HookQueue::engine_ended(const std::string& time, std::uint64_t sequence) {
    for (auto& [name, group] : groups_) {
        if (!group.last) continue;
        GroupNews news = *group.last;
        news.kind = GroupNews::Kind::state;
        news.from.reset();
        news.sequence = std::max(sequence, news.sequence + 1);
        news.time = time;
        news.state = State::init;
        news.cause = "engine_ended";
        news.reason = "the engine died";
        news.rival.clear();
        add(news);
    }
}

std::vector<HookQueue::Hook> HookQueue::hooks_for(const GroupNews& news,
                                                  const std::vector<Hook>& among) const {
    std::vector<Hook> result;
    for (const Hook& hook : among)
        if (wants(*hook, news)) result.push_back(hook);
    return result;
}

void HookQueue::put(Group& group, Event event) {
    if (event.hooks.empty()) return;
    const std::size_t waiting = group.events.size() - (group.is_running ? 1 : 0);
    if (waiting == kMaxWaiting) {
        miss(group);
        // A state must be told in the end; that it was defended need not.
        if (event.news.kind == GroupNews::Kind::reasserted) return;
        group.missed += group.events.back().missed;
        group.events.pop_back();
    }
    event.missed = std::exchange(group.missed, 0);
    if (group.events.empty()) ready_.push_back(event.news.group);
    group.events.push_back(std::move(event));
}

void HookQueue::miss(Group& group) {
    ++group.missed;
    ++missed_;
}

std::optional<HookRun> HookQueue::take() {
    if (ready_.empty() || running_ == kMaxRunning) return std::nullopt;
    Group& group = groups_.at(ready_.front());
    ready_.pop_front();
    group.is_running = true;
    ++running_;
    const Event& event = group.events.front();
    return HookRun{event.hooks.front(), event.news, event.previous, event.missed};
}

void HookQueue::ended(const std::string& name) {
    Group& group = groups_.at(name);
    CARPD_ASSERT(group.is_running);
    group.is_running = false;
    --running_;
    std::vector<Hook>& hooks = group.events.front().hooks;
    hooks.erase(hooks.begin());
    if (hooks.empty()) group.events.pop_front();
    if (!group.events.empty())
        ready_.push_back(name);
    else if (!group.is_configured)
        groups_.erase(name);
}

}  // namespace carpd
