// `carpctl config`: what a reload would change, and that it does just that.
#include <fstream>

#include "netns_test.h"

namespace carpd::lab {
namespace {

using testing::HasSubstr;
using testing::Not;

class ConfigCommands : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (!IsSkipped()) three_hosts();
    }
    std::string dataplane() const { return "dataplane = \"" + dataplane_ + "\"\n"; }
};

TEST_F(ConfigCommands, SayWhatAReloadChanges) {
    Carpd& carpd = start(alpha(), Group{});
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    EXPECT_EQ(carpd.carpctl({"config", "diff"}).output, "A reload would change nothing.\n");

    const std::string next =
        dataplane() + Group{}.with_skew(kPoorSkew).text() +
        Group{.name = "more", .vhid = 2, .addresses = {"192.0.2.101/24"}, .password = "hunter2"}.text();
    carpd.write_config(next);
    const Result diff = carpd.carpctl({"config", "diff"});
    EXPECT_EQ(diff.exit_code, 0) << diff.errors;
    EXPECT_THAT(diff.output, HasSubstr("[[group]] lan: changed\n  advskew: 10 -> 50\n"));
    EXPECT_THAT(diff.output, HasSubstr("[[group]] more: added\n"));
    EXPECT_EQ(carpd.status().at("groups").size(), 1U) << "it only says so";
    carpd.apply(next);
    EXPECT_EQ(carpd.carpctl({"config", "diff"}).output, "A reload would change nothing.\n");

    carpd.write_config("[[group]]\nvhid = 300\n");
    const Result wrong = carpd.carpctl({"config", "diff"});
    EXPECT_EQ(wrong.exit_code, 1);
    EXPECT_THAT(wrong.errors, HasSubstr("vhid 300 is out of range"));
    EXPECT_THAT(wrong.errors, HasSubstr("carpd would refuse it, and change nothing"));
}

TEST_F(ConfigCommands, AreAnsweredWholeAlsoByAHostOfManyGroups) {
    std::string groups;
    for (int vhid = 1; vhid <= 250; ++vhid)
        groups += Group{.name = "g" + std::to_string(vhid),
                        .vhid = vhid,
                        .addresses = {"192.0.2." + std::to_string(vhid) + "/24"},
                        .advbase = 1}
                      .text();
    Carpd& carpd = start(beta(), groups);
    const auto answer = ask(carpd.socket(), {{"command", "config"}});
    EXPECT_EQ(answer.at("sections").size(), 251U);
    EXPECT_EQ(carpd.carpctl({"config", "diff"}).output, "A reload would change nothing.\n");
}

TEST_F(ConfigCommands, NeedNoDaemon) {
    const std::string path = lab().folder() + "/other.toml";
    std::ofstream(path) << Group{}.text();
    const Result shown = alpha().run({carpctl_program(), "config", "show", path});
    EXPECT_EQ(shown.exit_code, 0) << shown.errors;
    EXPECT_THAT(shown.output, HasSubstr("# mac = \"virtual\""));
    EXPECT_THAT(shown.output, Not(HasSubstr("s3cret")));
    EXPECT_THAT(shown.errors, HasSubstr("chmod o-r")) << "a warning";
    EXPECT_THAT(alpha().run({carpctl_program(), "-j", "config", "show", path}).output,
                Not(HasSubstr("s3cret")));

    const Result good = alpha().run({carpctl_program(), "config", "check", path});
    EXPECT_EQ(good.exit_code, 0);
    EXPECT_EQ(good.output, path + " is valid: 1 group\n");
    EXPECT_EQ(good.output, alpha().run({carpd_program(), "-n", "-f", path}).output);
    std::ofstream(path) << Group{.interface = "eth7"}.text();
    const Result bad = alpha().run({carpctl_program(), "config", "check", path});
    EXPECT_EQ(bad.exit_code, 1);
    EXPECT_EQ(bad.errors, alpha().run({carpd_program(), "-n", "-f", path}).errors);
    const Result json = alpha().run({carpctl_program(), "-j", "config", "check", path});
    EXPECT_EQ(json.exit_code, 1);
    EXPECT_EQ(nlohmann::json::parse(json.output).at("errors").size(), 1U);
}

}  // namespace
}  // namespace carpd::lab
