#include "config/ucarp_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "config/ucarp_options.h"
#include "config/values.h"

namespace carpd {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Words = std::vector<std::string>;

// What every command line needs, and more.
Words with(const Words& more) {
    Words words = {"-i", "eth0", "-s", "192.0.2.1", "-v", "7", "-p", "s3cret", "-a", "192.0.2.100"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

UcarpCommand taken(const Words& more) {
    const auto command = parse_ucarp_command(with(more));
    EXPECT_TRUE(command) << command.error().text;
    return *command;
}

const GroupConfig group_of(const Words& more) {
    return taken(more).config.groups.front();
}

UcarpRefusal refused(const Words& words) {
    const auto command = parse_ucarp_command(words);
    EXPECT_FALSE(command);
    return command ? UcarpRefusal{-1, ""} : command.error();
}

// ---- words

std::string shown(const UcarpOptions& options) {
    std::string text;
    for (const UcarpOption& option : options.given)
        text += std::string(1, option.letter) + (option.value ? "=" + *option.value : "") + " ";
    return text;
}

TEST(UcarpOptions, InEveryFormOfGetopt) {
    for (const Words& words : {Words{"-i", "eth0", "-zB", "-k10"}, Words{"-ieth0", "-zBk10"},
                               Words{"--interface=eth0", "--shutdown", "--daemonize", "--advskew", "10"},
                               Words{"--int", "eth0", "--sh", "--daem", "--advs=10"}}) {
        EXPECT_EQ(shown(read_ucarp_options(words)), "i=eth0 z B k=10 ");
    }
}

TEST(UcarpOptions, TellsWhatIsNone) {
    const UcarpOptions options = read_ucarp_options(
        {"--adv=1", "-q", "--zonk", "--shutdown=1", "word", "-", "--", "-z", "--interface"});
    EXPECT_THAT(options.unknown, ElementsAre("--adv=1", "-q", "--zonk", "--shutdown=1"));  // --adv is two
    EXPECT_THAT(options.others, ElementsAre("word", "-", "-z", "--interface"));
    EXPECT_THAT(options.given, IsEmpty());
}

TEST(UcarpOptions, TellsAMissingValue) {
    const UcarpOptions options = read_ucarp_options({"-z", "-a"});
    ASSERT_EQ(options.given.size(), 2u);
    EXPECT_TRUE(options.given[1].wants_value);
    EXPECT_EQ(options.given[1].value, std::nullopt);
}

// ---- commands

TEST(UcarpCommand, HasUcarpsDefaults) {
    const UcarpCommand command = taken({});
    const GroupConfig& group = command.config.groups.front();
    EXPECT_EQ(group.name, "eth0-7");
    EXPECT_EQ(group.vhid.value, 7);
    EXPECT_EQ(group.advbase.seconds, 1);
    EXPECT_EQ(group.advskew.value, 0);
    EXPECT_FALSE(group.preempt);
    EXPECT_EQ(group.mac, MacMode::interface_mac);
    EXPECT_EQ(group.key, *key_from_password("s3cret"));
    EXPECT_EQ(group.addresses.front().to_string(), "192.0.2.100/32");
    EXPECT_EQ(command.config.control, "/run/carpd/ucarp-eth0-7.sock");
    EXPECT_EQ(command.config.ucarp->source.to_string(), "192.0.2.1");
    EXPECT_FALSE(command.config.ucarp->runs_down_script_at_end);
    EXPECT_FALSE(command.is_background);
    EXPECT_TRUE(command.config.needs_helper());
    EXPECT_THAT(command.warnings, ElementsAre(HasSubstr("--upscript"), HasSubstr("--downscript")));
}

// As /etc/network/if-up.d/ucarp of Debian has it.
TEST(UcarpCommand, TakesWhatDebianSays) {
    const UcarpCommand command =
        taken({"-B", "-z", "-u", "/usr/share/ucarp/vip-up", "-d", "/usr/share/ucarp/vip-down", "-P", "-k",
               "20", "-b", "2", "-r", "3", "-M", "-x", "extra"});
    const GroupConfig& group = command.config.groups.front();
    const UcarpMode& mode = *command.config.ucarp;
    EXPECT_TRUE(command.is_background);
    EXPECT_TRUE(group.preempt);
    EXPECT_EQ(group.advskew.value, 20);
    EXPECT_EQ(group.advbase.seconds, 2);
    EXPECT_TRUE(mode.broadcasts);
    EXPECT_TRUE(mode.runs_down_script_at_end);
    EXPECT_EQ(mode.up_script, "/usr/share/ucarp/vip-up");
    EXPECT_EQ(mode.down_script, "/usr/share/ucarp/vip-down");
    EXPECT_EQ(mode.parameter, "extra");
    EXPECT_THAT(command.warnings, IsEmpty());
}

TEST(UcarpCommand, TheLastOfAKindCounts) {
    EXPECT_EQ(group_of({"-k", "1", "--advskew=2"}).advskew.value, 2);
    EXPECT_EQ(group_of({"-a", "192.0.2.101"}).addresses.front().to_string(), "192.0.2.101/32");
}

TEST(UcarpCommand, ScriptsAreFoundFromElsewhere) {
    EXPECT_EQ(taken({"-u", "up.sh"}).config.ucarp->up_script,
              (std::filesystem::current_path() / "up.sh").string());
}

TEST(UcarpCommand, ReadsThePasswordOfAFile) {
    const std::string path = testing::TempDir() + "ucarp-password";
    std::ofstream(path) << "other\nsecond line\n";
    EXPECT_EQ(group_of({"-o", path}).key, *key_from_password("other"));
    std::ofstream(path) << std::string(20, 'x');
    EXPECT_EQ(refused(with({"-o", path})).exit_code, 2);
    std::filesystem::remove(path);
    const UcarpRefusal refusal = refused(with({"-o", path}));
    EXPECT_EQ(refusal.exit_code, 1);
    EXPECT_THAT(refusal.text, HasSubstr("No such file"));
}

// The exit codes are ucarp 1.5.2's.
TEST(UcarpCommand, RefusesWhatUcarpRefuses) {
    for (const Words& wrong : {Words{"-v", "0"}, Words{"-v", "256"}, Words{"-a", "2001:db8::1"},
                               Words{"-a", "nonsense"}, Words{"-s", "nonsense"}, Words{"-b", "256"},
                               Words{"-b", "0", "-k", "0"}, Words{"-r", "0"}, Words{"-p", ""}})
        EXPECT_EQ(refused(with(wrong)).exit_code, 1) << testing::PrintToString(wrong);
    EXPECT_EQ(refused(with({"-p", std::string(20, 'x')})).exit_code, 2);
    for (const std::size_t missing : {2u, 4u, 6u, 8u}) {
        Words words = with({});
        words.erase(words.begin() + static_cast<std::ptrdiff_t>(missing),
                    words.begin() + static_cast<std::ptrdiff_t>(missing) + 2);
        EXPECT_EQ(refused(words).exit_code, 1);
        EXPECT_THAT(refused(words).text, HasSubstr("is missing"));
    }
}

TEST(UcarpCommand, RefusesWhatUcarpTookForSomethingElse) {
    for (const Words& wrong : {Words{"-k", "256"}, Words{"-k", "1O"}, Words{"--zonk"}, Words{"-b"},
                               Words{"-b", "255"}, Words{"-m", "224.0.0.19"}})
        EXPECT_EQ(refused(with(wrong)).exit_code, 1) << testing::PrintToString(wrong);
    EXPECT_EQ(refused(with({"-i", "eth0/x"})).exit_code, 2);
}

TEST(UcarpCommand, WarnsOfWhatItDoesOtherwise) {
    const Words scripts = {"-u", "/up", "-d", "/down"};
    const auto warned = [&](const Words& more) {
        Words words = scripts;
        words.insert(words.end(), more.begin(), more.end());
        const UcarpCommand command = taken(words);
        return command.warnings.size() == 1 ? command.warnings.front() : "";
    };
    EXPECT_THAT(warned({"-r", "2"}), HasSubstr("deadratio 2 is not kept"));
    EXPECT_THAT(warned({"-k", "255"}), HasSubstr("254"));
    EXPECT_THAT(warned({"word"}), HasSubstr("'word' is no option"));
    EXPECT_EQ(warned({"-m", "224.0.0.18"}), "");
}

TEST(UcarpCommand, HelpIsGivenToWhoAsksAndToWhoSaysNothing) {
    for (const Words& asks : {Words{"-h"}, Words{"--help"}, with({"-h"})}) {
        EXPECT_EQ(refused(asks).exit_code, 0);
        EXPECT_THAT(refused(asks).text, HasSubstr("--deadratio"));
    }
    EXPECT_EQ(refused({}).exit_code, 1);
    EXPECT_THAT(refused({}).text, HasSubstr("usage: ucarp"));
}

TEST(UcarpCommand, TheInterfaceMayComeLater) {
    auto command = parse_ucarp_command({"-s", "192.0.2.1", "-v", "7", "-p", "x", "-a", "192.0.2.100"});
    ASSERT_TRUE(command);
    EXPECT_EQ(command->config.groups.front().interface, "");
    set_ucarp_interface(command->config, "eth1");
    EXPECT_EQ(command->config.groups.front().name, "eth1-7");
    EXPECT_EQ(command->config.control, "/run/carpd/ucarp-eth1-7.sock");
}

}  // namespace
}  // namespace carpd
