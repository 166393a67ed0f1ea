// The file as a whole, and its groups.
#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include "config/config.h"
#include "config/hooks.h"
#include "config/metrics_section.h"
#include "config/pool.h"
#include "config/reader.h"
#include "config/sets.h"
#include "config/sync_section.h"
#include "config/tracks.h"
#include "config/values.h"

namespace carpd {

namespace {

constexpr std::array<std::string_view, 9> kFileKeys = {"control",  "dataplane", "hold-down", "group",  "hook",
                                                       "together", "track",     "sync",      "metrics"};
constexpr std::array<std::string_view, 2> kTogetherKeys = {"name", "groups"};
constexpr std::array<std::string_view, 24> kGroupKeys = {"name",
                                                         "interface",
                                                         "vhid",
                                                         "addresses",
                                                         "password",
                                                         "password-file",
                                                         "key-hex",
                                                         "advbase",
                                                         "advskew",
                                                         "preempt",
                                                         "preempt-delay",
                                                         "mac",
                                                         "peers",
                                                         "peer-routed",
                                                         "beacons",
                                                         "interface-groups",
                                                         "accept-password",
                                                         "accept-password-file",
                                                         "accept-key-hex",
                                                         "accept-addresses",
                                                         "carpnodes",
                                                         "balancing",
                                                         "hash",
                                                         "weights"};

std::string place_of(std::string_view key) {
    if (std::find(kGroupKeys.begin(), kGroupKeys.end(), key) != kGroupKeys.end())
        return "it belongs below a [[group]]";
    if (key == "together") return "a set is a section of its own: [[together]]";
    if (key == "sync" || key == "metrics") return fmt::format("it is a section of its own: [{}]", key);
    if (std::find(kFileKeys.begin(), kFileKeys.end(), key) != kFileKeys.end())
        return "it belongs above the first [[group]]";
    if (is_sync_key(key)) return "it belongs below [sync]";
    if (key == "listen") return "it belongs below [metrics]";
    return "";
}

// toml++ says "Error while parsing table header: expected ...".
std::string without_prefix(std::string_view description) {
    constexpr std::string_view kPrefix = "Error while parsing ";
    if (description.starts_with(kPrefix)) description.remove_prefix(kPrefix.size());
    return std::string(description);
}

// Reads a document into a ConfigFile and goes on after every error, to find them all.
class Parser : public Reader {
 public:
    Parser(const std::string& directory, InterfaceNames interfaces)
        : directory_(directory), interfaces_(std::move(interfaces)) {}

    void read_file(const toml::table& root);
    Expected<ConfigFile, ConfigErrors> result();

 private:
    void read_dataplane(const toml::table& root);
    void read_sections(const toml::table& root, std::string_view key,
                       void (Parser::*read)(const toml::table&));
    void read_group(const toml::table& table);
    void read_interface(const toml::table& table, GroupConfig& group);
    void read_vhid(const toml::table& table, GroupConfig& group);
    void read_name(const toml::table& table, GroupConfig& group);
    void read_addresses(const toml::table& table, GroupConfig& group);
    void read_address(const toml::node& node, GroupConfig& group);
    void read_timing(const toml::table& table, GroupConfig& group);
    using SecretKeys = std::array<std::string_view, 3>;  // of a password, of a file with one, of 20 bytes
    void read_key(const toml::table& table, GroupConfig& group);
    std::optional<Key> read_secret(const toml::table& table, const SecretKeys& keys, bool& is_given);
    void read_alternate(const toml::table& table, GroupConfig& group);
    void read_mac(const toml::table& table, GroupConfig& group);
    void read_peers(const toml::table& table, GroupConfig& group);
    void read_peer(const toml::node& node, GroupConfig& group);
    void read_interface_groups(const toml::table& table, GroupConfig& group);
    void check_peer_families(const toml::node& peers, const GroupConfig& group);
    void read_together(const toml::table& table);
    bool claim_vhid(const GroupConfig& group, std::uint8_t vhid, Position at);
    void claim_name(const std::string& name, GroupName what);
    void add(GroupConfig group, std::optional<BalanceConfig> pool);

    const toml::node* require(const toml::table& table, std::string_view key, std::string_view hint);

    const std::string& directory_;
    const InterfaceNames interfaces_;
    ConfigFile file_;
    // What groups may not have in common, with the line it stands in. The interface is part of an address's
    // identity where it is link-local.
    std::map<std::pair<std::string, std::uint8_t>, std::uint32_t> vhids_;
    std::map<std::pair<IpAddress, std::string>, std::uint32_t> addresses_;
    GroupNames names_;
    SetReader sets_{*this, names_, file_.config.groups};
};

Expected<ConfigFile, ConfigErrors> Parser::result() {
    if (!errors().empty()) return Unexpected{errors()};
    file_.warnings = warnings();
    return std::move(file_);
}

const toml::node* Parser::require(const toml::table& table, std::string_view key, std::string_view hint) {
    const toml::node* node = table.get(key);
    if (node == nullptr) fail(position_of(table), fmt::format("the group has no {}", key), std::string(hint));
    return node;
}

// ---- the file

void Parser::read_file(const toml::table& root) {
    refuse_unknown_keys(root, kFileKeys, place_of);
    if (const toml::node* control = root.get("control")) {
        const auto path = text(*control, "control");
        if (path) {
            if (const auto complaint = check_control(*path, root.contains("sync")))
                fail(position_of(*control), *complaint);
            file_.config.control = *path;
        }
    }
    read_dataplane(root);
    file_.config.hold_down = delay(root, "hold-down");
    read_sections(root, "group", &Parser::read_group);
    read_sections(root, "together", &Parser::read_together);
    if (const toml::node* hooks = root.get("hook")) file_.config.hooks = read_hooks(*this, *hooks, names_);
    if (const toml::node* tracks = root.get("track"))
        file_.config.tracks = read_tracks(*this, *tracks, names_);
    if (const toml::node* sync = root.get("sync")) read_sync(*this, *sync, directory_, interfaces_, file_);
    if (const toml::node* metrics = root.get("metrics")) read_metrics(*this, *metrics, file_.config);
    if (file_.config.groups.empty() && errors().empty())
        fail({}, "there is no [[group]]", "carpd needs one with interface, vhid and addresses at least");
}

void Parser::read_dataplane(const toml::table& root) {
    const toml::node* node = root.get("dataplane");
    const auto choice = node != nullptr ? text(*node, "dataplane") : std::nullopt;
    if (!choice) return;
    if (*choice == "bpf")
        file_.config.dataplane = DataPlaneChoice::bpf;
    else if (*choice == "macvlan")
        file_.config.dataplane = DataPlaneChoice::macvlan;
    else if (*choice != "auto")
        fail(position_of(*node), fmt::format("dataplane is '{}'", *choice),
             "it must be \"auto\", \"bpf\" or \"macvlan\"");
}

// Calls `read` for each section [[key]].
void Parser::read_sections(const toml::table& root, std::string_view key,
                           void (Parser::*read)(const toml::table&)) {
    const toml::node* node = root.get(key);
    if (node == nullptr) return;
    const std::string message = fmt::format("{} is not a section", key);
    const std::string hint = fmt::format("begin every {} with [[{}]]", key == "group" ? "group" : "set", key);
    const toml::array* sections = node->as_array();
    if (sections == nullptr)
        return fail(position_of(*node),
                    node->is_table() ? fmt::format("[{}] is written with single brackets", key) : message,
                    hint);
    for (const toml::node& element : *sections) {
        if (const toml::table* table = element.as_table())
            (this->*read)(*table);
        else
            fail(position_of(element), message, hint);
    }
}

void Parser::read_group(const toml::table& table) {
    GroupConfig group;
    refuse_unknown_keys(table, kGroupKeys, place_of);
    read_interface(table, group);
    auto pool = read_pool(*this, table, file_.config.dataplane,
                          [&](std::uint8_t vhid, Position at) { return claim_vhid(group, vhid, at); });
    if (!table.contains("carpnodes")) read_vhid(table, group);
    if (pool) group.vhid = Vhid{pool->leader()};
    read_name(table, group);
    read_addresses(table, group);
    read_timing(table, group);
    read_key(table, group);
    read_alternate(table, group);
    read_mac(table, group);
    read_peers(table, group);
    read_interface_groups(table, group);
    add(std::move(group), std::move(pool));
}

// A pool is a group for each of its carpnodes.
void Parser::add(GroupConfig group, std::optional<BalanceConfig> pool) {
    auto& groups = file_.config.groups;
    const auto name = names_.find(group.name);
    if (!pool || name == names_.end()) return groups.push_back(std::move(group));
    for (GroupConfig& carpnode : groups_of(std::move(*pool), group)) {
        claim_name(carpnode.name, {.at = name->second.at, .is_carpnode = true});
        name->second.carpnodes.push_back(carpnode.name);
        groups.push_back(std::move(carpnode));
    }
}

void Parser::read_together(const toml::table& table) {
    refuse_unknown_keys(table, kTogetherKeys, place_of);
    sets_.read(table);
}

// ---- a group's keys

void Parser::read_interface(const toml::table& table, GroupConfig& group) {
    const toml::node* node = require(table, "interface", "add the network interface to advertise on");
    if (node == nullptr) return;
    group.interface = interface(*node, interfaces_).value_or("");
}

void Parser::read_vhid(const toml::table& table, GroupConfig& group) {
    const toml::node* node =
        require(table, "vhid", "add the virtual host id, 1 to 255, that all hosts of the group share");
    if (node == nullptr) return;
    const auto vhid = number(*node, "vhid", 1, 255);
    if (!vhid) return;
    if (claim_vhid(group, static_cast<std::uint8_t>(*vhid), position_of(*node)))
        group.vhid = Vhid{static_cast<std::uint8_t>(*vhid)};  // else its default name isn't blamed, too
}

bool Parser::claim_vhid(const GroupConfig& group, std::uint8_t vhid, Position at) {
    if (group.interface.empty()) return true;
    const auto [found, is_new] = vhids_.try_emplace({group.interface, vhid}, at.line);
    if (!is_new)
        fail(at, fmt::format("vhid {} is used twice on {}", vhid, group.interface),
             fmt::format("the group with its vhid in line {} has it already", found->second));
    return is_new;
}

void Parser::read_name(const toml::table& table, GroupConfig& group) {
    const toml::node* node = table.get("name");
    const Position at = position_of(node != nullptr ? *node : table);
    if (node != nullptr) {
        const auto name = text(*node, "name");
        if (!name) return;
        if (const auto complaint = check_name(*name)) return fail(at, *complaint);
        group.name = *name;
    } else {
        if (group.interface.empty() || group.vhid.value == 0) return;
        group.name = fmt::format("{}-{}", group.interface, group.vhid.value);
    }
    claim_name(group.name, {.at = at, .is_pool = table.contains("carpnodes")});
}

void Parser::claim_name(const std::string& name, GroupName what) {
    const Position at = what.at;
    const auto [found, is_new] = names_.try_emplace(name, std::move(what));
    if (!is_new)
        fail(at, fmt::format("name '{}' is used twice", name),
             fmt::format("the group of line {} has it already", found->second.at.line));
}

void Parser::read_addresses(const toml::table& table, GroupConfig& group) {
    const toml::node* node =
        require(table, "addresses", "add the addresses it shares, like [\"192.0.2.100/24\"]");
    if (node == nullptr) return;
    const toml::array* array = list(*node, "addresses");
    if (array == nullptr) return;
    if (array->empty()) fail(position_of(*node), "addresses is empty", "a group needs at least one");
    for (const toml::node& element : *array) read_address(element, group);
}

void Parser::read_address(const toml::node& node, GroupConfig& group) {
    const Position at = position_of(node);
    const auto value = text(node, "an address");
    if (!value) return;
    const auto address = parse_virtual_address(*value);
    if (!address) return fail(at, address.error());
    const IpAddress& ip = address->address;
    const std::string scope = ip.is_link_local() ? group.interface : "";
    const auto [found, is_new] = addresses_.try_emplace({ip, scope}, at.line);
    if (!is_new)
        return fail(at, fmt::format("address {} is given twice", ip.to_string()),
                    fmt::format("line {} has it already", found->second));
    if (ip.is_link_local())
        warn(at, fmt::format("{} is a link-local address", ip.to_string()),
             "implementations differ in whether they sign it: share one only among hosts that run carpd");
    group.addresses.push_back(*address);
}

void Parser::read_timing(const toml::table& table, GroupConfig& group) {
    if (const toml::node* node = table.get("advbase"))
        if (const auto seconds = number(*node, "advbase", 0, 254))
            group.advbase = AdvBase{static_cast<std::uint8_t>(*seconds)};
    if (const toml::node* node = table.get("advskew")) {
        if (const auto skew = number(*node, "advskew", 0, 254))
            group.advskew = AdvSkew{static_cast<std::uint8_t>(*skew)};
        if (group.advskew.value > 240)
            warn(position_of(*node), fmt::format("advskew {} is above 240", group.advskew.value),
                 "FreeBSD sends 240 at most");
    }
    if (const auto preempt = flag(table, "preempt")) group.preempt = *preempt;
    group.preempt_delay = delay(table, "preempt-delay");
    if (group.preempt_delay > Duration(0) && !group.preempt)
        warn(position_of(*table.get("preempt-delay")), "preempt-delay is given, but preempt is false",
             "the group never preempts; add preempt = true, or remove it");
}

void Parser::read_key(const toml::table& table, GroupConfig& group) {
    bool is_given = false;
    if (const auto key = read_secret(table, {"password", "password-file", "key-hex"}, is_given))
        group.key = *key;
    if (!is_given)
        warn(position_of(table), "the group has no password: anyone on the LAN can take over",
             "add password, password-file or key-hex");
}

// One of these keys. `is_given` is set if there is any, even a wrong one.
std::optional<Key> Parser::read_secret(const toml::table& table, const SecretKeys& keys, bool& is_given) {
    std::optional<Key> secret;
    std::string_view first_key;
    for (std::string_view key : keys) {
        const toml::node* node = table.get(key);
        if (node == nullptr) continue;
        const Position at = position_of(*node);
        if (is_given)
            fail(at, fmt::format("{} and {} are given together", first_key, key), "keep one of them");
        is_given = true;
        first_key = key;
        const auto value = text(*node, key);
        if (!value) continue;
        bool open_to_all = false;
        const auto result = key == keys[0]   ? key_from_password(*value)
                            : key == keys[1] ? key_from_file(*value, directory_, open_to_all)
                                             : key_from_hex(*value);
        if (!result) {
            fail(at, result.error());
            continue;
        }
        secret = *result;
        if (key != keys[1]) file_.holds_secret = true;
        if (open_to_all) warn(at, fmt::format("{} {} can be read by everybody", key, *value), "chmod o-r it");
    }
    return secret;
}

void Parser::read_alternate(const toml::table& table, GroupConfig& group) {
    bool is_given = false;
    group.accept_key =
        read_secret(table, {"accept-password", "accept-password-file", "accept-key-hex"}, is_given);
    const toml::node* node = table.get("accept-addresses");
    const toml::array* array = node != nullptr ? list(*node, "accept-addresses") : nullptr;
    if (array != nullptr && array->empty())
        fail(position_of(*node), "accept-addresses is empty",
             "list all addresses of the group as peers have it");
    auto& addresses = group.accept_addresses;
    for (std::size_t i = 0; array != nullptr && i < array->size(); ++i) {
        const Position at = position_of((*array)[i]);
        const auto value = text((*array)[i], "an address");
        if (!value) continue;
        const auto address = parse_virtual_address(*value);
        if (!address)
            fail(at, address.error());
        else if (std::find(addresses.begin(), addresses.end(), *address) != addresses.end())
            fail(at, fmt::format("address {} is given twice", *value));
        else
            addresses.push_back(*address);
    }
    if (group.accepts_another())
        warn(position_of(table), fmt::format("group '{}' also accepts another password or list", group.name),
             "remove accept-* when all hosts have changed");
}

void Parser::read_mac(const toml::table& table, GroupConfig& group) {
    const toml::node* node = table.get("mac");
    if (node == nullptr) return;
    const auto mode = text(*node, "mac");
    if (!mode) return;
    if (*mode == "interface")
        group.mac = MacMode::interface_mac;
    else if (*mode != "virtual")
        fail(position_of(*node), fmt::format("mac is '{}'", *mode),
             "it must be \"virtual\" or \"interface\"");
}

void Parser::read_peers(const toml::table& table, GroupConfig& group) {
    if (const auto routed = flag(table, "peer-routed")) group.peer_routed = *routed;
    group.beacons = flag(table, "beacons").value_or(true);
    const toml::node* node = table.get("peers");
    if (node != nullptr) {
        const toml::array* array = list(*node, "peers");
        if (array == nullptr) return;
        const std::size_t errors_before = errors().size();
        for (const toml::node& element : *array) read_peer(element, group);
        if (errors().size() != errors_before) return;
        check_peer_families(*node, group);
    }
    if (group.peer_routed && group.peers.empty())
        fail(position_of(*table.get("peer-routed")), "peer-routed is true, but there are no peers",
             "multicast never passes a router; add peers");
}

void Parser::read_peer(const toml::node& node, GroupConfig& group) {
    const Position at = position_of(node);
    const auto value = text(node, "a peer");
    if (!value) return;
    const auto peer = parse_peer(*value);
    if (!peer) return fail(at, peer.error());
    if (std::find(group.peers.begin(), group.peers.end(), *peer) != group.peers.end())
        return fail(at, fmt::format("peer {} is given twice", *value));
    for (const InterfaceAddress& shared : group.addresses)
        if (shared.address == *peer)
            return fail(at, fmt::format("peer {} is one of the group's own addresses", *value),
                        "write the other host's own address");
    group.peers.push_back(*peer);
}

void Parser::read_interface_groups(const toml::table& table, GroupConfig& group) {
    constexpr std::size_t kMost = 8;
    const toml::node* node = table.get("interface-groups");
    const toml::array* array = node != nullptr ? list(*node, "interface-groups") : nullptr;
    if (array == nullptr) return;
    for (const toml::node& element : *array) {
        const Position at = position_of(element);
        const auto name = text(element, "an interface group");
        if (!name) continue;
        if (const auto complaint = check_interface(*name))
            fail(at, fmt::format("'{}' can't be an interface group's name", *name),
                 "it has up to 15 bytes without blanks, '/' and ':'");
        else if (*name == "track" || *name == "together")
            fail(at, fmt::format("'{}' can't be an interface group's name", *name),
                 fmt::format("demotions by a [[{0}]] are called {0}:NAME; choose another", *name));
        else if (*name == kAllGroups)
            fail(at, fmt::format("every group is in the interface group '{}'", kAllGroups), "remove it");
        else if (group.is_in(*name))
            fail(at, fmt::format("interface group '{}' is given twice", *name));
        else
            group.interface_groups.push_back(*name);
    }
    if (group.interface_groups.size() > kMost)
        fail(position_of(*node), fmt::format("the group is in {} interface groups", array->size()),
             fmt::format("it may be in {}", kMost));
}

// Advertisements go out once per family that the group has addresses of, and each must reach somebody: BSD
// hosts take a master that isn't heard in one family for dead (rule T3).
void Parser::check_peer_families(const toml::node& peers, const GroupConfig& group) {
    if (group.peers.empty() || group.addresses.empty()) return;
    for (Family family : kFamilies) {
        const std::string_view name = family == Family::ipv4 ? "IPv4" : "IPv6";
        const bool has_peer =
            std::any_of(group.peers.begin(), group.peers.end(),
                        [family](const IpAddress& peer) { return peer.family() == family; });
        if (group.has(family) && !has_peer)
            fail(position_of(peers), fmt::format("the group has {} addresses, but no {} peer", name, name),
                 fmt::format("nobody would hear its {} advertisements; add the peers' {} addresses", name,
                             name));
        if (!group.has(family) && has_peer)
            warn(position_of(peers), fmt::format("the group has {} peers, but no {} address", name, name),
                 "these peers are sent nothing");
    }
}

}  // namespace

Expected<ConfigFile, ConfigErrors> parse_config(std::string_view text, const std::string& directory,
                                                InterfaceNames interfaces) {
    Parser parser(directory, std::move(interfaces));
    if (text.size() > kMaxConfigSize) {
        parser.fail({}, "the file is larger than 1 MiB", "is it a configuration?");
        return parser.result();
    }
    try {
        parser.read_file(toml::parse(text));
    } catch (const toml::parse_error& error) {
        parser.fail(position_of(error.source()), without_prefix(error.description()));
    }
    return parser.result();
}

}  // namespace carpd
