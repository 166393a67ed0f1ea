// What the engine tells of changes: to the log, to monitors, and to the helper, which runs hooks.
#include "carpd/engine.h"
#include "control/event_fields.h"

namespace carpd {

void Engine::perform(const ReportTransition& action) {
    const GroupConfig& group = *groups_[action.group].config;
    log(LogLevel::notice, describe(group, action), event_fields(group, action));
    broadcast([&](std::string_view time) { return monitor_line(group, action, time); });
    kernel_.helper.tell(news_of(group, action));
}

void Engine::perform(const ReportRival& action) {
    const GroupConfig& group = *groups_[action.group].config;
    log(LogLevel::warning, describe(group, action), event_fields(group, action));
    broadcast([&](std::string_view time) { return monitor_line(group, action, time); });
    const VirtualHost* host = node_.group(action.group);
    kernel_.helper.tell(news_of(group, host != nullptr ? host->demotion().value() : 0, action));
}

void Engine::perform(const ReportHeld& action) {
    const GroupConfig& group = *groups_[action.group].config;
    log(LogLevel::warning, describe(group, action), event_fields(group, action));
    broadcast([&](std::string_view time) { return monitor_line(group, action, time); });
}

void Engine::perform(const ReportDemotion& action) {
    const GroupConfig& group = *groups_[action.group].config;
    log(LogLevel::notice, describe(group, action, verdicts_), event_fields(group, action));
    broadcast([&](std::string_view time) { return monitor_line(group, action, verdicts_, time); });
}

void Engine::perform(const ReportUncommitted& action) {
    const GroupConfig& group = *groups_[action.group].config;
    log(LogLevel::warning, describe(group, action), event_fields(group, action));
    broadcast([&](std::string_view time) { return monitor_line(group, action, time); });
}

}  // namespace carpd
