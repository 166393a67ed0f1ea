// What the readers make of foreign files: a carpd.toml in parts, with values as they were found. Whether they
// are right is for carpd's parser to say.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "import/import.h"

namespace carpd {

struct DraftGroup {
    Source at;
    std::string name;  // empty: carpd's default
    std::string interface;
    std::string vhid;                    // digits; this and the following: empty if not given
    std::vector<std::string> addresses;  // with their prefix lengths
    std::string password, password_file;
    std::string advbase, advskew;
    bool preempt = false;
    std::string preempt_delay;  // seconds
    bool interface_mac = false;
    std::vector<std::string> peers;
    std::vector<std::string> interface_groups;
    std::vector<std::string> carpnodes;
    std::string balancing;
    std::vector<std::string> to_do;  // comments above the section
};

struct DraftTrack {
    Source at;
    std::string name;
    std::string subject;  // the line that says what is looked at
    int demote = 0;       // 0: withdraw
    std::vector<std::string> groups;
    std::string timing;  // further lines
};

struct DraftHook {
    Source at;
    std::vector<std::string> on, groups, command;
};

struct DraftTogether {
    Source at;
    std::string name;
    std::vector<std::string> groups;
};

struct Draft {
    std::string hold_down;
    std::vector<DraftGroup> groups;
    std::vector<DraftTogether> together;
    std::vector<DraftTrack> tracks;
    std::vector<DraftHook> hooks;
    std::vector<std::string> to_dos;  // comments at the top
    std::vector<Finding> findings;

    void taken(const Source& at, std::string text) { add(Finding::Kind::taken, at, std::move(text)); }
    void check(const Source& at, std::string text) { add(Finding::Kind::check, at, std::move(text)); }
    void no_match(const Source& at, std::string text) { add(Finding::Kind::no_match, at, std::move(text)); }
    // Also a comment above the group, or at the top.
    void to_do(DraftGroup& group, const Source& at, std::string text);
    void to_do(const Source& at, std::string text);
    // Says once what holds for all files of a kind.
    void check_once(std::string text);

 private:
    void add(Finding::Kind kind, const Source& at, std::string text) {
        findings.push_back({kind, at, std::move(text)});
    }
};

// The file, without a look at whether it is valid, and where its sections come from.
struct WrittenToml {
    std::string text;
    std::vector<std::pair<std::uint32_t, Source>> sections;  // by the line of their [[...]], ascending

    // Where the line of the text comes from.
    Source origin_of(std::uint32_t line) const;
};
WrittenToml write_toml(const Draft& draft);

// ---- TOML

std::string toml_string(std::string_view text);
std::string toml_list(const std::vector<std::string>& texts);

}  // namespace carpd
