// What the parsers of carpd.toml's parts share: values of one type, unknown keys, and the list of errors, to
// which each adds and then goes on, so that all of them are found. With its users the only file that knows
// toml++.
#pragma once

#include <toml++/toml.h>

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/values.h"

namespace carpd {

Position position_of(const toml::source_region& source);
Position position_of(const toml::node& node);

// "a string", "a list", ...
std::string_view type_name(const toml::node& node);

// A [[group]], by whose name others call it. Of a pool each carpnode is a group of its own, POOL:VHID.
struct GroupName {
    Position at;
    bool is_pool = false;
    bool is_carpnode = false;
    std::vector<std::string> carpnodes{};  // of a pool without errors: their names
};
// All names of the file's groups: of groups, pools and carpnodes.
using GroupNames = std::map<std::string, GroupName>;

// Without the carpnodes.
std::vector<std::string_view> names_of_sections(const GroupNames& names);

class Reader {
 public:
    void fail(Position at, std::string message, std::string hint = {});
    void fail(Position at, const Complaint& complaint) { fail(at, complaint.message, complaint.hint); }
    void warn(Position at, std::string message, std::string hint = {});

    // Of a value that isn't what it must be: nothing, and an error. `what` or `key` begins its message.
    std::optional<std::string> text(const toml::node& node, std::string_view what);
    std::optional<bool> flag(const toml::table& table, std::string_view key);  // nothing also if not given
    std::optional<int> number(const toml::node& node, std::string_view key, int least, int most);
    Duration delay(const toml::table& table, std::string_view key);  // 0 to 3600 s; 0 if not given
    // A number of seconds with or without a fraction, in whole milliseconds.
    std::optional<Duration> seconds(const toml::node& node, std::string_view key, Duration least,
                                    Duration most);
    // The name of an interface, with an error if it isn't among those that exist.
    std::optional<std::string> interface(const toml::node& node, const InterfaceNames& existing);
    const toml::array* list(const toml::node& node, std::string_view key, std::string_view of = "strings");
    // As above, and not empty.
    const toml::array* filled_list(const toml::node& node, std::string_view key, std::string_view if_empty,
                                   std::string_view of = "strings");
    // A list of names of groups, all of which are in `known`, none twice. A pool's is that of its carpnodes.
    std::vector<std::string> group_names(const toml::node& node, const GroupNames& known);
    // A program's absolute path and its arguments; empty after an error.
    std::vector<std::string> command(const toml::node& node, std::string_view key);
    // The tables under [[KEY]], which are all that is in it.
    const toml::array* sections(const toml::node& node, std::string_view key);

    // `place_of` says where a key belongs that is none of `known` and doesn't resemble one; empty if nowhere.
    void refuse_unknown_keys(const toml::table& table, std::span<const std::string_view> known,
                             std::string (*place_of)(std::string_view key) = nullptr);

    // Sorted by position.
    ConfigErrors errors() const;
    ConfigErrors warnings() const;

 private:
    ConfigErrors errors_, warnings_;
};

}  // namespace carpd
