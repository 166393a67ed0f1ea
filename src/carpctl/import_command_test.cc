#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "carpctl/commands.h"

namespace carpd {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr const char* kComplete = "ucarp -i eth0 -s 192.0.2.2 -v 7 -p x -a 192.0.2.1/24\n";

class ImportCommand : public testing::Test {
 protected:
    ImportCommand() {
        std::string name = testing::TempDir() + "carpctl-import-XXXXXX";
        directory_ = mkdtemp(name.data());
        write("vip.sh", kComplete);
    }
    ~ImportCommand() override { fs::remove_all(directory_); }

    std::string path(const std::string& name) const { return (directory_ / name).string(); }
    void write(const std::string& name, const std::string& text) { std::ofstream(directory_ / name) << text; }
    std::string read(const std::string& name) const {
        std::ifstream in(directory_ / name);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    // Leaves what was printed in out_ and err_.
    ExitCode run(const ImportOrder& order) {
        testing::internal::CaptureStdout();
        testing::internal::CaptureStderr();
        const ExitCode code = import_command(order);
        std::fflush(stdout);
        out_ = testing::internal::GetCapturedStdout();
        err_ = testing::internal::GetCapturedStderr();
        return code;
    }

    fs::path directory_;
    std::string out_, err_;
};

TEST_F(ImportCommand, PrintsTheFileAndTheReportApart) {
    EXPECT_EQ(run({{path("vip.sh")}, "", "", false}), kOk);
    EXPECT_THAT(out_, HasSubstr("[[group]]\ninterface = \"eth0\"\nvhid = 7\n"));
    EXPECT_THAT(err_, HasSubstr("read as a file of ucarp"));
}

TEST_F(ImportCommand, FailsWhileSomethingIsToDo) {
    write("vip.sh", "ucarp -i eth0 -v 300 -p x -a 192.0.2.1\n");
    EXPECT_EQ(run({{path("vip.sh")}, "", "", false}), kFailed);
    EXPECT_THAT(out_, HasSubstr("# TO DO: vhid 300 is out of range"));
    EXPECT_THAT(err_, HasSubstr("To do before carpd takes the file"));
}

TEST_F(ImportCommand, WritesAFileForItsOwnerOnly) {
    EXPECT_EQ(run({{path("vip.sh")}, "ucarp", path("carpd.toml"), false}), kOk);
    EXPECT_EQ(out_, "");
    EXPECT_THAT(read("carpd.toml"), HasSubstr("[[group]]"));
    struct stat status {};
    ASSERT_EQ(stat(path("carpd.toml").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(ImportCommand, OverwritesOnlyByForce) {
    write("carpd.toml", "mine");
    EXPECT_EQ(run({{path("vip.sh")}, "", path("carpd.toml"), false}), kFailed);
    EXPECT_THAT(err_, HasSubstr("it exists already; --force overwrites it"));
    EXPECT_EQ(read("carpd.toml"), "mine");
    EXPECT_EQ(run({{path("vip.sh")}, "", path("carpd.toml"), true}), kOk);
    EXPECT_THAT(read("carpd.toml"), HasSubstr("[[group]]"));
    // Nothing else is left in the directory.
    EXPECT_EQ(std::distance(fs::directory_iterator(directory_), {}), 2);
}

TEST_F(ImportCommand, SaysWhichFileCannotBeRead) {
    EXPECT_EQ(run({{path("nothing")}, "", "", false}), kFailed);
    EXPECT_THAT(err_, HasSubstr("nothing: No such file or directory"));
    EXPECT_EQ(run({{directory_.string()}, "", "", false}), kFailed);
    EXPECT_THAT(err_, HasSubstr("it is not a regular file"));
}

TEST_F(ImportCommand, SaysWhereItCannotWrite) {
    EXPECT_EQ(run({{path("vip.sh")}, "", path("no/such/carpd.toml"), false}), kFailed);
    EXPECT_THAT(err_, HasSubstr("it cannot be written: No such file or directory"));
}

}  // namespace
}  // namespace carpd
