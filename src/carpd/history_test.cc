#include "carpd/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "control/run_lines.h"
#include "linux/state_file.h"

namespace carpd {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

constexpr std::uint64_t kNow = 1'795'749'124'567;  // 2026-11-27T03:12:04.567Z
constexpr Instant kStart{1000s};

std::string change(int number) {
    return R"({"time":"2026-11-27T03:12:04.567+00:00","event":"transition","group":"lan","from":"init","to":"backup",)"
           R"("previous_ms":)" +
           std::to_string(number) + R"(,"text":"lan: INIT -> BACKUP"})";
}

// Until a write is over; what is complained of it.
std::optional<std::string> await_end(History& history, Instant& now) {
    for (;; std::this_thread::yield()) {
        const auto complaint = history.keep(now += 1s);
        if (complaint || !history.is_due(now + 1s)) return complaint;
    }
}

class HistoryTest : public testing::Test {
 protected:
    HistoryTest() {
        std::string name = testing::TempDir() + "history-XXXXXX";
        directory_ = ::mkdtemp(name.data());
        path_ = directory_ + "/history";
    }
    ~HistoryTest() override { fs::remove_all(directory_); }

    History open() { return History::open(path_, kNow, complaint_); }
    void write(const std::string& text) { ASSERT_TRUE(write_state(path_, text)); }

    std::string directory_, path_, complaint_;
};

TEST_F(HistoryTest, IsThereAgain) {
    History history = open();
    EXPECT_THAT(history.lines(), SizeIs(0));
    const std::string lines[] = {
        started_line({}, "2026-11-27T03:12:04.567+00:00"), change(1),
        started_line({1, "was killed by SIGKILL", 20ms}, "2026-11-27T03:12:04.567+00:00"),
        stopped_line("2026-11-27T03:12:04.567+00:00")};
    for (const std::string& line : lines) history.add(line);
    history.keep_at_end();
    EXPECT_THAT(open().lines(), ElementsAre(lines[0], lines[1], lines[2], lines[3]));
    EXPECT_EQ(complaint_, "");
}

TEST_F(HistoryTest, HasAnEnd) {
    History history = open();
    for (int i = 0; i < 300; ++i) history.add(change(i));
    ASSERT_THAT(history.lines(), SizeIs(History::kMost));
    EXPECT_EQ(history.lines().front(), change(100));
    history.keep_at_end();
    EXPECT_EQ(open().lines(), history.lines());
}

// The last second's changes are written together.
TEST_F(HistoryTest, IsWrittenOnceASecond) {
    History history = open();
    EXPECT_FALSE(history.is_due(kStart));
    history.add(change(1));
    ASSERT_TRUE(history.is_due(kStart));
    EXPECT_FALSE(history.keep(kStart));
    history.add(change(2));
    EXPECT_FALSE(history.is_due(kStart + 999ms));
    ASSERT_TRUE(history.is_due(kStart + 1s));
    history.keep_at_end();
    EXPECT_THAT(open().lines(), ElementsAre(change(1), change(2)));
    EXPECT_FALSE(history.is_due(kStart + 1s));
}

TEST_F(HistoryTest, WhatMakesNoSenseIsForgotten) {
    const std::string head = "{\"carpd_history\":1}\n", good = change(1) + "\n";
    const std::pair<std::string, const char*> cases[] = {
        {"{\"carpd_history\":2}\n" + good, "is not of this version of carpd"},
        {good, "is not of this version of carpd"},
        {std::string(1000, '\0'), "is not of this version of carpd"},
        {head + good + change(2), "makes no sense in line 3"},  // cut
        {head + good + change(2).substr(0, 40) + "\n", "makes no sense in line 3"},
        {head + "[]\n", "makes no sense in line 2"},
        {head + "\n", "makes no sense in line 2"},
        {head + R"({"time":7,"event":"pool","group":"lan","text":""})" + "\n", "makes no sense in line 2"},
        {head + R"({"time":"now","event":"pool","group":"lan","text":""})" + "\n",
         "makes no sense in line 2"},
        {head + R"({"time":"2026-11-27T03:12:04.567Z","event":"pool","group":[],"text":""})" + "\n",
         "makes no sense in line 2"},
        {head +
             R"({"time":"2026-11-27T03:12:04.567Z","event":"started","group":null,"not_running_ms":"x","text":""})" +
             "\n",
         "makes no sense in line 2"},
        {head + R"({"time":"2026-11-27T04:12:05.000Z","event":"pool","group":"lan","text":""})" + "\n",
         "knows of 2026-11-27T04:12:05.000Z, which is to come"},
        {std::string(2 << 20, 'x'), "File too large"}};
    for (const auto& [text, why] : cases) {
        write(text);
        EXPECT_THAT(open().lines(), SizeIs(0)) << why;
        EXPECT_THAT(complaint_, HasSubstr(why));
        EXPECT_THAT(complaint_, HasSubstr(path_));
        EXPECT_THAT(complaint_, HasSubstr("; the changes before this start are forgotten"));
    }
    History history = open();
    history.add(change(7));
    history.keep_at_end();
    EXPECT_THAT(open().lines(), ElementsAre(change(7)));
    EXPECT_EQ(complaint_, "");
}

TEST_F(HistoryTest, AClockMayBeSetBackALittle) {
    write("{\"carpd_history\":1}\n" +
          std::string(R"({"time":"2026-11-27T04:12:04.000Z","event":"pool","group":"lan","text":""})") +
          "\n");
    EXPECT_THAT(open().lines(), SizeIs(1));
}

// One sentence, and then attempts that nobody hears of until one succeeds.
TEST_F(HistoryTest, GoesOnWhereItCantBeKept) {
    std::ofstream(directory_ + "/file") << "no directory";
    path_ = directory_ + "/file/history";
    History history = open();
    EXPECT_THAT(complaint_, HasSubstr("Not a directory"));
    history.add(change(1));
    Instant now = kStart;
    EXPECT_FALSE(history.keep(now));
    EXPECT_THAT(await_end(history, now).value_or("no complaint"), HasSubstr(path_));
    for (const bool is_repaired : {false, true}) {
        if (is_repaired) fs::remove(directory_ + "/file");
        EXPECT_FALSE(history.is_due(now + 59s));
        ASSERT_TRUE(history.is_due(now += 1min));
        EXPECT_FALSE(history.keep(now));
        EXPECT_FALSE(await_end(history, now)) << "it was said once";
    }
    EXPECT_THAT(open().lines(), ElementsAre(change(1)));
}

}  // namespace
}  // namespace carpd
