#include "control/run_lines.h"

#include <gtest/gtest.h>

namespace carpd {
namespace {

using namespace std::chrono_literals;

TEST(RunLines, HaveTheKeysOfAllChanges) {
    EXPECT_EQ(
        started_line({}, "then"),
        R"({"time":"then","event":"started","group":null,"interface":null,"vhid":null,)"
        R"("reason":"carpd was started","restarts":0,"not_running_ms":null,"text":"carpd was started"})");
    EXPECT_EQ(started_line({2, "was killed by SIGSEGV", 1500ms}, "then"),
              R"({"time":"then","event":"started","group":null,"interface":null,"vhid":null,)"
              R"("reason":"the engine was killed by SIGSEGV","restarts":2,"not_running_ms":1500,)"
              R"("text":"carpd's engine was killed by SIGSEGV, and another one was started after 1.5 s"})");
    EXPECT_EQ(stopped_line("then"),
              R"({"time":"then","event":"stopped","group":null,"interface":null,"vhid":null,)"
              R"("reason":"carpd was stopped","text":"carpd was stopped"})");
}

}  // namespace
}  // namespace carpd
