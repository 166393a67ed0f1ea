#include "linux/state_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace carpd {
namespace {

namespace fs = std::filesystem;

class StateFile : public testing::Test {
 protected:
    StateFile() {
        std::string name = testing::TempDir() + "state-XXXXXX";
        directory_ = ::mkdtemp(name.data());
        ::setenv("STATE_DIRECTORY", (directory_ + "/new").c_str(), 1);
        path_ = state_file("/run/carpd/control.sock", "demotions");
        ::unsetenv("STATE_DIRECTORY");
    }
    ~StateFile() override { fs::remove_all(directory_); }

    std::string directory_, path_;
};

TEST_F(StateFile, IsEachDaemonsOwn) {
    EXPECT_EQ(path_, directory_ + "/new/run-carpd-control.sock.demotions");
    EXPECT_EQ(state_file("/run/carpd-a/control.sock", "x"), "/var/lib/carpd/run-carpd-a-control.sock.x");
}

TEST_F(StateFile, IsReplacedAndRemoved) {
    EXPECT_EQ(*read_state(path_), "");
    EXPECT_TRUE(write_state(path_, ""));
    ASSERT_TRUE(write_state(path_, "one\n")) << "with its directory";
    ASSERT_TRUE(write_state(path_, "another\n"));
    EXPECT_EQ(*read_state(path_), "another\n");
    ASSERT_TRUE(write_state(path_, ""));
    EXPECT_FALSE(fs::exists(path_));
    EXPECT_TRUE(fs::is_empty(directory_ + "/new"));
}

TEST_F(StateFile, ThatCantBeIsAnErrorWithItsName) {
    std::ofstream(directory_ + "/new") << "no directory";
    const auto written = write_state(path_, "one\n");
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().error, ENOTDIR);
    EXPECT_THAT(written.error().to_string(), testing::HasSubstr(path_));
    EXPECT_FALSE(read_state(path_));
    EXPECT_FALSE(write_state(path_, ""));
}

TEST_F(StateFile, ThatIsNoFileKeepsNobody) {
    fs::create_directories(path_);
    EXPECT_FALSE(read_state(path_));
    EXPECT_FALSE(write_state(path_, "one\n"));
    EXPECT_TRUE(fs::is_directory(path_));
    fs::remove(path_);
    ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
    EXPECT_EQ(*read_state(path_), "");
    fs::remove(path_);
    std::ofstream(path_) << std::string((1 << 20) + 1, 'x');
    EXPECT_EQ(read_state(path_).error().error, EFBIG);
}

}  // namespace
}  // namespace carpd
