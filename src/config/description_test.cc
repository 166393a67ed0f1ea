#include "config/description.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace carpd {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

Config parse(const std::string& text) {
    const auto file = parse_config(text, CARPD_SOURCE_DIR "/tests/config");
    EXPECT_TRUE(file) << (file ? "" : file.error().front().to_string("file"));
    return file ? file->config : Config{};
}

std::string described(const std::string& text) {
    return to_toml(describe(parse(text)));
}

// Secrets don't come back.
Config without_secrets(Config config) {
    for (GroupConfig& group : config.groups) {
        group.key = {};
        if (group.accept_key) group.accept_key = Key{};
    }
    if (config.sync) config.sync->keys = {};
    return config;
}

std::string with_secrets(std::string text) {
    const std::string line = " = " + std::string(kHiddenSecret);
    for (std::size_t at = 0; (at = text.find(line, at)) != std::string::npos;) {
        const std::size_t begin = text.rfind('\n', at) + 1;
        const std::string key = text.substr(begin, at - begin);
        const std::string digit = key.starts_with("accept") ? "2" : "1";
        // 20 bytes are a group's key, 32 that of synchronisation.
        const std::string other = key.ends_with("password") ? key.substr(0, key.size() - 8) + "key-hex" : key;
        std::string hex;
        for (int i = 0; i < (other == key ? 64 : 40); ++i) hex += digit;
        text.replace(begin, at + line.size() - begin, other + " = \"" + hex + "\"");
        at = begin;
    }
    return text;
}

// Nothing of a configuration is missing from its description.
TEST(Description, SaysAllThatCarpdKnows) {
    int files = 0;
    for (const auto& entry : fs::directory_iterator(CARPD_SOURCE_DIR "/tests/config")) {
        if (entry.path().extension() != ".toml") continue;
        std::ifstream in(entry.path());
        const std::string text(std::istreambuf_iterator<char>(in), {});
        const auto file = parse_config(text, entry.path().parent_path());
        if (!file) continue;
        SCOPED_TRACE(entry.path());
        const Config again = without_secrets(parse(with_secrets(to_toml(describe(file->config)))));
        const Config config = without_secrets(file->config);
        EXPECT_EQ(again.control, config.control);
        EXPECT_EQ(again.dataplane, config.dataplane);
        EXPECT_EQ(again.hold_down, config.hold_down);
        EXPECT_EQ(again.groups, config.groups);
        EXPECT_EQ(again.hooks, config.hooks);
        EXPECT_EQ(again.tracks, config.tracks);
        EXPECT_EQ(again.sync, config.sync);
        ++files;
    }
    EXPECT_GT(files, 10);
}

TEST(Description, ShowsDefaultsAsSuchAndNoSecret) {
    const std::string text = described(
        "[[group]]\nname = \"lan\"\ninterface = \"eth0\"\nvhid = 1\n"
        "addresses = [\"192.0.2.100/24\"]\npassword = \"s3cret\"\nadvskew = 100\n");
    const char* const expected = R"x(# control = "/run/carpd/control.sock"     # default
# dataplane = "auto"                      # default
# hold-down = 0                           # default

[[group]]
name = "lan"
interface = "eth0"
vhid = 1
addresses = ["192.0.2.100/24"]            # fingerprint 8e2783dc
password = "(a secret, which is not shown)"  # fingerprint 6334
# advbase = 1                             # default
advskew = 100
# preempt = false                         # default
# preempt-delay = 0                       # default
# mac = "virtual"                         # default
# peers = []                              # default
# peer-routed = false                     # default
# beacons = true                          # default
# interface-groups = []                   # default
# accept-password = ""                    # default
# accept-addresses = []                   # default
)x";
    EXPECT_EQ(text, expected);
    const auto refused = parse_config(text, "");
    ASSERT_FALSE(refused) << "who takes it for a carpd.toml must not run with another password";
    EXPECT_THAT(refused.error().front().message, HasSubstr("the password has 30 bytes"));
}

TEST(Description, FingerprintsTellListsAndKeysApart) {
    const auto fingerprints = [](const std::string& addresses, const std::string& password) {
        const std::string text = "[[group]]\ninterface = \"eth0\"\nvhid = 1\naddresses = " + addresses +
                                 "\npassword = \"" + password + "\"\n";
        std::string all;
        for (const Section& section : describe(parse(text)))
            for (const Setting& setting : section.settings)
                if (!setting.fingerprint.empty()) all += setting.key + " " + setting.fingerprint + "\n";
        return all;
    };
    const std::string ours = fingerprints(R"(["192.0.2.1/24", "192.0.2.2/24"])", "a");
    EXPECT_EQ(fingerprints(R"(["192.0.2.2/25", "192.0.2.1/24"])", "a"), ours) << "neither is signed";
    EXPECT_NE(fingerprints(R"(["192.0.2.1/24", "192.0.2.3/24"])", "a"), ours);
    EXPECT_NE(fingerprints(R"(["192.0.2.1/24", "192.0.2.2/24"])", "b"), ours);
}

}  // namespace
}  // namespace carpd
