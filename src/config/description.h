// A configuration as carpd understands it, to be read by people and to be compared: every key that could
// stand in carpd.toml with the value that is in force, whether the file gives it or not. Keys and passwords
// are not in it, only their fingerprints (crypto/fingerprint.h). Used by carpctl for files and by the engine
// for what it runs with.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace carpd {

// What stands for a secret. No password and no key can look like this, so carpd refuses a file that has it.
inline constexpr std::string_view kHiddenSecret = "\"(a secret, which is not shown)\"";

struct Setting {
    std::string key;    // as in carpd.toml
    std::string value;  // both TOML and JSON
    bool is_default = false;
    std::string fingerprint{};  // of a secret, or of a list that all hosts must have alike
    bool operator==(const Setting&) const = default;
};

struct Section {
    std::string kind;  // "file", "group", "hook", "track", "together" or "sync"
    std::string name;  // what people call it; empty where it has none
    // By which a reload knows it again: of a group interface and vhid. Among its kind.
    std::string identity;
    std::vector<Setting> settings;
    bool operator==(const Section&) const = default;
};

// The file's own keys, which stand before the groups, and then every section that stands behind them.
std::vector<Section> describe_all_but_groups(const Config& config);
// A group; of a pool's first carpnode the whole pool. Nothing (an empty kind) of its other carpnodes.
Section describe(const GroupConfig& group);
// The whole, in the order in which it would be written.
std::vector<Section> describe(const Config& config);

// "2 groups, state synchronisation with 1 peer"
std::string summary(const Config& config);
// As a carpd.toml in which defaults are comments.
std::string to_toml(const std::vector<Section>& sections);

}  // namespace carpd
