#include "config/sync_section.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <set>
#include <span>

#include "config/nearest.h"

namespace carpd {

namespace {

constexpr std::array<std::string_view, 19> kSyncKeys = {
    "interface",      "peers",      "key-file",  "key-hex",          "accept-key-file",
    "accept-key-hex", "name",       "port",      "peer-routed",      "dead-after",
    "commit-wait",    "commit",     "max-flows", "ignore-addresses", "protocols",
    "zones",          "tcp-states", "defer",     "defer-wait"};
constexpr int kLeastPort = 1024;  // below, a port asks for a right that `carpd: sync` gives up
constexpr int kLeastFlows = 1024, kMostFlows = 1 << 24;
constexpr Duration kLeastDeferWait = std::chrono::milliseconds(1),
                   kMostDeferWait = std::chrono::milliseconds(100);
constexpr Duration kLeastDeadAfter = std::chrono::milliseconds(100), kMostSeconds = std::chrono::seconds(60);
constexpr std::string_view kKeyHint =
    "it must be 64 hexadecimal digits, as `openssl rand -hex 32` makes them";

// What the kernel numbers.
struct Named {
    std::string_view name;
    std::uint8_t number;
};
using Names = std::span<const Named>;
constexpr std::array<Named, 8> kProtocols = {{{"tcp", 6},
                                              {"udp", 17},
                                              {"icmp", 1},
                                              {"icmpv6", 58},
                                              {"sctp", 132},
                                              {"dccp", 33},
                                              {"gre", 47},
                                              {"udplite", 136}}};

// In which a connection may be told first: not before it was answered.
constexpr std::array<Named, 7> kTcpStates = {{{"syn_recv", 2},
                                              {"established", 3},
                                              {"fin_wait", 4},
                                              {"close_wait", 5},
                                              {"last_ack", 6},
                                              {"time_wait", 7},
                                              {"close", 8}}};

class SyncReader {
 public:
    SyncReader(Reader& reader, const toml::table& table, const std::string& directory, ConfigFile& file)
        : reader_(reader), table_(table), directory_(directory), file_(file) {}

    SyncConfig read(const InterfaceNames& interfaces) {
        reader_.refuse_unknown_keys(table_, kSyncKeys);
        if (const toml::node* node = require("interface", "add that of the link to the peers"))
            sync_.interface = reader_.interface(*node, interfaces).value_or("");
        read_peers();
        read_keys();
        read_name();
        read_timing();
        if (const toml::node* node = table_.get("max-flows"))
            if (const auto most = reader_.number(*node, "max-flows", kLeastFlows, kMostFlows))
                sync_.max_flows = static_cast<std::uint32_t>(*most);
        read_ignored();
        read_protocols();
        read_zones();
        read_tcp_states();
        read_deferring(interfaces);
        return std::move(sync_);
    }

 private:
    const toml::node* require(std::string_view key, std::string hint) {
        const toml::node* node = table_.get(key);
        if (node == nullptr)
            reader_.fail(position_of(table_), fmt::format("[sync] has no {}", key), std::move(hint));
        return node;
    }

    // ---- who

    void read_peers() {
        if (const auto routed = reader_.flag(table_, "peer-routed")) sync_.peer_routed = *routed;
        if (const toml::node* node = table_.get("port"))
            sync_.port = static_cast<std::uint16_t>(
                reader_.number(*node, "port", kLeastPort, 65535).value_or(kSyncPort));
        const toml::node* node = table_.get("peers");
        if (node == nullptr && sync_.peer_routed)
            reader_.fail(position_of(*table_.get("peer-routed")), "peers behind a router can't be found",
                         "add peers, the other hosts' addresses");
        const toml::array* array =
            list("peers", "leave it out, and hosts of the link find each other", "strings");
        if (array == nullptr) return;
        if (array->size() > kMostSyncPeers)
            return reader_.fail(position_of(*node), fmt::format("there are {} peers", array->size()),
                                fmt::format("there may be {}", kMostSyncPeers));
        for (const toml::node& element : *array) read_peer(element);
    }

    void read_peer(const toml::node& node) {
        constexpr const char* kHint = "write the other host's own address on the link, like 10.9.0.2";
        const Position at = position_of(node);
        const auto value = reader_.text(node, "a peer");
        if (!value) return;
        const auto peer = parse_peer(*value);
        if (!peer) return reader_.fail(at, peer.error().message, kHint);
        if (std::find(sync_.peers.begin(), sync_.peers.end(), *peer) != sync_.peers.end())
            return reader_.fail(at, fmt::format("peer {} is given twice", *value));
        for (const GroupConfig& group : file_.config.groups)
            for (const InterfaceAddress& shared : group.addresses)
                if (shared.address == *peer)
                    return reader_.fail(
                        at, fmt::format("peer {} is an address of group '{}'", *value, group.name), kHint);
        sync_.peers.push_back(*peer);
    }

    void read_name() {
        const toml::node* node = table_.get("name");
        utsname system{};
        if (node == nullptr) uname(&system);
        const auto name = node != nullptr ? reader_.text(*node, "name") : std::string(system.nodename);
        if (!name) return;
        if (const auto valid = HostName::from(*name))
            sync_.name = *valid;
        else if (node != nullptr)
            reader_.fail(position_of(*node), fmt::format("name '{}' can't be a host's", *name),
                         "it has 1 to 64 bytes of UTF-8 without control characters");
        else
            reader_.fail(position_of(table_), fmt::format("this host's name '{}' can't be used", *name),
                         "add name, by which the peers know it");
    }

    // ---- keys

    void read_keys() {
        const toml::node *first = nullptr, *second = nullptr;
        const auto key = read_key("key-file", "key-hex", first);
        const auto accepted = read_key("accept-key-file", "accept-key-hex", second);
        if (key) sync_.keys.first = *key;
        sync_.keys.second = accepted;
        if (first == nullptr)
            reader_.fail(position_of(table_), "[sync] has no key",
                         "make one by `openssl rand -hex 32` for all hosts, and add key-file or key-hex");
        if (second == nullptr || !accepted) return;
        if (accepted == key)
            reader_.fail(position_of(*second), "the accepted key is the one that is used anyway",
                         "give the new or the old one, or remove it");
        else
            reader_.warn(position_of(*second), "[sync] also accepts another key",
                         "remove it when all hosts have changed");
    }

    // `given` is where a key stands, even a wrong one.
    std::optional<Secret> read_key(std::string_view file_key, std::string_view hex_key,
                                   const toml::node*& given) {
        const toml::node *in_file = table_.get(file_key), *hex = table_.get(hex_key);
        given = in_file != nullptr ? in_file : hex;
        if (given == nullptr) return std::nullopt;
        if (in_file != nullptr && hex != nullptr)
            reader_.fail(position_of(*hex), fmt::format("{} and {} are given together", file_key, hex_key),
                         "keep one of them");
        const std::string_view key = in_file != nullptr ? file_key : hex_key;
        const Position at = position_of(*given);
        const auto value = reader_.text(*given, key);
        if (!value) return std::nullopt;
        const auto digits = in_file != nullptr ? read_file(file_key, *value, at) : value;
        if (hex != nullptr) file_.holds_secret = true;
        if (!digits) return std::nullopt;
        Secret secret{};
        if (!read_hex(*digits, secret))
            reader_.fail(at,
                         in_file != nullptr ? fmt::format("{} {} has no key in its first line", key, *value)
                                            : fmt::format("{} is not a key", key),
                         std::string(kKeyHint));
        else if (secret == Secret{})
            reader_.fail(at, fmt::format("the key of {} is all zeros", key),
                         "make one by `openssl rand -hex 32`");
        else
            return secret;
        return std::nullopt;
    }

    std::optional<std::string> read_file(std::string_view key, const std::string& path, Position at) {
        bool open_to_all = false;
        auto line = read_first_line(key, path, directory_, 2 * Secret().size(), open_to_all);
        if (open_to_all)
            reader_.warn(at, fmt::format("{} {} can be read by everybody", key, path), "chmod o-r it");
        if (line) return *line;
        reader_.fail(at, line.error());
        return std::nullopt;
    }

    // ---- how

    void read_timing() {
        if (const toml::node* node = table_.get("dead-after"))
            if (const auto given = reader_.seconds(*node, "dead-after", kLeastDeadAfter, kMostSeconds))
                sync_.dead_after = *given;
        if (const toml::node* node = table_.get("commit-wait"))
            if (const auto given = reader_.seconds(*node, "commit-wait", Duration(0), kMostSeconds))
                sync_.commit_wait = *given;
        if (const toml::node* node = table_.get("defer-wait"))
            if (const auto given = reader_.seconds(*node, "defer-wait", kLeastDeferWait, kMostDeferWait))
                sync_.defer_wait = *given;
        const toml::node* node = table_.get("commit");
        const auto commit = node != nullptr ? reader_.text(*node, "commit") : std::nullopt;
        if (!commit) return;
        sync_.commit_at_takeover = *commit == "takeover";
        if (*commit != "takeover" && *commit != "direct")
            reader_.fail(position_of(*node), fmt::format("commit is '{}'", *commit),
                         "it must be \"direct\" or \"takeover\"");
        if (sync_.commit_at_takeover) refuse_takeover_with_weights(*node);
    }

    // There hosts get flows that take nothing over.
    void refuse_takeover_with_weights(const toml::node& commit) {
        const auto& groups = file_.config.groups;
        const auto pool = std::find_if(groups.begin(), groups.end(), [](const GroupConfig& group) {
            return group.balance && group.balance->hash == BalanceHash::weighted;
        });
        if (pool == groups.end()) return;
        reader_.fail(
            position_of(commit),
            fmt::format("commit is \"takeover\", but pool '{}' has hash = \"weighted\"", pool->balance->pool),
            "a lost host's share goes to hosts that take nothing over, which would lack its flows: "
            "remove commit");
    }

    // ---- what

    const toml::array* list(std::string_view key, std::string_view if_empty, std::string_view of) {
        const toml::node* node = table_.get(key);
        return node != nullptr ? reader_.filled_list(*node, key, if_empty, of) : nullptr;
    }

    void read_ignored() {
        const toml::array* array = list("ignore-addresses", "leave it out to ignore none", "strings");
        if (array == nullptr) return;
        std::set<InterfaceAddress> seen;
        for (const toml::node& element : *array) {
            const auto value = reader_.text(element, "a prefix");
            if (!value) continue;
            const auto prefix = parse_prefix("ignored address", *value);
            if (!prefix)
                reader_.fail(position_of(element), prefix.error());
            else
                add(sync_.ignored, seen, *prefix, element, fmt::format("prefix {}", *value));
        }
    }

    void read_protocols() {
        const toml::array* array = list("protocols", "leave it out for all protocols", "names or numbers");
        if (array == nullptr) return;
        std::set<std::uint8_t> seen;
        for (const toml::node& element : *array) {
            const auto number = element.is_string()
                                    ? number_of(element, kProtocols, "protocol", "its number, or one of")
                                    : reader_.number(element, "protocol", 0, 255);
            if (number)
                add(sync_.protocols, seen, static_cast<std::uint8_t>(*number), element,
                    fmt::format("protocol {}", *number));
        }
    }

    // By its name.
    std::optional<int> number_of(const toml::node& node, Names known, std::string_view what,
                                 std::string_view choice) {
        const std::string name = **node.as_string();
        std::vector<std::string_view> names;
        for (const Named& named : known) names.push_back(named.name);
        const auto found = std::find(names.begin(), names.end(), name);
        if (found != names.end()) return known[static_cast<std::size_t>(found - names.begin())].number;
        const auto meant = nearest(name, names);
        reader_.fail(position_of(node), fmt::format("there is no {} '{}'", what, name),
                     meant.empty() ? fmt::format("write {} {}", choice, fmt::join(names, ", "))
                                   : fmt::format("did you mean '{}'?", meant));
        return std::nullopt;
    }

    void read_zones() {
        const toml::array* array = list("zones", "leave it out for all zones", "numbers");
        if (array == nullptr) return;
        std::set<std::uint16_t> seen;
        for (const toml::node& element : *array)
            if (const auto zone = reader_.number(element, "zone", 0, 65535))
                add(sync_.zones, seen, static_cast<std::uint16_t>(*zone), element,
                    fmt::format("zone {}", *zone));
    }

    void read_tcp_states() {
        const toml::array* array = list("tcp-states", "leave it out for all states", "names");
        if (array == nullptr) return;
        std::set<std::uint8_t> seen;
        for (const toml::node& element : *array) {
            if (!reader_.text(element, "a TCP state")) continue;
            if (const auto number = number_of(element, kTcpStates, "TCP state to begin with", "one of"))
                add(sync_.tcp_states, seen, static_cast<std::uint8_t>(*number), element,
                    fmt::format("TCP state {}", **element.as_string()));
        }
    }

    void read_deferring(const InterfaceNames& interfaces) {
        const toml::array* array = list("defer", "leave it out to let no packet wait", "interfaces");
        if (array == nullptr) return;
        if (array->size() > kMostDeferring)
            return reader_.fail(position_of(*array), fmt::format("defer has {} interfaces", array->size()),
                                fmt::format("there may be {}", kMostDeferring));
        std::set<std::string> seen;
        for (const toml::node& element : *array) {
            const auto name = reader_.interface(element, interfaces);
            if (!name) continue;
            if (*name == sync_.interface)
                reader_.fail(position_of(element), fmt::format("{} is the link to the peers", *name),
                             "write those that connections pass");
            else
                add(sync_.defer, seen, *name, element, fmt::format("interface {}", *name));
        }
    }

    // `seen` is what `values` has, so that a long list takes no time.
    template <class T>
    void add(std::vector<T>& values, std::set<T>& seen, const T& value, const toml::node& node,
             std::string_view what) {
        if (seen.insert(value).second) return values.push_back(value);
        reader_.fail(position_of(node), fmt::format("{} is given twice", what));
    }

    Reader& reader_;
    const toml::table& table_;
    const std::string& directory_;
    ConfigFile& file_;
    SyncConfig sync_;
};

}  // namespace

bool is_sync_key(std::string_view key) {
    return std::find(kSyncKeys.begin(), kSyncKeys.end(), key) != kSyncKeys.end();
}

std::string_view tcp_state_name(std::uint8_t state) {
    const auto found = std::find_if(kTcpStates.begin(), kTcpStates.end(),
                                    [state](const Named& named) { return named.number == state; });
    CARPD_ASSERT(found != kTcpStates.end());
    return found->name;
}

void read_sync(Reader& reader, const toml::node& node, const std::string& directory,
               const InterfaceNames& interfaces, ConfigFile& file) {
    if (const toml::table* table = node.as_table()) {
        file.config.sync = SyncReader(reader, *table, directory, file).read(interfaces);
        return;
    }
    const bool is_sections = node.is_array_of_tables();
    reader.fail(position_of(node),
                is_sections ? "[[sync]] is written with double brackets" : "sync is not a section",
                "there is one: begin it with [sync]");
}

}  // namespace carpd
