// The [[together]] sections of carpd.toml: groups that move together (carp/together.h). Pools move carpnode
// by carpnode, so that both sides of a connection through a gateway stay on one host: a set NAME of pools is
// a set NAME:1 of their first carpnodes, NAME:2 of their second, and so on.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/reader.h"

namespace carpd {

class SetReader {
 public:
    // `names` has all of `groups`, whose `together` is set.
    SetReader(Reader& reader, const GroupNames& names, std::vector<GroupConfig>& groups)
        : reader_(reader), names_(names), groups_(groups) {}

    // `table` is one section, of which the caller has refused unknown keys.
    void read(const toml::table& table);

 private:
    // One that the section names: a group, or the carpnodes of a pool in their order.
    using Member = std::vector<GroupConfig*>;

    void claim(const std::string& name, Position at);
    Member read_member(const toml::node& node);
    bool fits(const Member& member, const Member& first, Position at);
    void join(const Member& member, const Member& first, const std::string& set, Position at);
    static const std::string& name_of(const Member& member);
    GroupConfig* find(const std::string& name);

    Reader& reader_;
    const GroupNames& names_;
    std::vector<GroupConfig>& groups_;
    std::map<std::string, std::uint32_t> sets_;  // their names, with the line each stands in
};

}  // namespace carpd
