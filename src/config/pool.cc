#include "config/pool.h"

#include <fmt/format.h>

#include <algorithm>

namespace carpd {

namespace {

constexpr int kMostWeight = 100;

// What BSD's carpnodes have no use for, or say themselves.
struct Replaced {
    std::string_view key, hint;
};
constexpr std::array<Replaced, 2> kReplaced = {
    {{"vhid", "carpnodes say the vhids; remove it"}, {"advskew", "carpnodes say them, one each; remove it"}}};

class PoolReader {
 public:
    PoolReader(Reader& reader, const toml::table& table, const toml::node& node, const ClaimVhid& claim_vhid)
        : reader_(reader), table_(table), node_(node), claim_vhid_(claim_vhid) {}

    std::optional<BalanceConfig> read(DataPlaneChoice dataplane) {
        check_others(dataplane);
        const bool are_carpnodes = read_carpnodes();
        read_mode();
        read_hash();
        if (const toml::node* weights = table_.get("weights")) read_weights(*weights);
        if (!are_carpnodes) return std::nullopt;
        warn_of_no_balance();
        std::sort(pool_.carpnodes.begin(), pool_.carpnodes.end(),
                  [](const Carpnode& a, const Carpnode& b) { return a.vhid < b.vhid; });
        return std::move(pool_);
    }

 private:
    // ---- the group's other keys

    void check_others(DataPlaneChoice dataplane) {
        for (const Replaced& replaced : kReplaced)
            if (const toml::node* node = table_.get(replaced.key))
                reader_.fail(position_of(*node),
                             fmt::format("{} and carpnodes are given together", replaced.key),
                             std::string(replaced.hint));
        if (const toml::node* mac = table_.get("mac");
            mac != nullptr && mac->value<std::string>() == "interface")
            reader_.fail(position_of(*mac), "mac is \"interface\", but a pool has a MAC of its own",
                         "remove it; balancing says which MACs are spoken with");
        if (const toml::node* routed = table_.get("peer-routed"); routed && routed->value<bool>() == true)
            reader_.fail(position_of(*routed), "peer-routed is true, but the hosts of a pool share a link",
                         "remove it");
        if (dataplane == DataPlaneChoice::macvlan)
            reader_.fail(position_of(node_), "carpnodes are given, but dataplane is \"macvlan\"",
                         "only \"bpf\" can tell whose a packet is; remove dataplane");
    }

    // ---- carpnodes

    bool read_carpnodes() {
        constexpr const char* kHint =
            "write at least two, like [\"1:0\", \"2:100\"], on another host [\"1:100\", \"2:0\"]";
        const std::size_t errors_before = reader_.errors().size();
        const toml::array* array = reader_.list(node_, "carpnodes");
        if (array == nullptr) return false;
        for (const toml::node& element : *array) read_carpnode(element);
        if (array->size() < 2 || array->size() > kMostCarpnodes)
            reader_.fail(position_of(node_),
                         array->empty()       ? "carpnodes is empty"
                         : array->size() == 1 ? "there is one carpnode, and nothing to balance"
                                              : fmt::format("there are {} carpnodes", array->size()),
                         array->size() < 2 ? kHint : fmt::format("there may be {}", kMostCarpnodes));
        return reader_.errors().size() == errors_before;
    }

    void read_carpnode(const toml::node& node) {
        const Position at = position_of(node);
        const auto value = reader_.text(node, "a carpnode");
        if (!value) return;
        const std::size_t colon = value->find(':');
        const auto vhid = parse_number(std::string_view(*value).substr(0, colon));
        const auto advskew = colon != std::string::npos
                                 ? parse_number(std::string_view(*value).substr(colon + 1))
                                 : std::nullopt;
        if (!vhid || !advskew)
            return reader_.fail(at, fmt::format("carpnode '{}' is no vhid and advskew", *value),
                                "write it like \"1:0\" or \"2:100\"");
        if (*vhid < 1 || *vhid > 255)
            return reader_.fail(at, fmt::format("vhid {} of carpnode '{}' is out of range", *vhid, *value),
                                "it must be 1 to 255");
        if (*advskew > 254)
            return reader_.fail(at,
                                fmt::format("advskew {} of carpnode '{}' is out of range", *advskew, *value),
                                "it must be 0 to 254");
        if (*advskew > 240)
            reader_.warn(at, fmt::format("advskew {} is above 240", *advskew), "FreeBSD sends 240 at most");
        add({static_cast<std::uint8_t>(*vhid), static_cast<std::uint8_t>(*advskew)}, at);
    }

    void add(const Carpnode& carpnode, Position at) {
        auto& known = pool_.carpnodes;
        if (std::any_of(known.begin(), known.end(),
                        [&](const Carpnode& c) { return c.vhid == carpnode.vhid; }))
            reader_.fail(at, fmt::format("vhid {} is given to two carpnodes", carpnode.vhid),
                         "every carpnode needs its own");
        else if (claim_vhid_(carpnode.vhid, at))
            known.push_back(carpnode);
    }

    void warn_of_no_balance() {
        const auto& nodes = pool_.carpnodes;
        const bool are_equal = std::all_of(nodes.begin(), nodes.end(), [&](const Carpnode& carpnode) {
            return carpnode.advskew == nodes.front().advskew;
        });
        if (are_equal)
            reader_.warn(position_of(node_), "all carpnodes have the same advskew",
                         "give each host the lowest of another carpnode, or one host may serve everybody");
        if (!table_["preempt"].value_or(false))
            reader_.warn(position_of(node_), "preempt is false: a host that comes back gets no share again",
                         "add preempt = true");
    }

    // ---- how

    // The place of its value among `names`, or nothing.
    template <std::size_t n>
    std::optional<std::size_t> choice(std::string_view key, const std::array<std::string_view, n>& names) {
        const toml::node* node = table_.get(key);
        const auto value = node != nullptr ? reader_.text(*node, key) : std::nullopt;
        if (!value) return std::nullopt;
        const auto found = std::find(names.begin(), names.end(), *value);
        if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
        reader_.fail(position_of(*node), fmt::format("{} is '{}'", key, *value),
                     fmt::format("it must be one of \"{}\"", fmt::join(names, "\", \"")));
        return std::nullopt;
    }

    void read_mode() {
        constexpr auto kNames = std::array{to_string(Balancing::ip), to_string(Balancing::ip_stealth),
                                           to_string(Balancing::ip_unicast), to_string(Balancing::arp)};
        if (const auto place = choice("balancing", kNames)) pool_.mode = static_cast<Balancing>(*place);
    }

    void read_hash() {
        constexpr auto kNames = std::array{to_string(BalanceHash::bsd), to_string(BalanceHash::weighted)};
        if (const auto place = choice("hash", kNames)) pool_.hash = static_cast<BalanceHash>(*place);
    }

    void read_weights(const toml::node& node) {
        if (pool_.hash != BalanceHash::weighted)
            reader_.fail(
                position_of(node), "weights are given, but hash is \"bsd\"",
                "the BSDs' shares are equal: add hash = \"weighted\" on all hosts, or remove weights");
        const toml::array* array = reader_.list(node, "weights", "numbers");
        if (array == nullptr) return;
        const toml::array* carpnodes = node_.as_array();
        if (carpnodes != nullptr && array->size() != carpnodes->size())
            return reader_.fail(
                position_of(node),
                fmt::format("there are {} weights and {} carpnodes", array->size(), carpnodes->size()),
                "write one for each carpnode, in their order");
        for (std::size_t i = 0; i < array->size(); ++i) {
            const auto weight = reader_.number((*array)[i], "weight", 1, kMostWeight);
            // After a wrong carpnode places don't match, but then nothing comes of it.
            if (weight && i < pool_.carpnodes.size())
                pool_.carpnodes[i].weight = static_cast<std::uint8_t>(*weight);
        }
    }

    Reader& reader_;
    const toml::table& table_;
    const toml::node& node_;  // carpnodes
    const ClaimVhid& claim_vhid_;
    BalanceConfig pool_;
};

}  // namespace

std::optional<BalanceConfig> read_pool(Reader& reader, const toml::table& table, DataPlaneChoice dataplane,
                                       const ClaimVhid& claim_vhid) {
    if (const toml::node* node = table.get("carpnodes"))
        return PoolReader(reader, table, *node, claim_vhid).read(dataplane);
    for (std::string_view key : kPoolKeys)
        if (const toml::node* node = table.get(key))
            reader.fail(position_of(*node), fmt::format("{} is given, but no carpnodes", key),
                        "add them, like carpnodes = [\"1:0\", \"2:100\"], or remove it");
    return std::nullopt;
}

std::vector<GroupConfig> groups_of(BalanceConfig pool, const GroupConfig& common) {
    pool.pool = common.name;
    const SharedValue<BalanceConfig> shared(std::move(pool));
    std::vector<GroupConfig> groups;
    for (const Carpnode& carpnode : shared->carpnodes) {
        GroupConfig& group = groups.emplace_back(common);
        group.name = fmt::format("{}:{}", shared->pool, carpnode.vhid);
        group.vhid = Vhid{carpnode.vhid};
        group.advskew = AdvSkew{carpnode.advskew};
        group.balance = shared;
    }
    return groups;
}

}  // namespace carpd
