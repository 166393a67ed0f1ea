#include "carpctl/config_diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/config_answer.h"

namespace carpd {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kLan =
    "[[group]]\nname = \"lan\"\ninterface = \"eth0\"\nvhid = 1\naddresses = [\"192.0.2.100/24\"]\n";
constexpr const char* kDmz =
    "[[group]]\nname = \"dmz\"\ninterface = \"eth1\"\nvhid = 1\naddresses = [\"198.51.100.1/24\"]\n"
    "password = \"p\"\n";

Json status(const std::string& state) {
    return {{"groups", {{{"name", "lan"}, {"state", state}, {"dataplane", "macvlan"}}}}};
}

std::vector<Section> sections(const std::string& text) {
    const auto file = parse_config(text, "");
    EXPECT_TRUE(file) << (file ? "" : file.error().front().to_string("file"));
    return describe(file->config);
}

std::vector<ConfigChange> compared(const std::string& from, const std::string& to,
                                   const std::string& state = "master") {
    return compare(sections(from), sections(to), status(state));
}

std::string diff(const std::string& from, const std::string& to, const std::string& state = "master") {
    return render_changes(compared(from, to, state), Paint(false));
}

const std::string kGood = std::string(kLan) + "password = \"p\"\n";

TEST(ConfigDiff, OfTheSameIsNothing) {
    EXPECT_EQ(diff(kGood + kDmz, kDmz + kGood + "advskew = 0\n"), "A reload would change nothing.\n");
}

TEST(ConfigDiff, NamesKeysAndWhatTheyCost) {
    EXPECT_EQ(diff(kGood, kGood + "advskew = 100\npreempt = true\n"),
              "[[group]] lan: changed\n"
              "  advskew: 0 -> 100\n"
              "  preempt: false -> true\n"
              "  * no failover by itself; a host that is the better master then, and preempts, takes over\n"
              "  * no failover\n");
    EXPECT_THAT(diff(kGood, kGood + "preempt = true\n", "backup"), HasSubstr("with preempt it takes over"));
    EXPECT_THAT(diff(kGood, "hold-down = 5\n" + kGood),
                AllOf(HasSubstr("the file's own keys: changed"), HasSubstr("at the next start of carpd")));
}

TEST(ConfigDiff, TellsThatASecretIsAnotherAndNotWhich) {
    const std::string text = diff(kGood, std::string(kLan) + "password = \"hunter2\"\n");
    EXPECT_THAT(text, HasSubstr("  password: a secret (fingerprint "));
    EXPECT_THAT(text, AllOf(HasSubstr("accept-password"), Not(HasSubstr("hunter2"))));
    EXPECT_THAT(diff(kGood, kLan), HasSubstr(") -> \"\"\n"));
}

TEST(ConfigDiff, OfAGroupThatComesOrGoes) {
    EXPECT_EQ(diff(kGood + kDmz, kDmz),
              "[[group]] lan: removed\n"
              "  * this host is MASTER: it bows out, and another host takes over if there is one\n");
    EXPECT_THAT(diff(kGood + kDmz, kDmz, "backup"), HasSubstr("nothing moves"));
    EXPECT_THAT(diff(kDmz, kDmz + kGood), HasSubstr("[[group]] lan: added\n"));
    const std::string moved =
        "[[group]]\nname = \"lan\"\ninterface = \"eth0\"\nvhid = 2\naddresses = "
        "[\"192.0.2.100/24\"]\npassword = \"p\"\n";
    EXPECT_THAT(diff(kGood, moved), AllOf(HasSubstr("lan: removed"), HasSubstr("lan: added")));
}

TEST(ConfigDiff, SaysThatAReloadWouldBeRefused) {
    const std::string pool =
        "[[group]]\nname = \"web\"\ninterface = \"eth0\"\ncarpnodes = [\"1:0\", \"2:100\"]\n"
        "addresses = [\"192.0.2.7/24\"]\npassword = \"p\"\n";
    EXPECT_THAT(diff(kDmz, kDmz + pool), HasSubstr("carpd refuses the file"));
}

TEST(ConfigDiff, KnowsEachHookAndCheck) {
    const std::string hook = "[[hook]]\ncommand = [\"/bin/true\"]\n";
    const std::string check = "[[track]]\nname = \"uplink\"\ninterface = \"eth9\"\n";
    EXPECT_EQ(diff(kGood + hook, kGood + hook + hook),
              "[[hook]] /bin/true: added\n  * no group is touched\n");
    EXPECT_THAT(diff(kGood + check, kGood), HasSubstr("[[track]] uplink: removed\n  * its demotion ends\n"));
    EXPECT_THAT(diff(kGood + check, kGood + check + "withdraw = true\n"),
                AllOf(HasSubstr("  demote: 240 -> nothing\n"), HasSubstr("  withdraw: false -> true\n")));
}

TEST(ConfigDiff, AsJson) {
    EXPECT_EQ(
        changes_json(compared(kGood, kGood + "advskew = 100\n")).dump(),
        R"([{"kind":"group","name":"lan","change":"changed","settings":[{"key":"advskew","from":0,)"
        R"("to":100,"from_fingerprint":null,"to_fingerprint":null}],"effects":["no failover by itself; )"
        R"(a host that is the better master then, and preempts, takes over"]}])");
}

// What the daemon says of its configuration is what its file says.
TEST(ConfigDiff, AnAnswerIsReadAsItWasWritten) {
    const auto written =
        sections(kGood + kDmz + "[[hook]]\ncommand = [\"/bin/sh\", \"-c\", \"a\\\"\\u0001ü\"]\n");
    std::string line = config_head("/etc/carpd/carpd.toml");
    for (const Section& section : written) line += to_json_text(section) + ",";
    line.pop_back();
    const Json answer = Json::parse(line + std::string(kConfigTail));
    const auto heard = read_sections(answer);
    EXPECT_TRUE(compare(heard, written, status("backup")).empty());
    EXPECT_TRUE(compare(written, heard, status("backup")).empty());
}

}  // namespace
}  // namespace carpd
