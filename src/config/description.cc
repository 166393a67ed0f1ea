#include "config/description.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "config/sync_section.h"
#include "crypto/fingerprint.h"

namespace carpd {

namespace {

// ---- values as text

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            out += fmt::format("\\{}", c);
        else if (static_cast<unsigned char>(c) < ' ' || c == 0x7f)
            out += fmt::format("\\u{:04x}", c);
        else
            out += c;
    }
    return out + "\"";
}

std::string text_of(const std::string& text) {
    return quoted(text);
}
std::string text_of(const auto& address) {
    return quoted(address.to_string());
}
std::string text_of(bool flag) {
    return flag ? "true" : "false";
}
std::string text_of(std::uint8_t number) {
    return std::to_string(number);
}
std::string text_of(std::uint16_t number) {
    return std::to_string(number);
}

template <class Values>
std::string list(const Values& values) {
    std::string out;
    for (const auto& value : values) out += (out.empty() ? "" : ", ") + text_of(value);
    return "[" + out + "]";
}

// Whole milliseconds, as a number of seconds.
std::string seconds(Duration duration) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
    if (ms % 1000 == 0) return std::to_string(ms / 1000);
    std::string text = fmt::format("{}.{:03}", ms / 1000, ms % 1000);
    text.erase(text.find_last_not_of('0') + 1);
    return text;
}

// All of the addresses, as the digest has them: sorted, without prefix lengths.
std::string fingerprint_of(const Few<InterfaceAddress>& addresses) {
    std::vector<IpAddress> sorted;
    for (const InterfaceAddress& a : addresses) sorted.push_back(a.address);
    std::sort(sorted.begin(), sorted.end());
    std::vector<std::uint8_t> bytes;
    for (const IpAddress& a : sorted) bytes.insert(bytes.end(), a.bytes().begin(), a.bytes().end());
    return fingerprint(bytes);
}

// ---- sections

// Compares with what a section has of which nothing is given.
template <class T>
class Writer {
 public:
    Writer(std::string kind, std::string name, std::string identity) {
        section_.kind = std::move(kind);
        section_.name = std::move(name);
        section_.identity = std::move(identity);
    }

    void put(std::string_view key, std::string value, bool is_default = false) {
        section_.settings.push_back({std::string(key), std::move(value), is_default});
    }
    template <class V>
    void put(std::string_view key, const T& from, V T::*field, const auto& to_text) {
        put(key, to_text(from.*field), from.*field == defaults_.*field);
    }
    void put_secret(std::string_view key, bool is_there, Bytes secret) {
        section_.settings.push_back({std::string(key), is_there ? std::string(kHiddenSecret) : "\"\"",
                                     !is_there, is_there ? key_fingerprint(secret) : ""});
    }
    void set_fingerprint(std::string fingerprint) {
        section_.settings.back().fingerprint = std::move(fingerprint);
    }
    Section take() { return std::move(section_); }

 private:
    const T defaults_{};
    Section section_;
};

constexpr auto as_text = [](const auto& value) { return text_of(value); };
constexpr auto as_list = [](const auto& values) { return list(values); };

void put_carpnodes(const BalanceConfig& pool, Writer<GroupConfig>& out) {
    std::vector<std::string> carpnodes;
    std::vector<std::uint8_t> weights;
    for (const Carpnode& c : pool.carpnodes) {
        carpnodes.push_back(fmt::format("{}:{}", c.vhid, c.advskew));
        weights.push_back(c.weight);
    }
    const BalanceConfig defaults;
    out.put("carpnodes", list(carpnodes));
    out.put("balancing", quoted(to_string(pool.mode)), pool.mode == defaults.mode);
    out.put("hash", quoted(to_string(pool.hash)), pool.hash == defaults.hash);
    out.put("weights", list(weights),
            std::all_of(weights.begin(), weights.end(), [](std::uint8_t w) { return w == 1; }));
}

Section describe(const HookConfig& hook) {
    constexpr std::string_view kEvents[] = {"init", "backup", "master", "reasserted"};
    std::string program = hook.command.empty() ? "" : hook.command.front();
    Writer<HookConfig> out("hook", program, list(hook.command));
    out.put("on", hook, &HookConfig::on, [&](const auto& events) {
        std::vector<std::string> names;
        for (HookEvent event : events) names.emplace_back(kEvents[static_cast<std::size_t>(event)]);
        return list(names);
    });
    out.put("groups", hook, &HookConfig::groups, as_list);
    out.put("command", list(hook.command));
    out.put("timeout", hook, &HookConfig::timeout, seconds);
    return out.take();
}

// What each kind of check has beside its key.
struct SubjectWriter {
    Writer<TrackConfig>& out;

    void operator()(const LinkCheck& c) const { out.put("interface", quoted(c.interface)); }
    void operator()(const RouteCheck& c) const { out.put("route", text_of(c.prefix)); }
    void operator()(const GatewayCheck& c) const {
        out.put("gateway", text_of(c.address));
        out.put("probe", c.icmp ? "\"icmp\"" : "\"arp\"", !c.icmp);
        out.put("device", quoted(c.device), c.device.empty());
    }
    void operator()(const TcpCheck& c) const { out.put("tcp", quoted(end_of(c))); }
    void operator()(const HttpCheck& c) const {
        out.put("http", quoted("http://" + c.authority + c.path));
        if (c.status != 0) out.put("status", std::to_string(c.status));
    }
    void operator()(const ProcessCheck& c) const { out.put("process", quoted(c.name)); }
    void operator()(const FileCheck& c) const { out.put("file", quoted(c.path)); }
    void operator()(const ScriptCheck& c) const { out.put("script", list(c.argv)); }

    static std::string end_of(const TcpCheck& c) {
        const std::string address = c.address.to_string();
        return c.address.family() == Family::ipv4 ? fmt::format("{}:{}", address, c.port)
                                                  : fmt::format("[{}]:{}", address, c.port);
    }
};

Section describe(const TrackConfig& track) {
    constexpr auto as_number = [](int number) { return std::to_string(number); };
    Writer<TrackConfig> out("track", track.name, track.name);
    out.put("name", quoted(track.name));
    std::visit(SubjectWriter{out}, track.subject);
    if (!track.withdraw) out.put("demote", track, &TrackConfig::demote, as_number);
    out.put("withdraw", track, &TrackConfig::withdraw, as_text);
    out.put("groups", track, &TrackConfig::groups, as_list);
    out.put("interval", track, &TrackConfig::interval, seconds);
    out.put("timeout", track, &TrackConfig::timeout, seconds);
    out.put("rise", track, &TrackConfig::rise, as_number);
    out.put("fall", track, &TrackConfig::fall, as_number);
    return out.take();
}

Section describe(const SyncConfig& sync) {
    Writer<SyncConfig> out("sync", "", "");
    out.put("name", quoted(sync.name.view()));
    out.put("interface", quoted(sync.interface));
    out.put("peers", sync, &SyncConfig::peers, as_list);
    out.put_secret("key-hex", true, sync.keys.first);
    out.put_secret("accept-key-hex", sync.keys.second.has_value(), sync.keys.second.value_or(Secret{}));
    out.put("port", sync, &SyncConfig::port, as_text);
    out.put("peer-routed", sync, &SyncConfig::peer_routed, as_text);
    out.put("dead-after", sync, &SyncConfig::dead_after, seconds);
    out.put("commit-wait", sync, &SyncConfig::commit_wait, seconds);
    out.put("commit", sync.commit_at_takeover ? "\"takeover\"" : "\"direct\"", !sync.commit_at_takeover);
    out.put("max-flows", sync, &SyncConfig::max_flows,
            [](std::uint32_t most) { return std::to_string(most); });
    out.put("ignore-addresses", sync, &SyncConfig::ignored, as_list);
    out.put("protocols", sync, &SyncConfig::protocols, as_list);
    out.put("zones", sync, &SyncConfig::zones, as_list);
    out.put("tcp-states", sync, &SyncConfig::tcp_states, [](const auto& states) {
        std::vector<std::string> names;
        for (std::uint8_t state : states) names.emplace_back(tcp_state_name(state));
        return list(names);
    });
    out.put("defer", sync, &SyncConfig::defer, as_list);
    out.put("defer-wait", sync, &SyncConfig::defer_wait, seconds);
    return out.take();
}

// Of a set of pools each carpnode is in a set of its own, NAME:1 and so on; what the file says is NAME.
std::vector<Section> describe_sets(const std::vector<GroupConfig>& groups) {
    std::map<std::string, std::vector<std::string>> sets;
    for (const GroupConfig& group : groups) {
        if (group.together.empty() || (group.balance && group.vhid.value != group.balance->leader()))
            continue;
        const std::string name =
            group.balance ? group.together.substr(0, group.together.rfind(':')) : group.together;
        sets[name].push_back(group.balance ? group.balance->pool : group.name);
    }
    std::vector<Section> sections;
    for (const auto& [name, members] : sets) {
        Writer<GroupConfig> out("together", name, name);
        out.put("name", quoted(name));
        out.put("groups", list(members));
        sections.push_back(out.take());
    }
    return sections;
}

Section describe_file(const Config& config) {
    constexpr std::string_view kPlanes[] = {"auto", "bpf", "macvlan"};
    Writer<Config> out("file", "", "");
    out.put("control", config, &Config::control, as_text);
    out.put("dataplane", config, &Config::dataplane,
            [&](DataPlaneChoice plane) { return quoted(kPlanes[static_cast<std::size_t>(plane)]); });
    out.put("hold-down", config, &Config::hold_down, seconds);
    return out.take();
}

void append(std::vector<Section>& to, std::vector<Section> from) {
    std::move(from.begin(), from.end(), std::back_inserter(to));
}

}  // namespace

Section describe(const GroupConfig& group) {
    const BalanceConfig* pool = group.balance ? &*group.balance : nullptr;
    if (pool != nullptr && group.vhid.value != pool->leader()) return {};
    const std::string& name = pool != nullptr ? pool->pool : group.name;
    Writer<GroupConfig> out("group", name, fmt::format("{} vhid {}", group.interface, group.vhid.value));
    out.put("name", quoted(name), name == fmt::format("{}-{}", group.interface, group.vhid.value));
    out.put("interface", quoted(group.interface));
    if (pool == nullptr) out.put("vhid", text_of(group.vhid.value));
    out.put("addresses", list(group.addresses));
    out.set_fingerprint(fingerprint_of(group.addresses));
    out.put_secret("password", group.key != Key{}, group.key);
    const GroupConfig defaults;
    out.put("advbase", text_of(group.advbase.seconds), group.advbase == defaults.advbase);
    if (pool == nullptr) out.put("advskew", text_of(group.advskew.value), group.advskew == defaults.advskew);
    out.put("preempt", group, &GroupConfig::preempt, as_text);
    out.put("preempt-delay", group, &GroupConfig::preempt_delay, seconds);
    out.put("mac", group.mac == MacMode::virtual_mac ? "\"virtual\"" : "\"interface\"",
            group.mac == defaults.mac);
    out.put("peers", group, &GroupConfig::peers, as_list);
    out.put("peer-routed", group, &GroupConfig::peer_routed, as_text);
    out.put("beacons", text_of(group.beacons), group.beacons);
    out.put("interface-groups", group, &GroupConfig::interface_groups, as_list);
    out.put_secret("accept-password", group.accept_key.has_value(), group.accept_key.value_or(Key{}));
    out.put("accept-addresses", group, &GroupConfig::accept_addresses, as_list);
    if (!group.accept_addresses.empty()) out.set_fingerprint(fingerprint_of(group.accept_addresses));
    if (pool != nullptr) put_carpnodes(*pool, out);
    return out.take();
}

std::vector<Section> describe_all_but_groups(const Config& config) {
    std::vector<Section> sections{describe_file(config)};
    append(sections, describe_sets(config.groups));
    for (const HookConfig& hook : config.hooks) sections.push_back(describe(hook));
    for (const TrackConfig& track : config.tracks) sections.push_back(describe(track));
    if (config.sync) sections.push_back(describe(*config.sync));
    return sections;
}

std::vector<Section> describe(const Config& config) {
    std::vector<Section> rest = describe_all_but_groups(config), sections{std::move(rest.front())};
    rest.erase(rest.begin());
    for (const GroupConfig& group : config.groups)
        if (Section section = describe(group); !section.kind.empty()) sections.push_back(std::move(section));
    append(sections, std::move(rest));
    return sections;
}

std::string summary(const Config& config) {
    const auto count = [](std::size_t n, std::string_view what) {
        return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
    };
    std::string text = count(config.groups.size(), "group");
    if (config.sync)
        text +=
            ", state synchronisation with " +
            (config.sync->peers.empty() ? "peers that it finds" : count(config.sync->peers.size(), "peer"));
    return text;
}

std::string to_toml(const std::vector<Section>& sections) {
    std::string out;
    for (const Section& section : sections) {
        if (section.kind == "sync")
            out += "\n[sync]\n";
        else if (section.kind != "file")
            out += fmt::format("\n[[{}]]\n", section.kind);
        for (const Setting& setting : section.settings) {
            std::string note = setting.is_default ? "default" : "";
            if (!setting.fingerprint.empty())
                note += fmt::format("{}fingerprint {}", note.empty() ? "" : ", ", setting.fingerprint);
            const std::string line =
                fmt::format("{}{} = {}", setting.is_default ? "# " : "", setting.key, setting.value);
            out += note.empty() ? line + "\n" : fmt::format("{:<40}  # {}\n", line, note);
        }
    }
    return out;
}

}  // namespace carpd
