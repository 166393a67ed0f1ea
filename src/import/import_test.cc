// tests/import holds files as people have them and, beside each, what import makes of it: NAME.expected. A
// folder is imported as one host's files. To rewrite the expectations after a change, run this with
// CARPD_REWRITE=1 and review the difference.
#include "import/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "config/config.h"
#include "import/words.h"

namespace carpd {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

std::string read_file(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<fs::path> sorted(const fs::path& folder) {
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(folder))
        if (entry.path().extension() != ".expected") paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    return paths;
}

std::vector<ImportFile> files_of(const fs::path& path) {
    if (!fs::is_directory(path)) return {{path.filename().string(), read_file(path)}};
    std::vector<ImportFile> files;
    for (const fs::path& file : sorted(path)) files.push_back({file.filename().string(), read_file(file)});
    return files;
}

class ImportOf : public testing::TestWithParam<fs::path> {};

TEST_P(ImportOf, SaysWhatIsExpected) {
    const fs::path path = GetParam();
    const auto imported = import_files(files_of(path));
    ASSERT_TRUE(imported) << imported.error();
    const std::string shown = imported->toml + "\n---- " +
                              (imported->is_complete ? "complete" : "something is to do") + "\n" +
                              imported->report();
    const fs::path expected = path.string() + ".expected";
    if (std::getenv("CARPD_REWRITE") != nullptr) std::ofstream(expected) << shown;
    EXPECT_EQ(shown, read_file(expected));
    EXPECT_EQ(
        parse_config(imported->toml, "/").has_value() && imported->toml.find("# TO DO") == std::string::npos,
        imported->is_complete);
}

INSTANTIATE_TEST_SUITE_P(Tree, ImportOf, testing::ValuesIn(sorted(CARPD_SOURCE_DIR "/tests/import")),
                         [](const auto& test) {
                             std::string name = test.param.filename().string();
                             std::replace_if(
                                 name.begin(), name.end(),
                                 [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
                             return name;
                         });

Imported import_text(const std::string& text, ImportKind kind) {
    return *import_files({{"file", text}}, kind);
}

// ---- what is guessed, and what is refused

TEST(GuessImportKind, ByNameOrContent) {
    EXPECT_EQ(guess_import_kind({"/etc/hostname.carp0", ""}), ImportKind::openbsd);
    EXPECT_EQ(guess_import_kind({"vip-001.conf", ""}), ImportKind::ucarp);
    EXPECT_EQ(guess_import_kind({"rc.conf.local", ""}), ImportKind::freebsd);
    EXPECT_EQ(guess_import_kind({"x", "vrrp_instance A {"}), ImportKind::keepalived);
    EXPECT_EQ(guess_import_kind({"x", "iface eth0\n ucarp-vid 1\n"}), ImportKind::ifupdown);
    EXPECT_EQ(guess_import_kind({"x", "exec /usr/sbin/ucarp -i eth0"}), ImportKind::ucarp);
    EXPECT_EQ(guess_import_kind({"x", "nothing of the kind"}), std::nullopt);
}

TEST(ImportFiles, RefusesWhatItCannotTellAndWhatIsHuge) {
    const auto unknown = import_files({{"x\x1b", "hello"}});
    ASSERT_FALSE(unknown);
    EXPECT_THAT(unknown.error(), HasSubstr("x?: what kind of file this is can't be told"));
    const auto huge = import_files({{"keepalived.conf", std::string(kMaxImportSize + 1, '\n')}});
    ASSERT_FALSE(huge);
    EXPECT_THAT(huge.error(), HasSubstr("larger than 1 MiB"));
}

TEST(ImportFiles, AnEmptyFileLeavesAllToDo) {
    const Imported imported = import_text("", ImportKind::keepalived);
    EXPECT_FALSE(imported.is_complete);
    EXPECT_THAT(imported.toml, HasSubstr("# TO DO: there is no [[group]]"));
}

// ---- keepalived

std::string instance(const std::string& more) {
    return "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\nauthentication { auth_pass x }\n"
           "virtual_ipaddress { 192.0.2.1/24 }\n" +
           more + "\n}\n";
}

GroupConfig group_of(const std::string& more) {
    const Imported imported = import_text(instance(more), ImportKind::keepalived);
    EXPECT_TRUE(imported.is_complete) << imported.report();
    return parse_config(imported.toml, "/")->config.groups.front();
}

TEST(Keepalived, PriorityBecomesAdvskew) {
    EXPECT_EQ(group_of("").advskew.value, 155);
    EXPECT_EQ(group_of("priority 255").advskew.value, 0);
    EXPECT_EQ(group_of("priority 1").advskew.value, 254);
    for (const char* wrong : {"0", "256", "high", ""})
        EXPECT_FALSE(
            import_text(instance(std::string("priority ") + wrong), ImportKind::keepalived).is_complete);
}

TEST(Keepalived, ABetterHostStaysTheBetterOneWithinASecond) {
    const GroupConfig better = group_of("version 3\nadvert_int 0.1\npriority 150"),
                      worse = group_of("version 3\nadvert_int 0.1\npriority 100");
    EXPECT_EQ(better.advbase.seconds, 0);
    EXPECT_LT(better.advskew.value, worse.advskew.value);
    EXPECT_EQ(group_of("version 3\nadvert_int 0.01\npriority 254").advskew.value, 3);
    EXPECT_EQ(group_of("advert_int 0.1").advbase.seconds, 1);  // VRRP 2
    EXPECT_EQ(group_of("advert_int 3").advbase.seconds, 3);
    EXPECT_EQ(group_of("advert_int 1.5").advbase.seconds, 2);
}

TEST(Keepalived, PreemptsUnlessToldNotTo) {
    EXPECT_TRUE(group_of("").preempt);
    EXPECT_FALSE(group_of("nopreempt").preempt);
}

TEST(Keepalived, HasAVirtualMacOnlyWithUseVmac) {
    EXPECT_EQ(group_of("").mac, MacMode::interface_mac);
    EXPECT_EQ(group_of("use_vmac").mac, MacMode::virtual_mac);
}

TEST(Keepalived, AnAddressElsewhereIsToDo) {
    const Imported imported = import_text(instance("virtual_ipaddress_excluded {\n10.0.0.1/24 dev eth1\n}"),
                                          ImportKind::keepalived);
    EXPECT_FALSE(imported.is_complete);
    EXPECT_THAT(imported.toml, HasSubstr("# TO DO: 10.0.0.1/24 was on eth1"));
}

TEST(Keepalived, AnIncludeIsToDoUnlessTheFileIsGiven) {
    const std::string text = "include /etc/keepalived/conf.d/*.conf\n";
    EXPECT_FALSE(import_text(text + instance(""), ImportKind::keepalived).is_complete);
    const auto both = import_files({{"keepalived.conf", text}, {"a.conf", instance("")}});
    ASSERT_TRUE(both);
    EXPECT_TRUE(both->is_complete) << both->report();
}

TEST(Keepalived, DeepNestingIsFlat) {
    EXPECT_FALSE(import_text(std::string(100000, '{') + "a {", ImportKind::keepalived).is_complete);
    std::string deep;
    for (int i = 0; i < 100000; ++i) deep += "a { ";
    EXPECT_FALSE(import_text(deep, ImportKind::keepalived).is_complete);
}

// ---- ucarp

TEST(Ucarp, TakesOptionsInEveryForm) {
    for (const char* line :
         {"ucarp -i eth0 -s 192.0.2.2 -v 7 -p x -a 192.0.2.1 -zBPk10",
          "exec /usr/sbin/ucarp --interface=eth0 --srcip $IP --vhid 7 --pass='x' \\\n  -Pk 10 "
          "--addr=192.0.2.1 >/dev/null 2>&1 &",
          "ExecStart=/usr/sbin/ucarp -ieth0 -v7 -px -a192.0.2.1 --preempt --advskew=10"}) {
        const Imported imported = import_text(line, ImportKind::ucarp);
        ASSERT_TRUE(imported.is_complete) << line << "\n" << imported.report();
        const GroupConfig group = parse_config(imported.toml, "/")->config.groups.front();
        EXPECT_EQ(group.name, "eth0-7") << line;
        EXPECT_EQ(group.advskew.value, 10) << line;
        EXPECT_TRUE(group.preempt) << line;
        EXPECT_EQ(group.mac, MacMode::interface_mac) << line;
    }
}

TEST(Ucarp, WhatTheShellFillsInIsToDo) {
    const Imported imported = import_text("ucarp -i $IF -v 1 -p x -a 192.0.2.1", ImportKind::ucarp);
    EXPECT_FALSE(imported.is_complete);
    EXPECT_THAT(imported.toml, HasSubstr("# TO DO: --interface $IF: variables are not understood"));
}

// ---- words

TEST(PrefixLength, OfNetmasksOfEveryForm) {
    EXPECT_EQ(prefix_length("255.255.255.0"), 24u);
    EXPECT_EQ(prefix_length("0xffffff00"), 24u);
    EXPECT_EQ(prefix_length("24"), 24u);
    EXPECT_EQ(prefix_length("255.255.255.255"), 32u);
    EXPECT_EQ(prefix_length("0.0.0.0"), 0u);
    for (const char* wrong : {"255.0.255.0", "0xzz", "", "129", "2001:db8::"})
        EXPECT_EQ(prefix_length(wrong), std::nullopt);
}

TEST(ShellCommands, KeepQuotesAndEndAtSeparators) {
    const auto commands = shell_commands("a 'b c' \"d \\\" $e\" # f\ng\\ h; i \\\n j");
    ASSERT_EQ(commands.size(), 3u);
    EXPECT_THAT(commands[0], ElementsAre(testing::Field(&Word::text, "a"), testing::Field(&Word::text, "b c"),
                                         testing::Field(&Word::text, "d \" $e")));
    EXPECT_TRUE(commands[0][2].has_variable);
    EXPECT_EQ(commands[1][0].text, "g h");
    EXPECT_EQ(commands[2].size(), 2u);
    EXPECT_EQ(commands[2][1].line, 3u);
}

}  // namespace
}  // namespace carpd
