#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "carpctl/commands.h"
#include "wire/capture_file.h"

namespace carpd {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class DecodeCommand : public testing::Test {
 protected:
    DecodeCommand() {
        std::string name = testing::TempDir() + "carpctl-decode-XXXXXX";
        directory_ = mkdtemp(name.data());
        write(
            "carpd.toml",
            "[[group]]\nname = \"lan\"\ninterface = \"eth0\"\nvhid = 7\naddresses = [\"192.0.2.100/24\"]\n");
        add(CaptureBlock::section());
    }
    ~DecodeCommand() override { fs::remove_all(directory_); }

    std::string path(const std::string& name) const { return (directory_ / name).string(); }
    void write(const std::string& name, const std::string& text) { std::ofstream(directory_ / name) << text; }
    void add(const CaptureBlock& block) { capture_.append(block.bytes().begin(), block.bytes().end()); }
    ExitCode run(DecodeOrder order = {}) {
        write("capture", capture_);
        if (order.file.empty()) order.file = path("capture");
        order.config = path("carpd.toml");
        testing::internal::CaptureStdout();
        testing::internal::CaptureStderr();
        const ExitCode code = decode_command({}, order);
        std::fflush(stdout);
        out_ = testing::internal::GetCapturedStdout();
        err_ = testing::internal::GetCapturedStderr();
        return code;
    }

    std::string capture_, out_, err_;

 private:
    fs::path directory_;
};

TEST_F(DecodeCommand, SaysThatThereIsNothing) {
    EXPECT_EQ(run(), kOk);
    EXPECT_EQ(out_, "0 packets of protocol 112\n");
    EXPECT_EQ(err_, "");
}

TEST_F(DecodeCommand, NamesTheLinkThatItCannotRead) {
    const std::array<std::uint8_t, 4> frame{};
    add(CaptureBlock::interface("wlan0", LinkType{127}));
    add(CaptureBlock::packet(0, 0, FrameDirection::in, frame));
    add(CaptureBlock::packet(0, 0, FrameDirection::in, frame));
    EXPECT_EQ(run(), kFailed);
    EXPECT_THAT(err_,
                HasSubstr("2 frames are of link type 127 (802.11 with radiotap), which carpctl can't read"));
}

TEST_F(DecodeCommand, SaysWhatIsWrongWithAFile) {
    capture_ += std::string("\6\0\0\0", 4);
    EXPECT_EQ(run(), kFailed);
    EXPECT_THAT(err_, HasSubstr("it ends in the middle of a packet; what stands before was read"));
    EXPECT_EQ(out_, "0 packets of protocol 112\n");
    capture_ = "#!/bin/sh\n";
    EXPECT_EQ(run(), kFailed);
    EXPECT_THAT(err_, HasSubstr("it is neither a pcap nor a pcapng file"));
    EXPECT_EQ(run({.file = path("nothing")}), kFailed);
    EXPECT_THAT(err_, HasSubstr("nothing: it cannot be read: No such file or directory"));
    EXPECT_EQ(run({.file = path("")}), kFailed);
    EXPECT_THAT(err_, HasSubstr("it cannot be read: Is a directory"));
}

TEST_F(DecodeCommand, RefusesOptionsThatMakeNoSense) {
    EXPECT_EQ(run({.interface = "eth1"}), kUsage);
    EXPECT_THAT(err_, HasSubstr("is on 'eth1'; there are groups on eth0"));
    EXPECT_EQ(run({.self = {"here"}}), kUsage);
    EXPECT_EQ(err_, "carpctl: --self: 'here' is no IP address\n");
}

TEST_F(DecodeCommand, ShowsTheErrorsOfTheConfiguration) {
    write("carpd.toml", "[[group]]\nvhid = 300\n");
    EXPECT_EQ(run(), kFailed);
    EXPECT_THAT(err_, HasSubstr("carpd.toml:2:8: vhid 300 is out of range"));
}

}  // namespace
}  // namespace carpd
