#include "carpctl/subprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

namespace carpd {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

ProgramOutput shell(const std::string& script, std::chrono::milliseconds patience = 10s,
                    std::size_t most = 100) {
    return run_program({"sh", "-c", script}, patience, most);
}

TEST(Subprocess, ItsOutputIsTaken) {
    const auto ran = shell("echo one; echo two; echo noise >&2");
    EXPECT_EQ(ran.text, "one\ntwo\n");
    EXPECT_FALSE(ran.failure);
    EXPECT_FALSE(ran.is_cut);
    EXPECT_EQ(shell("cat").text, "") << "it has no input";
}

TEST(Subprocess, ItsFailureIsASentence) {
    EXPECT_EQ(run_program({"/no/such/program"}, 10s, 100).failure, "/no/such/program is not installed");
    const auto ran = shell("echo part; echo 'permission denied' >&2; exit 3");
    EXPECT_EQ(ran.failure, "sh fails: permission denied");
    EXPECT_EQ(ran.text, "part\n");
}

TEST(Subprocess, OneThatHangsIsEnded) {
    const auto ran = shell("echo part; sleep 1000 & sleep 1000", 200ms);
    EXPECT_EQ(ran.failure, "sh takes longer than 200 ms");
    EXPECT_EQ(ran.text, "part\n");
}

TEST(Subprocess, OneThatNeverEndsToTalkIsCut) {
    const auto ran = shell("yes");
    EXPECT_TRUE(ran.is_cut);
    EXPECT_EQ(ran.text.size(), 100U);
    EXPECT_FALSE(ran.failure);
}

}  // namespace
}  // namespace carpd
