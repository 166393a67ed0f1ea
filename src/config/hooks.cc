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
    HookReader(Reader& reader, const std::map<std::string, std::uint32_t>& groups)
        : reader_(reader), groups_(groups) {}

    HookConfig read(const toml::table& table) {
        HookConfig hook;
        reader_.refuse_unknown_keys(table, kHookKeys);
        if (const toml::node* on = table.get("on")) read_events(*on, hook);
        if (const toml::node* groups = table.get("groups")) read_groups(*groups, hook);
        read_command(table, hook);
        if (const toml::node* timeout = table.get("timeout"))
            hook.timeout =
                std::chrono::seconds(reader_.number(*timeout, "timeout", 1, kMostTimeout).value_or(1));
        return hook;
    }

 private:
    void read_events(const toml::node& node, HookConfig& hook) {
        const toml::array* array =
            list(node, "on", "it must name at least one of init, backup, master, reasserted");
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

    void read_groups(const toml::node& node, HookConfig& hook) {
        const toml::array* array = list(node, "groups", "leave it out for all groups");
        if (array == nullptr) return;
        for (const toml::node& element : *array) {
            const auto name = reader_.text(element, "a group");
            if (!name) continue;
            if (!groups_.contains(*name)) {
                reader_.fail(position_of(element), fmt::format("there is no group '{}'", *name),
                             known_groups(*name));
            } else if (std::find(hook.groups.begin(), hook.groups.end(), *name) != hook.groups.end()) {
                reader_.fail(position_of(element), fmt::format("group '{}' is given twice", *name));
            } else {
                hook.groups.push_back(*name);
            }
        }
    }

    std::string known_groups(const std::string& name) const {
        std::vector<std::string_view> known;
        for (const auto& [group, line] : groups_) known.push_back(group);
        if (const auto meant = nearest(name, known); !meant.empty())
            return fmt::format("did you mean '{}'?", meant);
        return "write the name of a [[group]]";
    }

    void read_command(const toml::table& table, HookConfig& hook) {
        const toml::node* node = table.get("command");
        if (node == nullptr)
            return reader_.fail(position_of(table), "the hook has no command",
                                "add the program to run and its arguments as a list of strings");
        if (node->is_string())
            return reader_.fail(
                position_of(*node), "command is a string",
                "no shell reads it: write the program and its arguments as a list, or [\"/bin/sh\", "
                "\"-c\", \"...\"]");
        const toml::array* array = list(*node, "command", "it needs a program at least");
        if (array == nullptr) return;
        for (const toml::node& element : *array) {
            const auto word = reader_.text(element, "a word of the command");
            if (!word) continue;
            if (word->find('\0') != std::string::npos)
                reader_.fail(position_of(element), "a word of the command contains a zero byte",
                             "no program can be given one");
            hook.command.push_back(*word);
        }
        if (!hook.command.empty() && !hook.command.front().starts_with('/'))
            reader_.fail(position_of(array->front()),
                         fmt::format("the program '{}' is not an absolute path", hook.command.front()),
                         "write where it is, like /usr/local/sbin/notify");
    }

    const toml::array* list(const toml::node& node, std::string_view key, std::string_view if_empty) {
        const toml::array* array = reader_.list(node, key);
        if (array == nullptr || !array->empty()) return array;
        reader_.fail(position_of(node), fmt::format("{} is empty", key), std::string(if_empty));
        return nullptr;
    }

    Reader& reader_;
    const std::map<std::string, std::uint32_t>& groups_;
};

}  // namespace

std::vector<HookConfig> read_hooks(Reader& reader, const toml::node& node,
                                   const std::map<std::string, std::uint32_t>& groups) {
    std::vector<HookConfig> hooks;
    const toml::array* sections = node.as_array();
    if (sections == nullptr) {
        reader.fail(position_of(node),
                    node.is_table() ? "[hook] is written with single brackets" : "hook is not a section",
                    "begin every hook with [[hook]]");
        return hooks;
    }
    HookReader hook_reader(reader, groups);
    for (const toml::node& element : *sections) {
        if (const toml::table* table = element.as_table())
            hooks.push_back(hook_reader.read(*table));
        else
            reader.fail(position_of(element), "hook is not a section", "begin every hook with [[hook]]");
    }
    if (hooks.size() > kMostHooks)
        reader.fail(position_of(node), fmt::format("there are {} hooks", hooks.size()),
                    fmt::format("there may be {}", kMostHooks));
    return hooks;
}

}  // namespace carpd
