#include "config/hooks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "config/nearest.h"

namespace carpd {

namespace {

constexpr std::array<std::string_view, 4> kHookKeys = {"on", "groups", "command", "timeout"};
constexpr std::array<std::string_view, 4> kEvents = {"init", "backup", "master", "reasserted"};
constexpr int kMostTimeout = 3600;  // seconds
constexpr std::size_t kMostHooks = 64;

class HookReader {
 public:
    HookReader(Reader& reader, const GroupNames& groups) : reader_(reader), groups_(groups) {}

    HookConfig read(const toml::table& table) {
        HookConfig hook;
        reader_.refuse_unknown_keys(table, kHookKeys);
        if (const toml::node* on = table.get("on")) read_events(*on, hook);
        if (const toml::node* groups = table.get("groups"))
            hook.groups = reader_.group_names(*groups, groups_);
        if (const toml::node* command = table.get("command"))
            hook.command = reader_.command(*command, "command");
        else
            reader_.fail(position_of(table), "the hook has no command",
                         "add the program to run and its arguments as a list of strings");
        if (const toml::node* timeout = table.get("timeout"))
            hook.timeout =
                std::chrono::seconds(reader_.number(*timeout, "timeout", 1, kMostTimeout).value_or(1));
        return hook;
    }

 private:
    void read_events(const toml::node& node, HookConfig& hook) {
        const toml::array* array =
            reader_.filled_list(node, "on", "it must name at least one of init, backup, master, reasserted");
        if (array == nullptr) return;
        hook.on.clear();
        for (const toml::node& element : *array) {
            const auto name = reader_.text(element, "an event");
            if (!name) continue;
            const auto found = std::find(kEvents.begin(), kEvents.end(), *name);
            const auto event = static_cast<HookEvent>(found - kEvents.begin());
            if (found == kEvents.end()) {
                const auto meant = nearest(*name, kEvents);
                reader_.fail(position_of(element), fmt::format("there is no event '{}'", *name),
                             meant.empty() ? fmt::format("there are: {}", fmt::join(kEvents, ", "))
                                           : fmt::format("did you mean '{}'?", meant));
            } else if (std::find(hook.on.begin(), hook.on.end(), event) != hook.on.end()) {
                reader_.fail(position_of(element), fmt::format("event '{}' is given twice", *name));
            } else {
                hook.on.push_back(event);
            }
        }
    }

    Reader& reader_;
    const GroupNames& groups_;
};

}  // namespace

std::vector<HookConfig> read_hooks(Reader& reader, const toml::node& node, const GroupNames& groups) {
    std::vector<HookConfig> hooks;
    const toml::array* sections = reader.sections(node, "hook");
    if (sections == nullptr) return hooks;
    HookReader hook_reader(reader, groups);
    for (const toml::node& element : *sections) hooks.push_back(hook_reader.read(*element.as_table()));
    if (hooks.size() > kMostHooks)
        reader.fail(position_of(node), fmt::format("there are {} hooks", hooks.size()),
                    fmt::format("there may be {}", kMostHooks));
    return hooks;
}

}  // namespace carpd
