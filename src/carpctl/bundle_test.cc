#include "carpctl/bundle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace carpd {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kConfig = R"(
[[group]]
name = "lan"
interface = "eth0"
vhid = 1
addresses = ["192.0.2.100/24"]
password = "hunter2!"
accept-key-hex = "00112233445566778899aabbccddeeff00112233"

[[hook]]
command = ["/usr/local/bin/tell", "--token", "sesame"]

[[track]]
name = "page"
http = "http://192.0.2.1:80/health?token=sesame"

[[track]]
name = "own"
script = ["/usr/local/bin/look", "sesame"]

[sync]
interface = "eth1"
name = "fw1"
key-hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
)";

Config config() {
    const auto file = parse_config(kConfig, "");
    EXPECT_TRUE(file) << (file ? "" : file.error().front().to_string("file"));
    return file->config;
}

TEST(Bundle, HasNoArgumentsOfProgramsAndNoPathsOfPages) {
    const auto sections = without_private(describe(config()));
    EXPECT_THAT(to_toml(sections),
                AllOf(HasSubstr(R"x(command = ["/usr/local/bin/tell","(arguments are not shown)"])x"),
                      HasSubstr(R"x(script = ["/usr/local/bin/look","(arguments are not shown)"])x"),
                      HasSubstr(R"x(http = "http://192.0.2.1:80/(not shown)")x")));
    for (const Section& section : sections) {
        std::string all = section.name + section.identity;
        for (const Setting& setting : section.settings) all += setting.value;
        EXPECT_THAT(all, AllOf(Not(HasSubstr("sesame")), Not(HasSubstr("hunter2"))));
    }
}

TEST(Bundle, LeavesOutLinesWithASecretInAnyForm) {
    const Secrets secrets(config());
    const std::string line = "(a line with a secret was left out)\n";
    for (const std::string form :
         {"hunter2!", "68756e7465723221", "68756E7465723221", "aHVudGVy",
          "00112233445566778899aabbccddeeff00112233", "00112233445566778899AABBCCDDEEFF00112233",
          "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
          "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"})
        EXPECT_EQ(secrets.keep_out_of("before\nx" + form + "y\nbehind"), "before\n" + line + "behind")
            << form;
    EXPECT_EQ(secrets.keep_out_of("hunter\n\n2!\n"), "hunter\n\n2!\n");
    EXPECT_EQ(secrets.keep_out_of(""), "");
    EXPECT_EQ(Secrets().keep_out_of("hunter2!"), "hunter2!");
}

TEST(Bundle, SaysWhatIsInItAndWhatIsNot) {
    const std::vector<BundleFile> files = {{"a.json", "the status", "{}", ""},
                                           {"b.txt", "the rules", "x", "cut after 1 MiB"},
                                           {"c.txt", "the journal", "", "journalctl is not installed"}};
    EXPECT_EQ(manifest(files),
              "In it, with addresses and names of this network, but without passwords and keys:\n"
              "  a.json                 the status\n"
              "  b.txt                  the rules (cut after 1 MiB)\n"
              "Not in it:\n"
              "  the journal: journalctl is not installed\n");
    EXPECT_EQ(
        manifest_json("x.tar.gz", files).dump(),
        R"({"schema":1,"file":"x.tar.gz","contents":[{"name":"a.json","what":"the status","size_bytes":2,)"
        R"("note":null},{"name":"b.txt","what":"the rules","size_bytes":1,"note":"cut after 1 MiB"}],)"
        R"("missing":[{"what":"the journal","why":"journalctl is not installed"}]})");
}

}  // namespace
}  // namespace carpd
