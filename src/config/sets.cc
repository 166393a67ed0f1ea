#include "config/sets.h"

#include <fmt/format.h>

#include <algorithm>

namespace carpd {

namespace {

// Whether both give a flow to the carpnode of the same place.
bool share_alike(const BalanceConfig& a, const BalanceConfig& b) {
    return a.by_ip() == b.by_ip() && a.hash == b.hash &&
           std::equal(a.carpnodes.begin(), a.carpnodes.end(), b.carpnodes.begin(), b.carpnodes.end(),
                      [](const Carpnode& x, const Carpnode& y) { return x.weight == y.weight; });
}

}  // namespace

void SetReader::read(const toml::table& table) {
    const toml::node *name = table.get("name"), *node = table.get("groups");
    if (name == nullptr)
        reader_.fail(position_of(table), "the set has no name", "add the name by which the log calls it");
    const auto set = name != nullptr ? reader_.text(*name, "name") : std::nullopt;
    if (set)
        if (const auto complaint = check_name(*set)) reader_.fail(position_of(*name), *complaint);
    if (set) claim(*set, position_of(*name));
    if (node == nullptr)
        return reader_.fail(position_of(table), "the set has no groups",
                            "add the names of the groups that move together, like [\"lan\", \"wan\"]");
    const toml::array* array = reader_.list(*node, "groups");
    if (array == nullptr) return;
    Member first;
    for (const toml::node& element : *array) {
        const Member member = read_member(element);
        if (member.empty()) continue;
        if (first.empty()) first = member;
        if (fits(member, first, position_of(element)))
            join(member, first, set.value_or("?"), position_of(element));
    }
    if (set && !first.empty() && first.front()->balance)
        for (std::size_t i = 1; i <= first.size(); ++i)
            claim(fmt::format("{}:{}", *set, i), position_of(*name));
    if (array->size() < 2)
        reader_.fail(position_of(*node), "the set has fewer than two groups",
                     "a group alone needs no set; remove it");
}

void SetReader::claim(const std::string& name, Position at) {
    const auto [found, is_new] = sets_.try_emplace(name, at.line);
    if (!is_new)
        reader_.fail(at, fmt::format("name '{}' is used twice", name),
                     fmt::format("the set of line {} has it already", found->second));
}

GroupConfig* SetReader::find(const std::string& name) {
    const auto found = std::find_if(groups_.begin(), groups_.end(),
                                    [&](const GroupConfig& group) { return group.name == name; });
    return found != groups_.end() ? &*found : nullptr;
}

// Empty if there is no such group, or a wrong one: then there is an error.
SetReader::Member SetReader::read_member(const toml::node& node) {
    const Position at = position_of(node);
    const auto name = reader_.text(node, "a group's name");
    if (!name) return {};
    const auto known = names_.find(*name);
    if (known == names_.end()) {
        reader_.fail(at, fmt::format("there is no group '{}'", *name),
                     fmt::format("there are: {}", fmt::join(names_of_sections(names_), ", ")));
        return {};
    }
    Member member;
    if (known->second.is_pool)
        for (const std::string& carpnode : known->second.carpnodes) member.push_back(find(carpnode));
    else
        member.push_back(find(*name));
    if (!known->second.is_pool && member.front()->balance) {
        reader_.fail(at, fmt::format("'{}' is a carpnode", *name),
                     fmt::format("write '{}': all carpnodes of a pool are in a set, or none",
                                 member.front()->balance->pool));
        return {};
    }
    return member;
}

bool SetReader::fits(const Member& member, const Member& first, Position at) {
    const auto &pool = member.front()->balance, &other = first.front()->balance;
    if (!pool != !other)
        reader_.fail(at, "the set has pools and groups that are none",
                     "a group is on one host and a pool on all; make two sets");
    else if (pool && member.size() != first.size())
        reader_.fail(
            at,
            fmt::format("pool '{}' has {} carpnodes, and '{}' {}", pool->pool, member.size(), other->pool,
                        first.size()),
            "the pools of a set need as many, of which the first move together, the second, and so on");
    else if (pool && !share_alike(*pool, *other))
        reader_.fail(
            at, fmt::format("pools '{}' and '{}' share their clients differently", pool->pool, other->pool),
            "the two sides of a connection must be one host's: give them the same balancing, hash and "
            "weights");
    else
        return true;
    return false;
}

const std::string& SetReader::name_of(const Member& member) {
    const GroupConfig& group = *member.front();
    return group.balance ? group.balance->pool : group.name;
}

void SetReader::join(const Member& member, const Member& first, const std::string& set, Position at) {
    const auto& pool = member.front()->balance;
    const std::string& name = name_of(member);
    if (!member.front()->together.empty())
        return reader_.fail(at, fmt::format("group '{}' is in a set already", name),
                            "a group can be in one set, once");
    for (std::size_t i = 0; i < member.size(); ++i)
        member[i]->together = pool ? fmt::format("{}:{}", set, i + 1) : set;
    if (pool && !pool->by_ip())
        reader_.warn(at, fmt::format("the clients of pool '{}' are shared by their MACs", name),
                     "the two sides of a connection have different ones: a gateway needs balancing = \"ip\"");
    if (member.front()->advbase != first.front()->advbase)
        reader_.warn(at, fmt::format("the advbase of '{}' is not that of '{}'", name, name_of(first)),
                     "a set takes over when the slowest of its groups may");
}

}  // namespace carpd
