#include "carpctl/config_diff.h"

#include <fmt/format.h>

#include <map>
#include <utility>

namespace carpd {

namespace {

using Kind = ConfigChange::Kind;

constexpr std::string_view kKinds[] = {"added", "removed", "changed"};

// Of the sections of a kind, those of one identity in their order: two hooks may be alike.
using Place = std::pair<std::string, std::string>;

std::map<Place, std::vector<const Section*>> by_place(const std::vector<Section>& sections) {
    std::map<Place, std::vector<const Section*>> places;
    for (const Section& section : sections) places[{section.kind, section.identity}].push_back(&section);
    return places;
}

const Setting* find(const Section& section, std::string_view key) {
    for (const Setting& setting : section.settings)
        if (setting.key == key) return &setting;
    return nullptr;
}

// Texts may differ in how they write a control character.
bool is_same(const Setting& a, const Setting& b) {
    return a.fingerprint == b.fingerprint &&
           (a.value == b.value || Json::parse(a.value) == Json::parse(b.value));
}

// A key that only one of the two has (of a check, or of a pool) is "nothing" in the other.
std::vector<ChangedSetting> changed_settings(const Section& from, const Section& to) {
    std::vector<ChangedSetting> changed;
    for (const Setting& now : from.settings) {
        const Setting* next = find(to, now.key);
        if (next == nullptr)
            changed.push_back({now, {now.key, "", true}});
        else if (!is_same(now, *next))
            changed.push_back({now, *next});
    }
    for (const Setting& next : to.settings)
        if (find(from, next.key) == nullptr) changed.push_back({{next.key, "", true}, next});
    return changed;
}

// Whether this host is MASTER of a group, or of a carpnode of a pool.
bool is_master(const Section& section, const Json& status) {
    for (const Json& group : status.at("groups")) {
        const Json& balance = balance_of(group);
        const std::string name = balance.is_null() ? text(group, "name") : text(balance, "pool");
        if (name == section.name && group.at("state") == "master") return true;
    }
    return false;
}

// ---- what it costs

std::string until_all_have(std::string_view what, std::string_view key) {
    return fmt::format(
        "no failover here, but hosts refuse the advertisements of those with another {}: until all have the "
        "same, each side has a MASTER, unless {} names the other one meanwhile",
        what, key);
}

std::string effect_on_group(const std::string& key, bool master) {
    if (key == "addresses") return until_all_have("list of addresses", "accept-addresses");
    if (key == "password") return until_all_have("password", "accept-password");
    if (key == "advbase" || key == "advskew")
        return master
                   ? "no failover by itself; a host that is the better master then, and preempts, takes over"
                   : "no failover by itself; its master-down time begins anew";
    if (key == "preempt")
        return master ? "no failover" : "with preempt it takes over where it is the better master";
    if (key == "mac")
        return master ? "no failover, but its addresses are gone for a moment, and announced with another MAC"
                      : "no failover";
    if (key == "peers" || key == "peer-routed")
        return "no failover while hosts go on hearing one another; who is no longer sent to becomes MASTER, "
               "too";
    if (key == "interface-groups") return "no failover; demotions of an interface group begin or end";
    if (key == "carpnodes")
        return "carpnodes that come or go are groups that do: their clients are served by other hosts";
    if (key == "balancing" || key == "hash" || key == "weights" || key == "vhid")
        return "clients are shared out anew: their connections break where they move, unless state is "
               "synchronised";
    return "no failover";
}

std::string effect_on_sync(const std::string& key) {
    if (key == "key-hex" || key == "accept-key-hex")
        return "sessions go on with peers that have one of these keys; others are lost";
    for (std::string_view taken : {"commit-wait", "ignore-addresses", "protocols", "zones", "tcp-states"})
        if (key == taken) return "taken over while sessions go on";
    return "carpd: sync starts anew and asks its peers for all; a BACKUP is demoted until it has that";
}

std::string effect_of_setting(const Section& section, const std::string& key, bool master) {
    if (section.kind == "group") return effect_on_group(key, master);
    if (section.kind == "sync") return effect_on_sync(key);
    if (section.kind == "file") return fmt::format("{} counts at the next start of carpd, not now", key);
    if (section.kind == "track")
        return "its last verdict stays until there is another, and demotes as it says now";
    if (section.kind == "together") return "no failover while the better host of each group is the same one";
    return "no group is touched";
}

std::string effect_of_section(const Section& section, Kind kind, bool master) {
    const bool is_added = kind == Kind::added;
    if (section.kind == "group") {
        if (is_added) return "starts as BACKUP, and becomes MASTER where no other host advertises";
        return master ? "this host is MASTER: it bows out, and another host takes over if there is one"
                      : "this host is not MASTER of it: nothing moves";
    }
    if (section.kind == "track")
        return is_added ? "counts as passed until its first result" : "its demotion ends";
    if (section.kind == "together")
        return is_added ? "a fault of one of its groups moves all of them from now on"
                        : "its groups move by themselves";
    if (section.kind == "sync")
        return is_added ? "a BACKUP is demoted until it has all flows of its peers"
                        : "no failover; connections break at the next one";
    return "no group is touched";
}

// carpnodes that run without the gate: carpd refuses the file.
bool is_refused(const Section& section, const Json& status) {
    if (section.kind != "group" || find(section, "carpnodes") == nullptr) return false;
    for (const Json& group : status.at("groups"))
        if (group.at("dataplane") == "macvlan") return true;
    return false;
}

void add_effect(ConfigChange& change, std::string effect) {
    auto& effects = change.effects;
    if (std::find(effects.begin(), effects.end(), effect) == effects.end())
        effects.push_back(std::move(effect));
}

ConfigChange change_of(Kind kind, const Section& section, const Json& status) {
    ConfigChange change{kind, section, {}, {}};
    add_effect(change, effect_of_section(section, kind, is_master(section, status)));
    if (kind == Kind::added && is_refused(section, status))
        add_effect(change, "carpd refuses the file: carpnodes need the BPF gate, without which it runs");
    return change;
}

// ---- text

std::string title(const ConfigChange& change) {
    const Section& section = change.section;
    const std::string kind = section.kind == "file"   ? "the file's own keys"
                             : section.kind == "sync" ? "[sync]"
                                                      : fmt::format("[[{}]]", section.kind);
    return section.name.empty() ? kind : fmt::format("{} {}", kind, printable(section.name));
}

std::string shown(const Setting& setting) {
    if (setting.value.empty()) return "nothing";
    const bool is_secret = setting.value == kHiddenSecret;
    std::string text = is_secret ? "a secret" : printable(setting.value);
    if (!setting.fingerprint.empty()) text += fmt::format(" (fingerprint {})", setting.fingerprint);
    return text;
}

Json json_of(const Setting& setting) {
    return setting.value.empty() ? Json(nullptr) : Json::parse(setting.value);
}

}  // namespace

std::vector<ConfigChange> compare(const std::vector<Section>& running, const std::vector<Section>& wanted,
                                  const Json& status) {
    std::vector<ConfigChange> changes;
    auto now = by_place(running), next = by_place(wanted);
    std::map<Place, std::size_t> seen;
    for (const Section& section : running) {
        const Place place{section.kind, section.identity};
        const auto& others = next[place];
        const std::size_t nth = seen[place]++;
        if (nth >= others.size()) {
            changes.push_back(change_of(Kind::removed, section, status));
            continue;
        }
        ConfigChange change{Kind::changed, *others[nth], changed_settings(section, *others[nth]), {}};
        if (change.settings.empty()) continue;
        const bool master = is_master(section, status);
        for (const ChangedSetting& setting : change.settings)
            add_effect(change, effect_of_setting(section, setting.to.key, master));
        changes.push_back(std::move(change));
    }
    seen.clear();
    for (const Section& section : wanted) {
        const Place place{section.kind, section.identity};
        if (seen[place]++ >= now[place].size()) changes.push_back(change_of(Kind::added, section, status));
    }
    return changes;
}

std::string render_changes(const std::vector<ConfigChange>& changes, const Paint& paint) {
    if (changes.empty()) return "A reload would change nothing.\n";
    std::string out;
    for (const ConfigChange& change : changes) {
        out += fmt::format("{} {}\n", paint.bold(title(change) + ":"),
                           kKinds[static_cast<std::size_t>(change.kind)]);
        for (const auto& [from, to] : change.settings)
            out += fmt::format("  {}: {} -> {}\n", from.key, shown(from), shown(to));
        for (const std::string& effect : change.effects) out += fmt::format("  * {}\n", effect);
    }
    return out;
}

Json changes_json(const std::vector<ConfigChange>& changes) {
    Json json = Json::array();
    for (const ConfigChange& change : changes) {
        Json settings = Json::array();
        for (const auto& [from, to] : change.settings)
            settings.push_back(
                {{"key", from.key},
                 {"from", json_of(from)},
                 {"to", json_of(to)},
                 {"from_fingerprint", from.fingerprint.empty() ? Json(nullptr) : Json(from.fingerprint)},
                 {"to_fingerprint", to.fingerprint.empty() ? Json(nullptr) : Json(to.fingerprint)}});
        json.push_back({{"kind", change.section.kind},
                        {"name", change.section.name},
                        {"change", kKinds[static_cast<std::size_t>(change.kind)]},
                        {"settings", std::move(settings)},
                        {"effects", change.effects}});
    }
    return json;
}

}  // namespace carpd
