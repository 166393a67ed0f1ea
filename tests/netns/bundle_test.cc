// `carpctl bundle`: what a bug report needs is in it, and no secret is, in any form.
#include <filesystem>
#include <fstream>

#include "netns_test.h"

namespace carpd::lab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Bundle : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (!IsSkipped()) three_hosts();
    }
    // Instead of the program of that name.
    void plant(const std::string& program, const std::string& script) {
        std::filesystem::create_directories(programs());
        std::ofstream(programs() + "/" + program) << "#!/bin/sh\n" << script << "\n";
        std::filesystem::permissions(programs() + "/" + program, std::filesystem::perms::owner_all);
    }
    std::string programs() { return lab().folder() + "/programs"; }
    std::string archive() { return lab().folder() + "/bundle.tar.gz"; }
    Result bundle(const std::string& socket, const std::string& option = "-o") {
        return alpha().run({"env", "PATH=" + programs() + ":/usr/sbin:/usr/bin:/sbin:/bin", carpctl_program(),
                            "-s", socket, "bundle", option, archive()});
    }
    std::string content(const std::string& file = "") {
        std::vector<std::string> tar = {"tar", "-xOzf", archive()};
        if (!file.empty()) tar.push_back("carpd-bundle/" + file);
        return alpha().run(tar).output;
    }
};

TEST_F(Bundle, HasWhatAReportNeedsAndNoSecret) {
    std::ofstream(lab().folder() + "/key") << "file-secret\n";
    const Carpd& carpd = start(
        alpha(), Group{.password = "open-sesame"}.text() +
                     "[[group]]\nname = \"two\"\ninterface = \"eth0\"\nvhid = 2\naddresses = "
                     "[\"192.0.2.101/24\"]\npassword-file = \"key\"\naccept-password = \"next-secret\"\n" +
                     "[[hook]]\ncommand = [\"/bin/true\", \"hook-secret\"]\n");
    plant("journalctl", "echo 'a line'; echo 'password open-sesame'; echo 6f70656e2d736573616d65");
    const Result made = bundle(carpd.socket());
    ASSERT_EQ(made.exit_code, 0) << made.errors;
    EXPECT_THAT(made.output,
                AllOf(HasSubstr("the daemon's status\n"), HasSubstr("without passwords and keys")));
    for (const std::string secret : {"open-sesame", "6f70656e2d736573616d65", "b3Blbi1zZXNhbWU",
                                     "file-secret", "66696c652d736563726574", "next-secret", "hook-secret"})
        EXPECT_THAT(content(), Not(HasSubstr(secret)));
    EXPECT_EQ(nlohmann::json::parse(content("status.json")).at("groups").size(), 2U);
    EXPECT_THAT(content("config-running.toml"), HasSubstr("a secret, which is not shown"));
    EXPECT_EQ(content("config-running.toml"), content("config-file.toml"));
    EXPECT_THAT(content("addresses.json"), HasSubstr("192.0.2.1"));
    EXPECT_THAT(content("sysctl.txt"), HasSubstr("net/ipv4/conf/eth0/rp_filter = "));
    EXPECT_EQ(content("journal.txt"),
              "a line\n(a line with a secret was left out)\n(a line with a secret was left out)\n");
    const auto mode = std::filesystem::status(archive()).permissions();
    EXPECT_EQ(mode, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);

    const Result again = bundle(carpd.socket());
    EXPECT_EQ(again.exit_code, 1);
    EXPECT_THAT(again.errors, HasSubstr("File exists"));
}

// Of what is ill it says so, and goes on.
TEST_F(Bundle, EndsWhateverHangsOrIsMissing) {
    plant("ip", "sleep 1000");
    plant("nft", "yes rule");
    plant("journalctl", "echo 'no rights' >&2; exit 1");
    const Result made = bundle(lab().folder() + "/nobody.sock");
    ASSERT_EQ(made.exit_code, 0) << made.errors;
    EXPECT_THAT(made.output, HasSubstr("  network interfaces: ip takes longer than 5000 ms\n"));
    EXPECT_THAT(made.output, HasSubstr("the firewall's rules (cut after 1 MiB)\n"));
    EXPECT_THAT(made.output, HasSubstr("journal: journalctl fails: no rights\n"));
    EXPECT_THAT(made.output, HasSubstr("  the daemon's status: carpd is not running"));
    EXPECT_THAT(content("MANIFEST.txt"), HasSubstr("ip takes longer"));
    EXPECT_LT(std::filesystem::file_size(archive()), 5U << 20);
}

TEST_F(Bundle, LeavesNothingWhenItIsInterrupted) {
    const std::string begun = lab().folder() + "/begun", temporary = lab().folder() + "/tmp";
    std::filesystem::create_directory(temporary);
    plant("ip", "touch " + begun + "; sleep 1000");
    plant("tar", "touch " + begun + "; sleep 1");
    for (const char* hangs : {"ip", "tar"}) {
        std::filesystem::remove(begun);
        Process bundling = alpha().spawn({"env", "TMPDIR=" + temporary,
                                          "PATH=" + programs() + ":/usr/bin:/bin", carpctl_program(), "-s",
                                          lab().folder() + "/nobody.sock", "bundle", "-o", archive()});
        ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(begun); }, 10s));
        bundling.signal(SIGTERM);
        EXPECT_EQ(bundling.wait(20s), 128 + SIGTERM) << hangs;
        EXPECT_FALSE(std::filesystem::exists(archive()));
        EXPECT_TRUE(std::filesystem::is_empty(temporary));
        std::filesystem::remove(programs() + "/ip");
    }
}

}  // namespace
}  // namespace carpd::lab
