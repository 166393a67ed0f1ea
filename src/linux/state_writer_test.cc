#include "linux/state_writer.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "linux/state_file.h"

namespace carpd {
namespace {

class StateWriterTest : public testing::Test {
 protected:
    StateWriterTest() {
        std::string name = testing::TempDir() + "writer-XXXXXX";
        directory_ = ::mkdtemp(name.data());
    }
    ~StateWriterTest() override { std::filesystem::remove_all(directory_); }

    StateWriter writer_;
    std::string directory_;
};

TEST_F(StateWriterTest, WritesOneAfterTheOther) {
    for (const char* text : {"one\n", "another\n"}) {
        EXPECT_FALSE(writer_.is_writing());
        writer_.begin(directory_ + "/file", text);
        EXPECT_TRUE(writer_.is_writing());
        EXPECT_TRUE(writer_.wait());
        EXPECT_EQ(*read_state(directory_ + "/file"), text);
    }
    EXPECT_FALSE(writer_.is_writing());
}

TEST_F(StateWriterTest, SaysWhatFailed) {
    std::ofstream(directory_ + "/file") << "no directory";
    writer_.begin(directory_ + "/file/file", "text");
    const auto outcome = writer_.wait();
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().error, ENOTDIR);
}

// A pipe that nobody reads stands for a disk that hangs: opening it to write takes as long as that.
TEST_F(StateWriterTest, NobodyWaitsForADiskThatHangs) {
    const std::string pipe = directory_ + "/file.next";
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    writer_.begin(directory_ + "/file", "text\n");
    EXPECT_FALSE(writer_.result());
    EXPECT_TRUE(writer_.is_writing());
    std::ifstream reader(pipe);  // both go on
    std::string text;
    std::getline(reader, text);
    EXPECT_EQ(text, "text");
    EXPECT_TRUE(writer_.wait());
}

}  // namespace
}  // namespace carpd
